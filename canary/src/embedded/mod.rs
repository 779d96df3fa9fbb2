//! A router inside the caller's own tower stack: no proxy, no cluster, no sidecar.
//!
//! [`EmbeddedRouter::layer`] tags each request with the [`Slot`] that it is for; the wrapped service sends
//! it there. What comes back is counted, so the same value is the [`MetricsSource`] of the rollout.

mod body;
mod mirror;
mod record;
mod split;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tidegate_metrics::{Error, Measurement, Metric, MetricsSource, Missing, Selector, Window};
use tidegate_registry::Invalid;

use self::record::Records;
pub use self::{
    body::WatchedBody,
    mirror::{COPY, Mirror, MirrorLayer, MirroredBody, Mirroring},
    record::Recording,
    watch::{Split, SplitLayer, Watched},
};
use crate::{
    ActuatorError, Capabilities, Fence, Observed, RouteId, Slot, Traffic, TrafficRouter, WallClock,
    memory::{admit, lock},
};

/// Splits live requests between the slots of routes, and counts what it saw. Clones share everything.
///
/// A request is counted when its response body has ended. It is an error when the service failed, when the
/// status is 5xx, when the body broke off, or when the client gave up before the end: a version that hangs
/// must not look healthy because nobody waited for it. Requests sent somewhere by an
/// [`Exception`](crate::Exception) are not counted.
///
/// It holds weights and counts in memory: a gateway of several processes needs a router that they share.
#[derive(Clone)]
pub struct EmbeddedRouter {
    clock: WallClock,
    recording: Recording,
    seed: u64,
    routes: Arc<Mutex<BTreeMap<RouteId, Arc<Route>>>>,
    mirrors: Arc<AtomicBool>,
}

/// One route: what is in force, and what was seen.
#[derive(Debug)]
struct Route {
    id: RouteId,
    force: Mutex<Force>,
    records: Mutex<Records>,
    clock: WallClock,
}

/// What is in force, and the chance that picks between its sides.
#[derive(Debug)]
struct Force {
    traffic: Arc<Traffic>,
    fence: Option<Fence>,
    chance: fastrand::Rng,
}

impl EmbeddedRouter {
    /// A router by `clock`, which must be its driver's, whose picks replay from `seed`.
    #[must_use]
    pub fn new(clock: WallClock, seed: u64) -> Self {
        Self { clock, recording: Recording::default(), seed, routes: Arc::default(), mirrors: Arc::default() }
    }

    /// This router, recording otherwise than by default. Call it before the first [`layer`](Self::layer).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the resolution is under 1 ms or over the retention, or the edges do not ascend.
    pub fn with_recording(mut self, recording: Recording) -> Result<Self, Invalid> {
        recording.check()?;
        self.recording = recording;
        Ok(self)
    }

    /// The layer that splits the requests of `route`. Layers of the same route share its weights and counts.
    ///
    /// The wrapped service finds the [`Slot`] among the request's extensions.
    #[must_use]
    pub fn layer(&self, route: &RouteId) -> SplitLayer {
        SplitLayer::new(self.route(route))
    }

    /// The layer that copies requests of `route`, to be put around [`layer`](Self::layer). With it the router
    /// promises [`mirror`](Capabilities::mirror).
    ///
    /// Requests pass through as they come; a copy follows once one has been read to its end, and has the header
    /// [`COPY`]. Requests that are longer than `mirroring` admits, that break off, or for which there is no room
    /// are not copied. The answers of copies count for the candidate, and nobody waits for them.
    #[must_use]
    pub fn mirror(&self, route: &RouteId, mirroring: Mirroring) -> MirrorLayer {
        self.mirrors.store(true, Ordering::Relaxed);
        MirrorLayer::new(self.route(route), mirroring)
    }

