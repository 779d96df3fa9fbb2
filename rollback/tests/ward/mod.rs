//! A promoted release, how it does, and the watch that guards it.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tidegate_canary::{
    Deployer, Readiness, Release, Slot, State as RolloutState, Traffic, TrafficRouter, World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
};
use tidegate_registry::{Digest, Lifecycle};
use tidegate_rollback::{Error, Guard, Ledger, Recovery, Vigil, Vigilance, Watch};

use crate::stage::{Requests, Stage};

pub(crate) const GOOD: Requests = Requests { stable_errors: 2, candidate_errors: 2 };

/// How the version in service does, as the test says; what was gone back to is well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<Shown>>);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Shown {
    #[default]
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
    async fn observe(&self, _: &Metric, side: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        let shown = if side.get("version") == Some("1.0.0") { Shown::Well } else { *self.0.lock().unwrap() };
        Ok(match shown {
            Shown::Well => Observation::proportion(5, 1_000).unwrap().into(),
            Shown::Ill => Observation::proportion(400, 1_000).unwrap().into(),
            Shown::Nothing => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the test says")
    }
}

/// `fraud@1.1.0` is promoted, serving and settled; `fraud@1.0.0` is the last known good.
pub(crate) async fn promoted() -> (Stage, Health) {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    (stage, Health::default())
}

pub(crate) fn world(stage: &Stage, health: &Health) -> World {
    World { metrics: Arc::new(health.clone()), ..stage.world() }
}

pub(crate) fn errors() -> Vec<Criterion> {
    vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15).with_alpha(0.001)]
}

pub(crate) fn watch(stage: &Stage) -> Watch {
    let mut watch = Watch::new(stage.plan().route.clone(), stage.candidate.clone());
    watch.criteria = errors();
    watch.recovery = Some(Recovery::new(errors()));
    watch.lasts = Duration::from_secs(3600);
    watch
}

pub(crate) async fn guard(world: World, watch: Watch) -> Result<Guard, Error> {
    Guard::open(world, "watch-1".parse().unwrap(), watch).await
}

pub(crate) async fn ledger(stage: &Stage) -> Ledger<Vigil> {
    Ledger::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap()
}

pub(crate) async fn state(stage: &Stage) -> Vigilance {
    ledger(stage).await.latest().unwrap().1.state().clone()
}

/// All traffic is on `release`, in the stable slot, and the channel says so.
pub(crate) async fn assert_serving(stage: &Stage, release: &Release) {
    assert_eq!(stage.deployer.status(Slot::Stable).await.unwrap().ready(), Some(release));
    assert_eq!(stage.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    assert_eq!(stage.router.observe(&stage.plan().route).await.unwrap().traffic, Traffic::stable());
    assert_eq!(stage.moves().await.last().unwrap().to, release.model);
}

pub(crate) async fn quarantines(stage: &Stage) -> Vec<Digest> {
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantines(stage.stable.model.name()).await.unwrap().into_keys().collect()
}
