//! What rollouts act on, and what they see. It stands in for your platform, so that this example needs nothing installed:
//! what runs and how traffic is split is a file for each route, and requests are made up. Put routers, deployers and
//! metrics of yours in its place: `kubernetes`, `HaProxy`, `LocalProcesses`, `Prometheus`, or what you write yourself.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate::{
    canary::{
        ActuatorError, Capabilities, Deployer, Fence, Gatekeepers, Observed, Readiness, Release, RouteId,
        Slot, Traffic, TrafficRouter, WallClock, Workload, World,
    },
    metrics::{Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
    registry::{Digest, Log, ModelStore as _, ObjectBacked},
};

/// The platform of all routes.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    directory: PathBuf,
    registry: ObjectBacked,
    clock: WallClock,
    writing: Arc<Mutex<()>>,
}

/// The slots of one route.
#[derive(Clone, Debug)]
struct Place {
    platform: Platform,
    file: PathBuf,
    route: RouteId,
}

/// What a cluster would know of a route. It outlives this program, as a cluster does.
#[derive(Debug, Deserialize, Serialize)]
struct Standing {
    running: BTreeMap<Slot, Release>,
    traffic: Traffic,
    routed: Option<Fence>,
    deployed: Option<Fence>,
}

const REQUESTS_PER_SECOND: f64 = 10_000.0;

impl Platform {
    pub(crate) fn new(directory: PathBuf, registry: ObjectBacked, clock: WallClock) -> Self {
        Self { directory, registry, clock, writing: Arc::default() }
    }

    pub(crate) const fn registry(&self) -> &ObjectBacked {
        &self.registry
    }

    pub(crate) const fn clock(&self) -> WallClock {
        self.clock
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.registry.clone())
    }

    /// The world in which the rollouts of a route happen.
    pub(crate) fn world(&self, route: &RouteId) -> World {
        let file = self.directory.join(Digest::of(route.as_str()).hex()).with_extension("json");
        let place = Arc::new(Place { platform: self.clone(), file, route: route.clone() });
        World {
            store: Arc::new(self.registry.clone()),
            log: self.log(),
            metrics: Arc::clone(&place) as _,
            router: Arc::clone(&place) as _,
            deployer: place,
            gates: Gatekeepers::new(),
            clock: self.clock,
        }
    }
}

impl Place {
    fn read(&self) -> Result<Standing, ActuatorError> {
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.away(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing {
                running: BTreeMap::new(),
                traffic: Traffic::stable(),
                routed: None,
                deployed: None,
            }),
            Err(error) => Err(self.away(error)),
        }
    }

    /// Changes it as a whole, unless whoever asks was overtaken.
    fn change(
        &self,
        fence: impl Fn(&mut Standing) -> &mut Option<Fence>,
        offered: Fence,
        change: impl FnOnce(&mut Standing),
    ) -> Result<(), ActuatorError> {
        let _alone = self.platform.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut standing = self.read()?;
        match fence(&mut standing) {
            Some(held) if *held > offered => return Err(ActuatorError::Fenced { offered, held: *held }),
            held => *held = Some(offered),
        }
        change(&mut standing);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.platform.directory)?;
            let file = tempfile::NamedTempFile::new_in(&self.platform.directory)?;
            serde_json::to_writer(&file, &standing)?;
            file.persist(&self.file)?;
            Ok(())
        };
        write().map_err(|error| self.away(error))
    }

    fn away(&self, error: io::Error) -> ActuatorError {
        ActuatorError::Unavailable { target: self.to_string(), source: error.into() }
    }
}

#[async_trait]
impl TrafficRouter for Place {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    async fn apply(&self, _: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.change(|standing| &mut standing.routed, fence, |standing| standing.traffic = traffic.clone())
    }

    async fn observe(&self, _: &RouteId) -> Result<Observed, ActuatorError> {
        let Standing { traffic, routed, .. } = self.read()?;
        Ok(Observed::new(traffic, routed))
    }
}

#[async_trait]
impl Deployer for Place {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let (slot, release) = (workload.slot, workload.release.clone());
        self.change(
            |standing| &mut standing.deployed,
            fence,
            |standing| _ = standing.running.insert(slot, release),
        )
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let release = self.read()?.running.remove(&slot);
        Ok(release.map_or(Readiness::Absent, |release| Readiness::Ready { release }))
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.change(|standing| &mut standing.deployed, fence, |standing| _ = standing.running.remove(&slot))
    }
}

/// Each version fails as often as its card says under `errors`.
#[async_trait]
impl MetricsSource for Place {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let (source_name, metric) = (self.to_string(), metric.to_string());
        if metric != Metric::ERRORS {
            return Err(Error::UnknownMetric { source_name, metric, known: Metric::ERRORS.to_owned() });
        }
        let unavailable = |source| Error::Unavailable { source_name, metric, source };
        let standing = match self.read() {
            Ok(standing) => standing,
            Err(error) => return Err(unavailable(error.into())),
        };
        let running =
            standing.running.iter().find(|(slot, _)| selector.get("slot") == Some(slot.to_string().as_str()));
        let Some((slot, release)) = running else { return Ok(Measurement::Missing(Missing::NoData)) };
        let share = f64::from(standing.traffic.weight(*slot).as_basis_points()) / 10_000.0;
        let requests = (window.length().as_secs_f64() * REQUESTS_PER_SECOND * share).round();
        let errors = match self.platform.registry.manifest(&release.model).await {
            Ok(manifest) => manifest.card.metrics.get("errors").copied().unwrap_or_default(),
            Err(error) => return Err(unavailable(error.into())),
        };
        let failed = (requests * errors.clamp(0.0, 1.0)).round();
        Ok(match Observation::proportion(failed as u64, requests as u64) {
            Some(observation) if requests > 0.0 => Measurement::Observed(observation),
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the platform of {}", self.route)
    }
}
