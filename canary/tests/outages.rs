//! What is away comes back, or not, at the worst moment: a driver, a router's memory, a deployer.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use stage::{Killed, Requests, Split, Stage, id};
use tidegate_canary::{
    ActuatorError, Deployer, Driver, Error, Fence, InMemoryDeployer, InMemoryRouter, Plan, Readiness, Slot,
    State, Traffic, TrafficRouter, Weight, Workload, World,
};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };
const BAD: Requests = Requests { stable_errors: 2, candidate_errors: 40 };

async fn open_and_run(world: World, plan: Plan) -> Result<State, Error> {
    let (driver, _handle) = Driver::open(world, id(), plan).await?;
    driver.run().await
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_was_away_for_hours_goes_the_same_way() {
    for requests in [GOOD, BAD] {
        let undisturbed = Stage::new(requests).await;
        let end = undisturbed.run().await.unwrap();
        let path = undisturbed.path().await;
        for nth in 0..=path.len() {
            let stage = Stage::new(requests).await;
            let log = Killed { inner: stage.store.clone(), nth, after: true, count: 0.into() };
            open_and_run(stage.world_on(Arc::new(log)), stage.plan()).await.unwrap_err();
            tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
            assert_eq!(stage.run().await.unwrap(), end, "away after write {nth}");
            assert_eq!(stage.path().await, path, "away after write {nth}");
        }
    }
}

/// A deployer that is away or hangs when told to, and that notices when the stable slot is replaced under traffic.
#[derive(Clone, Debug)]
struct Watched {
    inner: InMemoryDeployer,
    router: InMemoryRouter,
    plan: Plan,
    away: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl Watched {
    fn new(stage: &Stage, router: InMemoryRouter) -> Self {
        Self {
            inner: stage.deployer.clone(),
            router,
            plan: stage.plan(),
            away: Arc::default(),
            hangs: Arc::default(),
        }
    }

    fn world(&self, stage: &Stage, world: World) -> World {
        let router = Arc::new(self.router.clone());
        World {
            router,
            deployer: Arc::new(self.clone()),
            metrics: Arc::new(Split { requests: stage.requests, router: self.router.clone() }),
            ..world
        }
    }

    async fn answer(&self) -> Result<(), ActuatorError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(ActuatorError::Unavailable {
                target: "the deployer".to_owned(),
                source: "503".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Deployer for Watched {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.answer().await?;
        let release = &workload.release;
        if workload.slot == Slot::Stable && *release == self.plan.candidate {
            let running = self.inner.status(Slot::Stable).await?;
            let traffic = self.router.observe(&self.plan.route).await?.traffic;
            let idle = traffic.weight(Slot::Stable) == Weight::NONE;
            assert!(idle || running.ready() == Some(release), "stable is replaced while it has {traffic}");
        }
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.answer().await?;
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.answer().await?;
        self.inner.remove(slot, fence).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_that_forgot_everything_does_not_get_stable_replaced_under_traffic() {
    let path = {
        let undisturbed = Stage::new(GOOD).await;
        undisturbed.run().await.unwrap();
        undisturbed.path().await
    };
    for nth in 0..=path.len() {
        let stage = Stage::new(GOOD).await;
        let log = Arc::new(Killed { inner: stage.store.clone(), nth, after: true, count: 0.into() });
        let before = Watched::new(&stage, InMemoryRouter::default());
        open_and_run(before.world(&stage, stage.world_on(log)), stage.plan()).await.unwrap_err();
        // The process that held the weights was restarted with the driver.
        let after = Watched::new(&stage, InMemoryRouter::default());
        let end = open_and_run(after.world(&stage, stage.world()), stage.plan()).await.unwrap();
        assert_eq!(end, State::Promoted, "forgotten after write {nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn users_are_taken_off_a_failing_version_while_the_deployer_is_away() {
    let stage = Stage::new(BAD).await;
    let deployer = Watched::new(&stage, stage.router.clone());
    let world = deployer.world(&stage, stage.world());
    let running = tokio::spawn(open_and_run(world, stage.plan()));
    tokio::time::sleep(Duration::from_secs(15)).await;
    let route = stage.plan().route.clone();
    assert_ne!(stage.router.observe(&route).await.unwrap().traffic, Traffic::stable());
    deployer.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stage.router.observe(&route).await.unwrap().traffic, Traffic::stable());
    deployer.away.store(false, Ordering::SeqCst);
    let end = running.await.unwrap().unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn users_are_taken_off_a_failing_version_while_the_deployer_hangs() {
    let stage = Stage::new(BAD).await;
    let deployer = Watched::new(&stage, stage.router.clone());
    let world = deployer.world(&stage, stage.world());
    let running = tokio::spawn(open_and_run(world, stage.plan()));
    tokio::time::sleep(Duration::from_secs(15)).await;
    let route = stage.plan().route.clone();
    assert_ne!(stage.router.observe(&route).await.unwrap().traffic, Traffic::stable());
    deployer.hangs.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert_eq!(stage.router.observe(&route).await.unwrap().traffic, Traffic::stable());
    // And it does not wait for ever to be rid of the candidate.
    let end = running.await.unwrap().unwrap();
    assert!(end.to_string().contains("the deployer did not answer in time"), "{end}");
    assert!(matches!(end, State::Stuck { .. }), "{end}");
}
