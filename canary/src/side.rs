//! One side of a route, as a metrics source sees it.

use std::time::Duration;

use tidegate_metrics::{Measurement, Metric, MetricsSource, Missing, Selector, Window};

use crate::{Patience, Release, RouteId, Slot, WallClock};

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

    /// What `metric` was on this side in `window`. A source that is unavailable is asked again until `patience`
    /// is over; one that fails, or does not answer by then, is an absence with its cause.
    pub async fn observe(
        &self,
        source: &dyn MetricsSource,
        metric: &Metric,
        window: Window,
        clock: WallClock,
        patience: Duration,
    ) -> Measurement {
        let selector = self.selector();
        let mut tries = Patience::new(clock, clock.now() + patience);
        let answer = async {
            loop {
                match source.observe(metric, &selector, window).await {
                    Err(error) if error.is_transient() && tries.wait(String::new).await.is_ok() => {}
                    answer => return answer,
                }
            }
        };
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
