//! A whole world in memory for tests of the driver, in virtual time.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::{
    fmt,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_canary::{
    Driver, Error, Gatekeepers, InMemoryDeployer, InMemoryRouter, Plan, PlanSpec, Record, Release, RolloutId,
    RouteJournal, Slot, State, Timing, TrafficRouter, WallClock, Weight, World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
};
use tidegate_registry::{
    self as registry, Cause, Channel, Channels, Content, Draft, Expect, InMemory, Log, LogKey, ModelRef,
    ModelStore, Move, Seq, Snapshot, Stamp,
};

pub(crate) const BEGIN: SystemTime = SystemTime::UNIX_EPOCH;

/// So often a driver keeps snapshots in tests, which then begin with one and go on with what followed.
pub(crate) const OFTEN: NonZeroU64 = NonZeroU64::new(3).unwrap();

pub(crate) struct Stage {
    pub(crate) store: InMemory,
    pub(crate) router: InMemoryRouter,
    pub(crate) deployer: InMemoryDeployer,
    pub(crate) requests: Requests,
    pub(crate) clock: WallClock,
    pub(crate) stable: Release,
    pub(crate) candidate: Release,
}

/// Of 1 000 requests on each side so many fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    pub(crate) stable_errors: u64,
    pub(crate) candidate_errors: u64,
}

/// 10 000 requests a window, split as a router says.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) requests: Requests,
    pub(crate) router: InMemoryRouter,
}

#[async_trait]
impl MetricsSource for Split {
    async fn observe(
        &self,
        metric: &Metric,
        side: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        // Deterministic, but not the same in each window.
        let wobble = window.end().duration_since(BEGIN).unwrap().as_secs() / 30 % 3;
        let errors = if side.get("slot") == Some("candidate") || side.get("version") == Some("1.1.0") {
            self.requests.candidate_errors
        } else {
            self.requests.stable_errors
        };
        let route = side.get("route").unwrap().parse().unwrap();
        let traffic = self.router.observe(&route).await.unwrap().traffic;
        let slots = [Slot::Stable, Slot::Baseline, Slot::Candidate];
        let slot =
            slots.into_iter().find(|slot| side.get("slot") == Some(slot.to_string().as_str())).unwrap();
        let copies = if slot == Slot::Candidate { traffic.mirror() } else { Weight::NONE };
        let trials = u64::from(traffic.weight(slot).max(copies).as_basis_points());
        Ok(match metric.as_str() {
            Metric::ERRORS if trials > 0 => {
                let hits = (errors + wobble) * trials / 1_000;
                Measurement::Observed(Observation::proportion(hits, trials).unwrap())
            }
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synthetic requests")
    }
}

impl Stage {
    /// `fraud@1.0.0` in production and serving, `fraud@1.1.0` published.
    pub(crate) async fn new(requests: Requests) -> Self {
        let store = InMemory::default();
        let clock = WallClock::starting_at(BEGIN + Duration::from_secs(1_000_000));
        let stable = publish(&store, "fraud@1.0.0", clock.now()).await;
        let candidate = publish(&store, "fraud@1.1.0", clock.now()).await;
        let stage = Self {
            router: InMemoryRouter::default(),
            deployer: InMemoryDeployer::serving(stable.clone()),
            requests,
            clock,
            stable,
            candidate,
            store,
        };
        let stamp = Stamp { by: "ada".to_owned(), at: clock.now() };
        let channels = stage.channels();
        let model = &stage.stable.model;
        let moved = channels
            .promote(model, &Channel::production(), &Expect::Absent, Cause::Promote, stamp.clone())
            .await;
        channels.settle(model.name(), &Channel::production(), moved.unwrap().seq, stamp).await.unwrap();
        stage
    }

    pub(crate) fn world(&self) -> World {
        self.world_on(Arc::new(self.store.clone()))
    }

    pub(crate) fn world_on(&self, log: Arc<dyn Log>) -> World {
        World {
            store: Arc::new(self.store.clone()),
            log,
            metrics: Arc::new(Split { requests: self.requests, router: self.router.clone() }),
            router: Arc::new(self.router.clone()),
            deployer: Arc::new(self.deployer.clone()),
            gates: Gatekeepers::new(),
            clock: self.clock,
        }
    }

    pub(crate) fn spec(&self) -> PlanSpec {
        let mut spec =
            PlanSpec::canary("serving/fraud".parse().unwrap(), self.stable.clone(), self.candidate.clone());
        spec.criteria = vec![
            Criterion::compare(Metric::errors()),
            Criterion::at_most(Metric::errors(), Statistic::Share, 0.05),
        ];
        spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
        spec.timing = Timing { warm_up: Duration::from_secs(10), ..Timing::default() };
        spec
    }

    pub(crate) fn plan(&self) -> Plan {
        self.spec().build().unwrap()
    }

    pub(crate) fn channels(&self) -> Channels {
        Channels::new(Arc::new(self.store.clone()))
    }

    pub(crate) async fn moves(&self) -> Vec<Move> {
        self.channels().history(self.stable.model.name(), &Channel::production()).await.unwrap()
    }

    /// The names of the events in the route's journal, without who drove it.
    pub(crate) async fn path(&self) -> Vec<&'static str> {
        let journal = RouteJournal::open(Arc::new(self.store.clone()), &self.plan().route).await.unwrap();
        let events = journal.entries().iter().filter_map(|entry| match &entry.record {
            Record::Happen(event) => Some(event.name()),
            _ => None,
        });
        events.collect()
    }

    pub(crate) async fn run(&self) -> Result<State, Error> {
        let (driver, _handle) = Driver::open(self.world(), id(), self.plan()).await?;
        driver.snapshot_every(OFTEN).run().await
    }
}

pub(crate) fn id() -> RolloutId {
    "ci-8841".parse().unwrap()
}

pub(crate) async fn publish(store: &InMemory, model: &str, at: SystemTime) -> Release {
    let model: ModelRef = model.parse().unwrap();
    let content = Content::bytes([("weights.bin".parse().unwrap(), Bytes::from(model.to_string()))]);
    let draft = Draft::new(model, Stamp { by: "ada".to_owned(), at });
    Release::from(&store.publish(draft, content, &()).await.unwrap())
}

/// A log whose process is killed at its `nth` append to a route's journal: before it takes effect, or after.
#[derive(Debug)]
pub(crate) struct Killed {
    pub(crate) inner: InMemory,
    pub(crate) nth: usize,
    pub(crate) after: bool,
    pub(crate) count: AtomicUsize,
}

#[async_trait]
impl Log for Killed {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        let kill = key.kind() != "model" && self.count.fetch_add(1, Ordering::SeqCst) == self.nth;
        if !kill || self.after {
            self.inner.append(key, seq, record).await?;
        }
        let dead = || registry::Error::CommitUnknown { key: key.clone(), seq, source: "killed".into() };
        if kill { Err(dead()) } else { Ok(()) }
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.inner.keep(key, snapshot).await
    }
}
