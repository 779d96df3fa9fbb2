//! Which versions are wanted.

use std::{collections::BTreeSet, ops::Range, str::FromStr, time::SystemTime};

use semver::VersionReq;

use super::{Catalogue, Published};
use crate::{Channel, Invalid};

/// Which versions of a model are wanted: those for which everything in here holds. The default is all of
/// them, but for those that were deleted.
///
/// ```
/// use tidegate_registry::Filter;
///
/// let mut filter = Filter::default();
/// filter.tags.insert("multilingual".to_owned());
/// filter.metrics.push("accuracy>=0.9".parse()?);
/// # Ok::<_, tidegate_registry::Invalid>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Filter {
    /// It matches this requirement, under the rules of [`semver::VersionReq`]: pre-releases only if it names
    /// one.
    pub matching: Option<VersionReq>,
    /// It is no pre-release.
    pub released: bool,
    /// It was neither yanked nor quarantined.
    pub eligible: bool,
    /// It has all of these tags.
    pub tags: BTreeSet<String>,
    /// It has all of these labels, each with this value.
    pub labels: Vec<(String, String)>,
    /// It was made with this framework, whatever its version.
    pub framework: Option<String>,
    /// One of these channels points to it. Any, if there is none.
    pub channels: BTreeSet<Channel>,
    /// It was published in this time, by the clock of its publisher.
    pub published: Option<Range<SystemTime>>,
    /// Its metrics are within these bounds. A metric that is not there is within none.
    pub metrics: Vec<Bound>,
}

/// A bound on a metric, written `accuracy>=0.9`, `loss<1` or `epoch=3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    metric: String,
    comparison: Comparison,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Equal,
    Over,
    Under,
}

impl Filter {
    /// Versions that may be chosen by whoever asked for none in particular: see
    /// [`Published::is_eligible`].
    #[must_use]
    pub fn eligible() -> Self {
        Self { eligible: true, ..Self::default() }
    }

    pub(super) fn admits(&self, catalogue: &Catalogue, published: &Published) -> bool {
        let summary = &published.summary;
        let version = &published.version;
        self.matching.as_ref().is_none_or(|req| req.matches(version))
            && (!self.released || version.pre.is_empty())
            && (!self.eligible || published.is_eligible())
            && self.tags.is_subset(&summary.tags)
            && self.labels.iter().all(|(name, value)| summary.labels.get(name) == Some(value))
            && self.framework.as_ref().is_none_or(|wanted| {
                summary.framework.as_ref().is_some_and(|framework| framework.name == *wanted)
            })
            && self.published.as_ref().is_none_or(|time| time.contains(&published.stamp.at))
            && self
                .metrics
                .iter()
                .all(|bound| summary.metrics.get(&bound.metric).is_some_and(|value| bound.holds(*value)))
            && (self.channels.is_empty()
                || self.channels.iter().any(|channel| {
                    catalogue.current(channel).is_some_and(|made| made.to.version() == version)
                }))
    }
}

impl Bound {
    fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::AtLeast => value >= self.value,
            Comparison::AtMost => value <= self.value,
            #[expect(
                clippy::float_cmp,
                reason = "a number that was written down is asked for as it was written"
            )]
            Comparison::Equal => value == self.value,
            Comparison::Over => value > self.value,
            Comparison::Under => value < self.value,
        }
    }
}

impl FromStr for Bound {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("bound", s, "write METRIC>=NUMBER, with one of >=, <=, =, > and <");
        let at = s.find(['<', '>', '=']).ok_or_else(wrong)?;
        let (metric, rest) = s.split_at(at);
        let (comparison, value) = if let Some(value) = rest.strip_prefix(">=") {
            (Comparison::AtLeast, value)
        } else if let Some(value) = rest.strip_prefix("<=") {
            (Comparison::AtMost, value)
        } else if let Some(value) = rest.strip_prefix('>') {
            (Comparison::Over, value)
        } else if let Some(value) = rest.strip_prefix('<') {
            (Comparison::Under, value)
        } else {
            (Comparison::Equal, rest.strip_prefix('=').ok_or_else(wrong)?)
        };
        let value: f64 = value.trim().parse().map_err(|_| wrong())?;
        let metric = metric.trim().to_owned();
        if metric.is_empty() || !value.is_finite() {
            return Err(wrong());
        }
        Ok(Self { metric, comparison, value })
    }
}
