//! A rollout and what it acts on.

use std::{sync::Arc, time::Duration};

use tidegate_canary::{
    Driver, Gatekeepers, Handle, PlanSpec, Release, Require, Slot, Step, Timing, TrafficRouter, WallClock,
    Weight, Workload, World,
    kubernetes::Deployments,
    metrics::{Criterion, Metric, MetricsSource, Statistic},
};
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelRef, ModelStore, Stamp,
};

use crate::{cluster::Cluster, insist, rights::deployer};

/// What a rollout acts on.
pub(crate) struct Ground {
    pub(crate) store: InMemory,
    pub(crate) deployer: Deployments,
    pub(crate) router: Arc<dyn TrafficRouter>,
    /// Weights of the candidate, and how long each lasts.
    pub(crate) steps: Vec<(u16, Duration)>,
}

impl Ground {
    /// The examples' Deployments behind `router`.
    pub(crate) fn new(cluster: &Cluster, router: Arc<dyn TrafficRouter>) -> Self {
        let steps = [10, 25, 50, 100].map(|percent| (percent, Duration::ZERO));
        Self { store: InMemory::default(), deployer: deployer(cluster), router, steps: steps.to_vec() }
    }

    pub(crate) async fn publish(&self, model: &str) -> Release {
        let model: ModelRef = model.parse().unwrap();
        let content = Content::bytes([("weights.bin".parse().unwrap(), model.to_string().into())]);
        Release::from(&self.store.publish(Draft::new(model, stamp()), content, &()).await.unwrap())
    }

    /// The first version, in service.
    pub(crate) async fn first(&self, model: &str) -> Release {
        let first = self.publish(model).await;
        let (channels, production) = (Channels::new(Arc::new(self.store.clone())), Channel::production());
        let moved =
            channels.promote(&first.model, &production, &Expect::Absent, Cause::Promote, stamp()).await;
        channels.settle(first.model.name(), &production, moved.unwrap().seq, stamp()).await.unwrap();
        let stable = Workload { slot: Slot::Stable, release: first.clone(), share: Weight::FULL };
        insist(&self.deployer, &stable, 1).await;
        first
    }

    /// A canary from `stable` to `candidate`, judged by what `metrics` sees.
    pub(crate) async fn open(
        &self,
        id: &str,
        stable: &Release,
        candidate: &Release,
        metrics: impl MetricsSource,
    ) -> (Driver, Handle) {
        let mut spec = PlanSpec::canary("serving/fraud".parse().unwrap(), stable.clone(), candidate.clone());
        spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
        spec.bake_criteria = spec.criteria.clone();
        let step = |&(percent, soak)| Step {
            weight: Weight::percent(percent).unwrap(),
            soak,
            min_trials: 100,
            require: if percent == 50 { Require::Pass } else { Require::NoFailure },
            ..Step::default()
        };
        spec.steps = self.steps.iter().map(step).collect();
        spec.timing = Timing {
            bake: Duration::from_secs(1),
            drain: Duration::from_millis(500),
            window: Duration::from_millis(500),
            patience: Duration::from_secs(60),
            ..spec.timing
        };
        let world = World {
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            metrics: Arc::new(metrics),
            router: Arc::clone(&self.router),
            deployer: Arc::new(self.deployer.clone()),
            gates: Gatekeepers::default(),
            clock: WallClock::system(),
        };
        Driver::open(world, id.parse().unwrap(), spec.build().unwrap()).await.unwrap()
    }
}

fn stamp() -> Stamp {
    Stamp { by: "ada".to_owned(), at: WallClock::system().now() }
}
