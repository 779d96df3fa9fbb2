//! One side of a route, as a metrics source sees it.

use std::time::Duration;

use tidegate_metrics::{Measurement, Metric, MetricsSource, Missing, Selector, Window};

use crate::{Release, RouteId, Slot};

/// One side of a route: a slot, and what runs there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Side {
    /// The route.
    pub route: RouteId,
    /// The slot.
    pub slot: Slot,
    /// What runs there.
    pub release: Release,
}

impl Side {
    /// The labels by which a source knows this side: `route`, `slot`, `model` and `version`. A query
    /// template uses those that its source has.
    #[must_use]
    pub fn selector(&self) -> Selector {
        Selector::default()
            .with("route", self.route.as_str())
            .with("slot", self.slot.to_string())
            .with("model", self.release.model.name().as_str())
            .with("version", self.release.model.version().to_string())
    }

    /// What `metric` was on this side in `window`. A source that fails, or does not answer within
    /// `patience`, is an absence with its cause.
    pub async fn observe(
        &self,
        source: &dyn MetricsSource,
        metric: &Metric,
        window: Window,
        patience: Duration,
    ) -> Measurement {
        let selector = self.selector();
        let answer = source.observe(metric, &selector, window);
        Measurement::Missing(match tokio::time::timeout(patience, answer).await {
            Ok(Ok(measurement)) => return measurement,
            Ok(Err(error)) => Missing::from(&error),
            Err(_) => Missing::SourceError {
                cause: format!("{source} did not answer within {}", humantime::format_duration(patience)),
                retryable: true,
            },
        })
    }
}
