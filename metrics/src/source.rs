//! Where observations come from.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Error, Measurement, Window};

/// A place that can be asked what was observed.
///
/// # Contract
///
/// * **Closed windows.** The caller asks for windows that have ended, and late enough for the source to have
///   taken in everything that belongs to them (sources say how late that is). The answer covers exactly
///   `window`, so that consecutive windows neither lose nor double anything; asked again, it is the same.
/// * **Absence is said, never filled in.** No traffic is `Missing::NoData`; zero errors in some
///   requests is an observation.
/// * **One side.** The answer is about the side that `selector` names and nothing else; a selector
///   that matches nothing is `Missing::NoData`.
/// * `Err` means that the question could not be answered at all.
///
/// A call may be cancelled at any time; it changes nothing.
///
/// `Display` names the source in errors and must not contain credentials.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait MetricsSource: Any + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What `metric` was for `selector` in `window`.
    ///
    /// # Errors
    ///
    /// See the variants of [`Error`]: whether asking again may help is [`Error::is_transient`].
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error>;
}

/// The name of a metric, in the words of the source that is asked: `errors`, `latency`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("minLength" = 1)))]
#[serde(transparent)]
pub struct Metric(String);

/// Whose metric is meant: labels and the values that they must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(BTreeMap<String, String>);

impl Metric {
    /// The share of requests that got a complete response, of whatever status: a
    /// [`Proportion`](crate::Observation::Proportion).
    pub const AVAILABILITY: &str = "availability";
    /// The share of requests that failed: a [`Proportion`](crate::Observation::Proportion).
    pub const ERRORS: &str = "errors";
    /// How long requests took, in seconds: a histogram or values.
    pub const LATENCY: &str = "latency";
    /// How long it took to the first token or the first bytes of an answer, in seconds: a histogram or values.
    pub const TTFT: &str = "ttft";

    /// A metric by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// [`Self::AVAILABILITY`].
    #[must_use]
    pub fn availability() -> Self {
        Self::new(Self::AVAILABILITY)
    }

    /// [`Self::ERRORS`].
    #[must_use]
    pub fn errors() -> Self {
        Self::new(Self::ERRORS)
    }

    /// [`Self::LATENCY`].
    #[must_use]
    pub fn latency() -> Self {
        Self::new(Self::LATENCY)
    }

    /// [`Self::TTFT`].
    #[must_use]
    pub fn ttft() -> Self {
        Self::new(Self::TTFT)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Selector {
    /// This selector, narrowed to `label == value`.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(label.into(), value.into());
        self
    }

    /// The value that `label` must have, if it must have one.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }

    /// Every label with its value, ascending by label.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Metric {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

#[async_trait]
impl<T: MetricsSource + ?Sized> MetricsSource for Arc<T> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        (**self).observe(metric, selector, window).await
    }
}

#[cfg(feature = "testkit")]
impl fmt::Display for MockMetricsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mock source")
    }
}
