//! Whole rollouts on a cluster, with the rights and the objects of the examples.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_canary::{
    Deployer, Readiness, Release, Slot, State, Traffic, TrafficRouter,
    kubernetes::HttpRoute,
    metrics::{self, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
    testkit::fence,
};

use crate::{
    cluster::{Cluster, route_at},
    rights::{deployer, router, with_examples},
    rollout::Ground,
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
    let cluster = with_examples(&["rbac.yaml", "services.yaml", "route.yaml"]).await;
    tokio::select! {
        () = rollouts(&cluster) => {}
        () = cluster.run_pods() => {}
        () = cluster.accept_everything() => {}
    }
}

async fn rollouts(cluster: &Cluster) {
    let ground = Ground::new(cluster, Arc::new(router(cluster)));
    let first = ground.first("fraud@1.0.0").await;
    let (second, third) = (ground.publish("fraud@1.1.0").await, ground.publish("fraud@1.2.0").await);
    let requests = |failing| Requests { router: router(cluster), failing };

    let (driver, _handle) = ground.open("ci-1", &first, &second, requests(1)).await;
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
    rests_on(cluster, &second, &[10_000, 0]).await;

    let (driver, _handle) = ground.open("ci-2", &second, &third, requests(300)).await;
    let end = driver.run().await.unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    rests_on(cluster, &second, &[10_000, 0]).await;
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
