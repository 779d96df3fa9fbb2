//! What can happen to a release that is watched.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tidegate_canary::{
    ActuatorError, Deployer, Fence, Readiness, Release, Slot, State as RolloutState, Workload, World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
};
use tidegate_registry::{Cause, Channel, Expect, Stamp};
use tidegate_rollback::{
    Guard, Intent, Ledger, OnBlind, Order, Recovery, Rollback, Target, Vigil, VigilRequest, Watch,
    report::Incident,
};

use crate::stage::{Requests, Stage};

/// How the version in service does, as a scene says; what was gone back to is as `others`.
#[derive(Clone, Debug)]
pub(crate) struct Health(Arc<Mutex<Shown>>, Shown);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shown {
    Well,
    Ill,
    Nothing,
}

impl Health {
    pub(crate) fn is(&self, shown: Shown) {
        *self.0.lock().unwrap() = shown;
    }
}

#[async_trait]
impl MetricsSource for Health {
    async fn observe(
        &self,
        metric: &Metric,
        side: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        let shown = if side.get("version") == Some("1.0.0") { self.1 } else { *self.0.lock().unwrap() };
        // Deterministic, but not the same in each window.
        let wobble = window.end().duration_since(crate::stage::BEGIN).unwrap().as_secs() / 30 % 7;
        let observed = match (shown, metric.as_str()) {
            (Shown::Nothing, _) => return Ok(Measurement::Missing(Missing::NoData)),
            (Shown::Well, Metric::ERRORS) => Observation::proportion(3 + wobble, 1_000),
            (Shown::Ill, Metric::ERRORS) => Observation::proportion(380 + 5 * wobble, 1_000),
            (Shown::Well, _) => Observation::histogram(vec![1.0, 10.0], vec![940 - wobble, 55, 5 + wobble]),
            (Shown::Ill, _) => Observation::histogram(vec![1.0, 10.0], vec![500, 420 - wobble, 80 + wobble]),
        };
        Ok(observed.unwrap().into())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the scene says")
    }
}

/// A scene that is over.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
}

impl Scene {
    pub(crate) async fn incident(&self) -> Incident {
        Incident::read(&self.stage.world(), &self.stage.plan().route, None).await.unwrap().unwrap()
    }
}

/// `fraud@1.1.0` is promoted, serving and settled; `fraud@1.0.0` is the last known good.
async fn promoted() -> (Stage, Health) {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    (stage, Health(Arc::new(Mutex::new(Shown::Well)), Shown::Well))
}

fn world(stage: &Stage, health: &Health) -> World {
    World { metrics: Arc::new(health.clone()), ..stage.world() }
}

fn watch(stage: &Stage) -> Watch {
    let mut watch = Watch::new(stage.plan().route.clone(), stage.candidate.clone());
    watch.criteria = [
        Criterion::at_most(Metric::errors(), Statistic::Share, 0.15),
        Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 10.0),
    ]
    .map(|criterion| criterion.with_alpha(0.001))
    .into();
    watch.recovery = Some(Recovery::new(watch.criteria.clone()));
    watch.lasts = Duration::from_secs(3600);
    watch
}

async fn open(world: World, id: &str, watch: Watch) -> Guard {
    Guard::open(world, id.parse().unwrap(), watch).await.unwrap()
}

