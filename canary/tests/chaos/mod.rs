//! A world in which everything fails now and then, and what must never happen in it.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::{
    env,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_canary::{
    ActuatorError, Capabilities, Deployer, Fence, InMemoryDeployer, InMemoryRouter, Observed, Readiness,
    RouteId, Slot, Traffic, TrafficRouter, Workload,
    testkit::{Fault, Flaky},
};
use tidegate_registry::{self as registry, Log, LogKey, Seq, Snapshot};
use tokio::task::JoinHandle;

/// Everything that was really done to the world, in order, and what must never happen.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    router: InMemoryRouter,
    deployer: InMemoryDeployer,
    route: RouteId,
    highest: Arc<Mutex<Option<Fence>>>,
    /// By which right traffic was moved, from what, and to what.
    moved: Arc<Mutex<Vec<(Fence, Traffic, Traffic)>>>,
}

impl Watched {
    pub(crate) fn new(router: &InMemoryRouter, deployer: &InMemoryDeployer, route: &RouteId) -> Self {
        Self {
            router: router.clone(),
            deployer: deployer.clone(),
            route: route.clone(),
            highest: Arc::default(),
            moved: Arc::default(),
        }
    }

    /// The same, but that does not always answer, not always do it, and not always say so.
    pub(crate) fn faulty(&self, seed: u64) -> Flaky<Self> {
        Flaky::new(self.clone(), seed)
            .with_share(Fault::Before, 0.05)
            .with_share(Fault::After, 0.05)
            .with_share(Fault::Slow(Duration::from_secs(7)), 0.05)
    }

    /// By which right traffic was moved, from what, and to what.
    pub(crate) fn moved(&self) -> Vec<(Fence, Traffic, Traffic)> {
        self.moved.lock().unwrap().clone()
    }

    /// What reached the world must have had the highest fence so far.
    fn in_order(&self, fence: Fence) {
        let mut highest = self.highest.lock().unwrap();
        assert!(highest.is_none_or(|highest| fence >= highest), "{fence} acted after {highest:?}");
        *highest = Some(fence);
    }

    async fn traffic(&self) -> Traffic {
        self.router.observe(&self.route).await.unwrap().traffic
    }

    async fn reached(&self, slot: Slot) -> bool {
        self.traffic().await.slots().any(|reached| reached == slot)
    }
}

#[async_trait]
impl TrafficRouter for Watched {
    fn capabilities(&self) -> Capabilities {
        self.router.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let before = self.traffic().await;
        self.router.apply(route, traffic, fence).await?;
        self.in_order(fence);
        self.moved.lock().unwrap().push((fence, before, traffic.clone()));
        // I3: nothing is sent to a side where nothing is ready.
        for slot in traffic.slots() {
            let status = self.deployer.status(slot).await?;
            assert!(status.ready().is_some(), "{traffic} was applied while {slot} is {status:?}");
        }
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.router.observe(route).await
    }
}

#[async_trait]
impl Deployer for Watched {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let before = self.deployer.status(workload.slot).await?;
        self.deployer.ensure(workload, fence).await?;
        self.in_order(fence);
        // What has traffic is not replaced under it.
        let replaced = before.ready().is_some_and(|running| *running != workload.release);
        let reached = self.reached(workload.slot).await;
        assert!(
            !(replaced && reached),
            "{} replaced what had traffic in {}",
            workload.release,
            workload.slot
        );
        Ok(())
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.deployer.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.deployer.remove(slot, fence).await?;
        self.in_order(fence);
        // I4: nothing is emptied that requests can still reach.
        assert!(!self.reached(slot).await, "{slot} was emptied under traffic");
        Ok(())
    }
}

/// A log of which one in so many appends fails, before it took effect or after; and one in so many reads, if any.
#[derive(Debug)]
pub(crate) struct FlakyLog {
    inner: registry::InMemory,
    chance: Mutex<fastrand::Rng>,
    of: u8,
    reads: bool,
    spares: fn(&LogKey) -> bool,
}

impl FlakyLog {
    pub(crate) fn new(inner: &registry::InMemory, seed: u64, of: u8) -> Self {
        let chance = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { inner: inner.clone(), chance, of, reads: false, spares: |_| false }
    }

    /// Reads fail, too.
    pub(crate) fn with_reads(self) -> Self {
        Self { reads: true, ..self }
    }

    /// Appends to these logs never fail.
    pub(crate) fn sparing(self, spares: fn(&LogKey) -> bool) -> Self {
        Self { spares, ..self }
    }

    fn draw(&self) -> u8 {
        self.chance.lock().unwrap().u8(..self.of)
    }
}

#[async_trait]
impl Log for FlakyLog {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        let unknown =
            || registry::Error::CommitUnknown { key: key.clone(), seq, source: "by schedule".into() };
        let fate = if (self.spares)(key) { None } else { Some(self.draw()) };
        match fate {
            Some(0) => Err(unknown()),
            Some(1) => {
                self.inner.append(key, seq, record).await?;
                Err(unknown())
            }
            _ => self.inner.append(key, seq, record).await,
        }
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        if self.reads && self.draw() == 0 {
            return Err(registry::Error::Unavailable {
                store: "the log".to_owned(),
                action: "read",
                source: "by schedule".into(),
            });
        }
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

/// What must never happen panics in a task, which alone would keep it to itself.
pub(crate) async fn raise<T>(over: impl IntoIterator<Item = JoinHandle<T>>) {
    for task in over {
        if let Err(error) = task.await
            && error.is_panic()
        {
            panic::resume_unwind(error.into_panic());
        }
    }
}

/// The ends of so many simulations, or of the one that `TIDEGATE_SEED` names; each in virtual time.
pub(crate) fn ends<S>(seeds: u64, simulate: impl AsyncFn(u64) -> S) -> Vec<S> {
    let seeds: Range<u64> = match env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).unwrap(),
        Err(_) => 0..seeds,
    };
    let end = |seed| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let end = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed))));
        end.unwrap_or_else(|_| panic!("TIDEGATE_SEED={seed} repeats this"))
    };
    seeds.map(end).collect()
}

/// How often there was which end.
pub(crate) fn tally<S>(
    ends: &[S],
    name: impl Fn(&S) -> &'static str,
) -> std::collections::BTreeMap<&'static str, usize> {
    let mut tally = std::collections::BTreeMap::new();
    for end in ends {
        *tally.entry(name(end)).or_default() += 1;
    }
    tally
}