    fn route(&self, id: &RouteId) -> Arc<Route> {
        let mut routes = lock(&self.routes);
        Arc::clone(routes.entry(id.clone()).or_insert_with(|| {
            Arc::new(Route {
                id: id.clone(),
                force: Mutex::new(Force {
                    traffic: Arc::new(Traffic::stable()),
                    fence: None,
                    // Routes must not pick in lockstep.
                    chance: fastrand::Rng::with_seed(self.seed ^ split::number(id.as_str().as_bytes())),
                }),
                records: Mutex::new(Records::new(self.recording.clone())),
                clock: self.clock,
            })
        }))
    }
}

impl Route {
    /// What is in force, and a draw of 0 to 9 999, if any requests are to be copied.
    fn draw_for_copies(&self) -> Option<(Arc<Traffic>, u16)> {
        let mut force = lock(&self.force);
        if force.traffic.mirror().is_none() {
            return None;
        }
        let draw = force.chance.u16(..10_000);
        Some((Arc::clone(&force.traffic), draw))
    }

    /// What is in force, and a draw of 0 to 9 999 for this request.
    fn draw(&self) -> (Arc<Traffic>, u16) {
        let mut force = lock(&self.force);
        let draw = force.chance.u16(..10_000);
        (Arc::clone(&force.traffic), draw)
    }
}

#[async_trait]
impl TrafficRouter for EmbeddedRouter {
    fn capabilities(&self) -> Capabilities {
        Capabilities { mirror: self.mirrors.load(Ordering::Relaxed), ..Capabilities::ALL }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.capabilities().check(traffic).map_err(|unsupported| ActuatorError::Refused {
            target: self.to_string(),
            source: unsupported.into(),
        })?;
        let route = self.route(route);
        let mut force = lock(&route.force);
        admit(&mut force.fence, fence)?;
        force.traffic = Arc::new(traffic.clone());
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        // Looking at a route that nobody has used does not make it one.
        let Some(route) = lock(&self.routes).get(route).cloned() else {
            return Ok(Observed::new(Traffic::stable(), None));
        };
        let force = lock(&route.force);
        Ok(Observed::new((*force.traffic).clone(), force.fence))
    }
}

/// A request that ended on the edge between two windows belongs to the later one.
///
/// Knows [`Metric::availability`], [`Metric::errors`], [`Metric::latency`] and, of answers that had a body,
/// [`Metric::ttft`], of the labels `route` and `slot`; other labels are not looked at.
#[async_trait]
impl MetricsSource for EmbeddedRouter {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let unknown = |known: &str| Error::UnknownMetric {
            source_name: self.to_string(),
            metric: metric.as_str().to_owned(),
            known: known.to_owned(),
        };
        let slot = [Slot::Stable, Slot::Baseline, Slot::Candidate]
            .into_iter()
            .find(|slot| selector.get("slot") == Some(slot.to_string().as_str()))
            .ok_or_else(|| unknown("metrics of the label `slot` (stable, baseline or candidate)"))?;
        let route = selector.get("route").and_then(|route| route.parse::<RouteId>().ok());
        let Some(route) = route.and_then(|id| lock(&self.routes).get(&id).cloned()) else {
            return Ok(Measurement::Missing(Missing::NoData));
        };
        let now = self.clock.now();
        let records = lock(&route.records);
        match metric.as_str() {
            Metric::AVAILABILITY => Ok(records.availability(slot, window, now)),
            Metric::ERRORS => Ok(records.errors(slot, window, now)),
            Metric::LATENCY => Ok(records.latency(slot, window, now)),
            Metric::TTFT => Ok(records.ttft(slot, window, now)),
            _ => Err(unknown("`availability`, `errors`, `latency` and `ttft`")),
        }
    }
}

impl fmt::Display for EmbeddedRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the embedded router")
    }
}

impl fmt::Debug for EmbeddedRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<RouteId> = lock(&self.routes).keys().cloned().collect();
        f.debug_struct("EmbeddedRouter")
            .field("seed", &self.seed)
            .field("routes", &routes)
            .finish_non_exhaustive()
    }
}
