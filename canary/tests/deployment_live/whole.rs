//! Whole rollouts on a cluster, with the rights and the objects of the examples.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_canary::{
    Deployer, Driver, Gatekeepers, PlanSpec, Readiness, Release, Slot, State, Timing, Traffic, TrafficRouter,
    WallClock, Weight, Workload, World,
    kubernetes::HttpRoute,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Statistic,
        Window,
    },
    testkit::fence,
};
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelRef, ModelStore, Stamp,
};

use crate::{
    cluster::{Cluster, route_at},
    insist,
    rights::{deployer, router, with_examples},
};

/// 10 000 requests a window, split as the route says, of which so many in a thousand fail on the candidate.
#[derive(Debug)]
struct Requests {
    router: HttpRoute,
    failing: u64,
}

#[async_trait]
impl MetricsSource for Requests {
    async fn observe(
        &self,
        metric: &Metric,
        side: &Selector,
        _: Window,
    ) -> Result<Measurement, metrics::Error> {
        let route = side.get("route").unwrap().parse().unwrap();
        let traffic = self.router.observe(&route).await.map(|observed| observed.traffic);
        let (slot, failing) = match side.get("slot") {
            Some("candidate") => (Slot::Candidate, self.failing),
            _ => (Slot::Stable, 2),
        };
        let trials = traffic.map_or(0, |traffic| u64::from(traffic.weight(slot).as_basis_points()));
        Ok(match metric.as_str() {
            Metric::ERRORS if trials > 0 => {
                let failed = failing * trials / 1_000;
                Measurement::Observed(Observation::proportion(failed, trials).unwrap())
            }
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synthetic requests")
    }
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn whole_canaries_on_a_kube_apiserver_promote_and_roll_back() {
    let cluster = with_examples().await;
    tokio::select! {
        () = rollouts(&cluster) => {}
        () = cluster.run_pods() => {}
        () = cluster.accept_everything() => {}
    }
}

async fn rollouts(cluster: &Cluster) {
    let store = InMemory::default();
    let at = WallClock::system().now();
    let publish = async |model: &str| {
        let model: ModelRef = model.parse().unwrap();
        let content = Content::bytes([("weights.bin".parse().unwrap(), model.to_string().into())]);
        let draft = Draft::new(model, Stamp { by: "ada".to_owned(), at });
        Release::from(&store.publish(draft, content, &()).await.unwrap())
    };
    let first = publish("fraud@1.0.0").await;
    let (second, third) = (publish("fraud@1.1.0").await, publish("fraud@1.2.0").await);
    let channels = Channels::new(Arc::new(store.clone()));
    let (production, stamp) = (Channel::production(), Stamp { by: "ada".to_owned(), at });
    let moved =
        channels.promote(&first.model, &production, &Expect::Absent, Cause::Promote, stamp.clone()).await;
    channels.settle(first.model.name(), &production, moved.unwrap().seq, stamp).await.unwrap();
    let stable = Workload { slot: Slot::Stable, release: first.clone(), share: Weight::FULL };
    insist(&deployer(cluster), &stable, 1).await;

    let end = drive(cluster, &store, 1, "ci-1", &first, &second).await;
    assert_eq!(end, State::Promoted);
    rests_on(cluster, &second, &[10_000, 0]).await;

    let end = drive(cluster, &store, 300, "ci-2", &second, &third).await;
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    rests_on(cluster, &second, &[10_000, 0]).await;
}

async fn drive(
    cluster: &Cluster,
    store: &InMemory,
    failing: u64,
    id: &str,
    stable: &Release,
    candidate: &Release,
) -> State {
    let mut spec = PlanSpec::canary("serving/fraud".parse().unwrap(), stable.clone(), candidate.clone());
    spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
    spec.bake_criteria = spec.criteria.clone();
    spec.steps.iter_mut().for_each(|step| step.soak = Duration::ZERO);
    spec.timing = Timing {
        bake: Duration::from_secs(1),
        drain: Duration::from_millis(500),
        window: Duration::from_millis(500),
        patience: Duration::from_secs(60),
        ..spec.timing
    };
    let world = World {
        store: Arc::new(store.clone()),
        log: Arc::new(store.clone()),
        metrics: Arc::new(Requests { router: router(cluster), failing }),
        router: Arc::new(router(cluster)),
        deployer: Arc::new(deployer(cluster)),
        gates: Gatekeepers::default(),
        clock: WallClock::system(),
    };
    let (driver, _handle) = Driver::open(world, id.parse().unwrap(), spec.build().unwrap()).await.unwrap();
    driver.run().await.unwrap()
}

/// Only stable runs, and all traffic goes there.
async fn rests_on(cluster: &Cluster, release: &Release, weights: &[u16]) {
    let deployer = deployer(cluster);
    let ready = Readiness::Ready { release: release.clone() };
    assert_eq!(deployer.status(Slot::Stable).await.unwrap(), ready);
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let observed = router(cluster).observe(&"serving/fraud".parse().unwrap()).await.unwrap();
    assert_eq!(observed.traffic, Traffic::stable());
    let route = cluster.get(&route_at("serving/fraud")).await;
    let backends = route["spec"]["rules"][0]["backendRefs"].as_array().unwrap();
    let seen: Vec<&Value> = backends.iter().map(|backend| &backend["weight"]).collect();
    assert_eq!(json!(seen), json!(weights));
    let pods = cluster.get("api/v1/namespaces/serving/pods").await;
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 4);
    let image = format!("registry.example/fraud-server:{}", release.model.version());
    assert!(pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == *image));
    let late = deployer.remove(Slot::Stable, fence(1)).await.unwrap_err();
    assert!(!late.is_transient(), "a driver of before could still act: {late}");
}