pub(crate) async fn ask(stage: &Stage, request: VigilRequest) {
    let route = stage.plan().route.clone();
    let mut ledger = Ledger::<Vigil>::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    ledger.ask(request, stage.clock.now()).await.unwrap();
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// It fails, and what was good before takes its place and is well.
pub(crate) async fn helped() -> Scene {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch(&stage)).await.run());
    tokio::time::sleep(minutes(20)).await;
    health.is(Shown::Ill);
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// As `helped`, but what was good before is ill by now, too.
pub(crate) async fn no_help() -> Scene {
    let (stage, Health(shown, _)) = promoted().await;
    let health = Health(shown, Shown::Ill);
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch(&stage)).await.run());
    tokio::time::sleep(minutes(5)).await;
    health.is(Shown::Ill);
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// Nothing is seen for a while, then something, then nothing for good.
pub(crate) async fn blind() -> Scene {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch(&stage)).await.run());
    for _ in 0..2 {
        tokio::time::sleep(minutes(10)).await;
        health.is(Shown::Nothing);
        tokio::time::sleep(minutes(5)).await;
        health.is(Shown::Well);
    }
    tokio::time::sleep(minutes(10)).await;
    health.is(Shown::Nothing);
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// Nothing is seen for so long that it goes back, to where nothing is seen either.
pub(crate) async fn blind_way_back() -> Scene {
    let (stage, Health(shown, _)) = promoted().await;
    let health = Health(shown, Shown::Nothing);
    let watch = Watch { on_blind: OnBlind::RollBack, ..watch(&stage) };
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch).await.run());
    tokio::time::sleep(minutes(10)).await;
    health.is(Shown::Nothing);
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// A person holds it while it is ill, and lets it go back later.
pub(crate) async fn held() -> Scene {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch(&stage)).await.run());
    tokio::time::sleep(minutes(5)).await;
    let by = || "ada".to_owned();
    ask(&stage, VigilRequest::Hold { by: by(), reason: "a migration runs".to_owned() }).await;
    health.is(Shown::Ill);
    tokio::time::sleep(minutes(10)).await;
    let reason = "HighErrorRate fires".to_owned();
    ask(&stage, VigilRequest::Alarm { by: "alertmanager".to_owned(), reason }).await;
    tokio::time::sleep(minutes(4)).await;
    ask(&stage, VigilRequest::RollBack { by: by(), reason: "the migration is over".to_owned() }).await;
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// What was gone back to is ill, too, and a third version is a person's decision.
pub(crate) async fn braked() -> Scene {
    let Scene { stage } = helped().await;
    let ill = Health(Arc::new(Mutex::new(Shown::Ill)), Shown::Ill);
    let watch = Watch { release: stage.stable.clone(), ..watch(&stage) };
    let watching = tokio::spawn(open(world(&stage, &ill), "watch-2", watch).await.run());
    tokio::time::sleep(minutes(5)).await;
    watching.abort();
    Scene { stage }
}

/// Another system says that what was gone back to is ill, which the watch does not see; a third version is a person's
/// decision.
pub(crate) async fn told() -> Scene {
    let Scene { stage } = helped().await;
    let well = Health(Arc::new(Mutex::new(Shown::Well)), Shown::Well);
    let watch = Watch { release: stage.stable.clone(), ..watch(&stage) };
    let watching = tokio::spawn(open(world(&stage, &well), "watch-2", watch).await.run());
    tokio::time::sleep(minutes(5)).await;
    let reason = "payments are missing".to_owned();
    ask(&stage, VigilRequest::Alarm { by: "billing".to_owned(), reason }).await;
    tokio::time::sleep(minutes(1)).await;
    watching.abort();
    Scene { stage }
}

/// It fails, and the last good version would not be made to run.
pub(crate) async fn nowhere() -> Scene {
    let (stage, health) = promoted().await;
    stage.deployer.refuse(stage.stable.clone(), "its image is gone");
    let watching = tokio::spawn(open(world(&stage, &health), "watch-1", watch(&stage)).await.run());
    tokio::time::sleep(minutes(5)).await;
    health.is(Shown::Ill);
    tokio::time::sleep(minutes(5)).await;
    watching.abort();
    Scene { stage }
}

/// The last good version does not run any more.
pub(crate) async fn stuck() -> Scene {
    let (stage, health) = promoted().await;
    let bad = Starved { inner: stage.deployer.clone(), bad: stage.stable.clone() };
    let world = World { deployer: Arc::new(bad), ..world(&stage, &health) };
    let watching = tokio::spawn(open(world, "watch-1", watch(&stage)).await.run());
    tokio::time::sleep(minutes(5)).await;
    health.is(Shown::Ill);
    watching.await.unwrap().unwrap();
    Scene { stage }
}

/// A deployer under which one release runs out of memory.
#[derive(Debug)]
struct Starved {
    inner: tidegate_canary::InMemoryDeployer,
    bad: Release,
}

#[async_trait]
impl Deployer for Starved {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.ensure(workload, fence).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        Ok(match self.inner.status(slot).await? {
            Readiness::Ready { release } if release == self.bad => {
                Readiness::Failed { release, why: "out of memory".to_owned() }
            }
            status => status,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

/// A person rolls back by hand, past a version, to one that they name.
pub(crate) async fn by_hand() -> Scene {
    let (stage, _) = promoted().await;
    let next = crate::stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    stage.channels().promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    tokio::time::sleep(minutes(30)).await;
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    let target = Target::Exactly(stage.stable.model.clone());
    let world = stage.world();
    let intent = Intent::new(route, name, "customers complain").to(target);
    let (order, _) = Order::choose(&world, intent).await.unwrap();
    let order = Order { by: Some("bob".to_owned()), ..order };
    Rollback::open(world, "inc-88".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    Scene { stage }
}
