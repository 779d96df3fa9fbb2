//! Observations that the program made itself.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;

use crate::{
    Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, ShapeMismatch, Window,
};

/// A source that holds what was pushed into it, in memory.
///
/// An observation is pushed with the labels that it has; asked for a selector, the source adds up all
/// observations whose labels include it and whose time lies in the window. It has no clock: an answer is
/// final once nothing more is recorded into the window. Clones share what they hold.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use tidegate_metrics::{Measurement, Metric, MetricsSource, Observation, Recorded, Selector, Window};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let recorded = Recorded::new();
/// let candidate = Selector::default().with("side", "candidate");
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3600);
/// for second in 1..=60 {
///     let observation = Observation::proportion(1, 10).unwrap();
///     recorded.record(&Metric::errors(), &candidate, noon + Duration::from_secs(second), observation).unwrap();
/// }
/// let first_half = Window::new(noon, noon + Duration::from_secs(30)).unwrap();
/// let measured = recorded.observe(&Metric::errors(), &candidate, first_half).await.unwrap();
/// assert_eq!(measured, Measurement::Observed(Observation::proportion(30, 300).unwrap()));
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Recorded {
    series: Arc<Mutex<Series>>,
}

type Series = BTreeMap<Metric, BTreeMap<Selector, BTreeMap<SystemTime, Observation>>>;

impl Recorded {
    /// A source that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was observed at the instant `at` under `labels`.
    ///
    /// # Errors
    ///
    /// Nothing is recorded if something was recorded at the same instant under the same labels that this
    /// cannot be added to.
    pub fn record(
        &self,
        metric: &Metric,
        labels: &Selector,
        at: SystemTime,
        observation: Observation,
    ) -> Result<(), ShapeMismatch> {
        let mut series = self.lock();
        let times = series.entry(metric.clone()).or_default().entry(labels.clone()).or_default();
        match times.get_mut(&at) {
            Some(known) => known.merge(&observation),
            None => {
                times.insert(at, observation);
                Ok(())
            }
        }
    }

    /// Forgets everything up to and including `end`, so that memory stays bounded. Windows that reach back
    /// beyond it are answered without what is forgotten: forget only what nobody will ask for.
    pub fn forget_until(&self, end: SystemTime) {
        for labelled in self.lock().values_mut() {
            labelled.retain(|_, times| {
                times.retain(|at, _| *at > end);
                !times.is_empty()
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Series> {
        // Every update is one insertion or one merge, so a panic elsewhere leaves it whole.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MetricsSource for Recorded {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let series = self.lock();
        let Some(labelled) = series.get(metric) else { return Ok(Missing::NoData.into()) };
        let inside = labelled
            .iter()
            .filter(|(labels, _)| selector.iter().all(|(label, value)| labels.get(label) == Some(value)))
            .flat_map(|(_, times)| times.range(window.start()..=window.end()))
            .filter(|(at, _)| window.contains(**at));
        let mut sum = None::<Observation>;
        for (_, observation) in inside {
            match &mut sum {
                None => sum = Some(observation.clone()),
                Some(sum) => sum.merge(observation).map_err(|mismatch| Error::Malformed {
                    source_name: self.to_string(),
                    metric: metric.to_string(),
                    source: mismatch.into(),
                })?,
            }
        }
        Ok(sum
            .filter(|sum| sum.trials() > 0)
            .map_or(Measurement::Missing(Missing::NoData), Measurement::Observed))
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("metrics", &self.lock().len()).finish()
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("recorded observations")
    }
}
