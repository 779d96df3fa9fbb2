//! Whose pages are scraped.

use std::{collections::BTreeMap, fmt};

use reqwest::Url;

use crate::{InvalidBaseUrl, http::BaseUrl};

/// A process that shows its metrics, and the labels that every series of it has: which side of the rollout it
/// is, for one.
///
/// As in Prometheus it has the labels `job` (`scrape`) and `instance` (host and port) unless it is given others,
/// and what the page itself calls by one of its labels becomes `exported_` of that name.
///
/// ```
/// # use tidegate_metrics::scrape::Target;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::new("http://10.0.0.7:8080/metrics")?.with("slot", "candidate");
/// assert_eq!(target.label("instance"), Some("10.0.0.7:8080"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    name: BaseUrl,
    url: Url,
    labels: BTreeMap<String, String>,
}

impl Target {
    /// The page at `url`.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`. It is not repeated in the error, since it may hold a
    /// password.
    pub fn new(url: &str) -> Result<Self, InvalidBaseUrl> {
        let (server, like) = ("a target", "http://localhost:8080/metrics");
        let name = BaseUrl::parse(url, server, like)?;
        let url =
            Url::parse(url).map_err(|error| InvalidBaseUrl { server, like, source: Some(error.into()) })?;
        let (host, port) =
            (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let instance = format!("{host}:{port}");
        let labels = [("instance".to_owned(), instance), ("job".to_owned(), "scrape".to_owned())];
        Ok(Self { name, url, labels: labels.into() })
    }

    /// With this label besides, or another value of it.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(label.into(), value.into());
        self
    }

    /// The value of a label that every series of it has.
    #[must_use]
    pub fn label(&self, label: &str) -> Option<&str> {
        self.labels.get(label).map(String::as_str)
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }

    /// How Prometheus tells it from others.
    pub(super) fn id(&self) -> Option<(&str, &str)> {
        Some((self.label("job")?, self.label("instance")?))
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }
}

/// Its URL, without what could be a password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", &self.name).field("labels", &self.labels).finish()
    }
}
