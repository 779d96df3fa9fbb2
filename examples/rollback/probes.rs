//! How good the answers are: labelled messages are asked all the time, and how many were answered rightly is a
//! metric beside those of the router.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use tidegate::canary::{
    EmbeddedRouter,
    metrics::{Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
};

use super::users::Answer;

/// The share of labelled messages that were answered rightly.
pub(crate) const QUALITY: &str = "quality";

/// The router's metrics, and [`QUALITY`]. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    router: EmbeddedRouter,
    probes: Arc<Mutex<Vec<Probe>>>,
}

#[derive(Debug)]
struct Probe {
    at: SystemTime,
    version: String,
    right: bool,
}

impl Measured {
    pub(crate) fn new(router: EmbeddedRouter) -> Self {
        Self { router, probes: Arc::default() }
    }

    /// Takes down what a labelled message was answered. What was not answered is an error, and the router's matter.
    pub(crate) fn take(&self, answer: &Answer) {
        let Some(version) = answer.version.clone() else { return };
        let probe = Probe { at: answer.asked + answer.took, version, right: answer.right };
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
    }
}

#[async_trait]
impl MetricsSource for Measured {
    async fn observe(&self, metric: &Metric, side: &Selector, window: Window) -> Result<Measurement, Error> {
        if metric.as_str() != QUALITY {
            return self.router.observe(metric, side, window).await;
        }
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let version = side.get("version");
        let of_side = probes
            .iter()
            .filter(|probe| window.contains(probe.at) && Some(probe.version.as_str()) == version);
        let (right, all) =
            of_side.fold((0, 0), |(right, all), probe| (right + u64::from(probe.right), all + 1));
        let observed = Observation::proportion(right, all).filter(|_| all > 0);
        Ok(observed.map_or(Measurement::Missing(Missing::NoData), Measurement::Observed))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the embedded router and labelled probes")
    }
}
