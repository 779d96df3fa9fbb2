//! A source asked stratum by stratum.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use crate::{Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window};

/// A source that is asked about each stratum by itself: route, tenant, length of the prompt.
///
/// Sides seldom get the same mix of requests, and what one route or one tenant does differently looks like a
/// difference between versions. By strata it does not: each is compared with its own, and the evidence of all is
/// multiplied. Name the strata in advance; requests outside of them are not seen.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use tidegate_metrics::{Measurement, Metric, MetricsSource, Observation, Recorded, Selector, Stratified, Window};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// # let window = Window::new(noon, noon + Duration::from_secs(60)).unwrap();
/// let recorded = Recorded::new();
/// let candidate = Selector::default().with("slot", "candidate");
/// for (route, hits) in [("chat", 1), ("search", 7)] {
///     let labels = candidate.clone().with("route", route);
///     recorded.record(&Metric::errors(), &labels, window.end(), Observation::proportion(hits, 100).unwrap()).unwrap();
/// }
/// let source = Stratified::new(recorded, "route", ["chat", "search"]);
/// let measured = source.observe(&Metric::errors(), &candidate, window).await.unwrap();
/// let Measurement::Observed(Observation::Strata(strata)) = measured else { panic!() };
/// assert_eq!(strata["search"], Observation::proportion(7, 100).unwrap());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Stratified<S> {
    source: S,
    label: String,
    values: Vec<String>,
}

impl<S> Stratified<S> {
    /// `source`, asked for each of `values` of `label`.
    pub fn new(
        source: S,
        label: impl Into<String>,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { source, label: label.into(), values: values.into_iter().map(Into::into).collect() }
    }
}

/// A stratum without data is left out; if all are, there is none. Any other absence in one stratum is an absence
/// of the whole: half an answer would be another mix of requests.
#[async_trait]
impl<S: MetricsSource> MetricsSource for Stratified<S> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let mut strata = BTreeMap::new();
        for value in &self.values {
            let stratum = selector.clone().with(&self.label, value);
            match self.source.observe(metric, &stratum, window).await? {
                Measurement::Observed(observation) => drop(strata.insert(value.clone(), observation)),
                Measurement::Missing(Missing::NoData) => {}
                missing @ Measurement::Missing(_) => return Ok(missing),
            }
        }
        if strata.is_empty() {
            return Ok(Missing::NoData.into());
        }
        let mismatch = || Error::Malformed {
            source_name: self.to_string(),
            metric: metric.to_string(),
            source: "its strata have different shapes, or are stratified already".into(),
        };
        Observation::strata(strata).map(Measurement::Observed).ok_or_else(mismatch)
    }
}

impl<S: fmt::Display> fmt::Display for Stratified<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.source, self.label)
    }
}
