//! Whole rollouts on a cluster without a router: weights are numbers of replicas, and what a side gets is counted in
//! pods that are ready.

use std::{
    collections::BTreeSet,
    fmt,
    num::NonZeroU16,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};
use tidegate_canary::{
    Deployer, Observed, Readiness, Release, Request, Slot, State, Traffic, TrafficRouter, Weight,
    kubernetes::{Deployments, FENCE, ReplicaRatio},
    metrics::{self, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
    testkit::fence,
};

use crate::{
    at, becomes_ready,
    cluster::{
        Cluster,
        rights::{TIDEGATE, said},
    },
    is_ready, refused,
    rights::with_examples,
    rollout::Ground,
    says, workload,
};

/// As many as the examples' template has.
const TOTAL: NonZeroU16 = NonZeroU16::new(4).unwrap();

/// Pods of the Service that are ready, as it would find them.
#[derive(Clone, Debug)]
struct Pods(Api<DynamicObject>);

/// 2 500 requests a window and pod, of which so many in a thousand fail on the candidate.
#[derive(Debug)]
struct Requests {
    pods: Pods,
    failing: u64,
    seen: Arc<Mutex<BTreeSet<[u64; 2]>>>,
}

impl Pods {
    fn of(cluster: &Cluster) -> Self {
        let kind = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
        };
        Self(Api::namespaced_with(cluster.client(), "serving", &kind))
    }

    /// How many there are of stable and of the candidate.
    async fn ready(&self) -> [u64; 2] {
        let all = ListParams::default().labels("app.kubernetes.io/name=fraud");
        let pods = self.0.list(&all).await.unwrap().items;
        let ready = |pod: &&DynamicObject| {
            let conditions = pod.data["status"]["conditions"].as_array();
            let ready = |said: &Value| said["type"] == "Ready" && said["status"] == "True";
            pod.metadata.deletion_timestamp.is_none() && conditions.is_some_and(|all| all.iter().any(ready))
        };
        ["stable", "candidate"].map(|slot| {
            let here = |pod: &&DynamicObject| {
                pod.metadata.labels.as_ref().is_some_and(|labels| labels["tidegate.dev/slot"] == slot)
            };
            pods.iter().filter(ready).filter(here).count().try_into().unwrap()
        })
    }
}

#[async_trait]
impl MetricsSource for Requests {
    async fn observe(
        &self,
        metric: &Metric,
        side: &Selector,
        _: Window,
    ) -> Result<Measurement, metrics::Error> {
        let pods = self.pods.ready().await;
        self.seen.lock().unwrap().insert(pods);
        let (pods, failing) = match side.get("slot") {
            Some("candidate") => (pods[1], self.failing),
            _ => (pods[0], 2),
        };
        Ok(match metric.as_str() {
            Metric::ERRORS if pods > 0 => {
                let trials = 2_500 * pods;
                Measurement::Observed(Observation::proportion(failing * trials / 1_000, trials).unwrap())
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
async fn whole_canaries_by_replicas_on_a_kube_apiserver() {
    let cluster = with_examples(&["rbac.yaml", "route-replicas.yaml"]).await;
    tokio::select! {
        () = async {
            what_others_made_is_scaled_too(&cluster).await;
            rollouts(&cluster).await;
        } => {}
        () = cluster.run_pods() => {}
    }
}

async fn rollouts(cluster: &Cluster) {
    let mut ground = Ground::new(cluster, Arc::new(router(cluster)));
    ground.deployer = ground.deployer.with_replicas_by_ratio();
    ground.steps = [25, 50, 100].map(|percent| (percent, Duration::ZERO)).to_vec();
    let first = ground.first("fraud@1.0.0").await;
    let [second, third, fourth] = [
        ground.publish("fraud@1.1.0").await,
        ground.publish("fraud@1.2.0").await,
        ground.publish("fraud@1.3.0").await,
    ];
    let seen = Arc::default();
    let requests = |failing| Requests { pods: Pods::of(cluster), failing, seen: Arc::clone(&seen) };
    let weights = || std::mem::take(&mut *seen.lock().unwrap());

    let (driver, _handle) = ground.open("ci-1", &first, &second, requests(1)).await;
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
    // While it was judged, and while it baked.
    assert_eq!(weights(), BTreeSet::from([[3, 1], [2, 2], [0, 4], [4, 0]]));
    rests_on(cluster, &ground, &second).await;

    let (driver, _handle) = ground.open("ci-2", &second, &third, requests(300)).await;
    let end = driver.run().await.unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    assert!(weights().is_subset(&BTreeSet::from([[3, 1], [4, 0]])));
    rests_on(cluster, &ground, &second).await;

    ground.steps[1].1 = Duration::from_secs(600);
    let (driver, handle) = ground.open("ci-3", &second, &fourth, requests(1)).await;
    let abort = async {
        while !seen.lock().unwrap().contains(&[2, 2]) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        handle.ask(Request::Abort { by: "ada".to_owned(), reason: "an incident".to_owned() }).await.unwrap();
    };
    let (end, ()) = futures::join!(driver.run(), abort);
    let end = end.unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    rests_on(cluster, &ground, &second).await;
}

/// A Deployment that belongs to somebody else, and stays theirs but for what the router sets.
async fn what_others_made_is_scaled_too(cluster: &Cluster) {
    let labels = json!({"app.kubernetes.io/name": "fraud", "tidegate.dev/slot": "stable"});
    let theirs = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "fraud-stable", "namespace": "serving", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": says("fraud@1.0.0")},
                "spec": {"containers": [{"name": "server", "image": "registry.example/fraud-server:1.0.0"}]},
            },
        },
    });
    cluster.create("apis/apps/v1/namespaces/serving/deployments", &theirs).await;
    let template = json!({
        "metadata": {"name": "fraud"},
        "spec": {"replicas": 4, "template": {"spec": {"containers": [{"name": "server"}]}}},
    });
    let deployer = Deployments::new(cluster.client_by(TIDEGATE), "serving", &template).unwrap();
    let deployer = deployer.with_image("server", "registry.example/fraud-server:{version}").unwrap();
    let deployer = deployer.with_replicas_by_ratio();
    let (router, route) = (router(cluster), "serving/fraud".parse().unwrap());
    becomes_ready(&deployer, &workload(Slot::Candidate, "fraud@1.1.0", 25), 1).await;
    for (n, percent) in [(1, 25), (2, 50), (3, 0)] {
        let stable = workload(Slot::Stable, "fraud@1.0.0", 100);
        becomes_ready(&deployer, &stable, n).await;
        let traffic = Traffic::split(Weight::percent(percent).unwrap());
        while let Err(error) = router.apply(&route, &traffic, fence(n)).await {
            assert!(error.is_transient(), "{}", said(&error));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        is_ready(&deployer, &stable).await;
        let replicas = &cluster.get(&at("fraud-stable")).await["spec"]["replicas"];
        assert_eq!(*replicas, 4 - percent / 25);
    }
    let next = workload(Slot::Stable, "fraud@1.1.0", 100);
    refused(
        &deployer.ensure(&next, fence(3)).await.unwrap_err(),
        &["image", "\"ada\"", "hand the object over"],
    );
    for name in ["fraud-stable", "fraud-candidate"] {
        cluster.delete(&at(name)).await;
    }
    cluster.kubectl(&["delete", "configmap", "fraud-tidegate", "-n", "serving"]);
    cluster.kubectl(&[
        "annotate",
        "service",
        "fraud",
        "-n",
        "serving",
        &format!("{FENCE}-"),
        "tidegate.dev/replicas-",
    ]);
    while Pods::of(cluster).ready().await != [0, 0] {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Only stable runs, with all replicas, whose number is the router's.
async fn rests_on(cluster: &Cluster, ground: &Ground, release: &Release) {
    let ready = Readiness::Ready { release: release.clone() };
    assert_eq!(ground.deployer.status(Slot::Stable).await.unwrap(), ready);
    assert_eq!(ground.deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let Observed { traffic, .. } = ground.router.observe(&"serving/fraud".parse().unwrap()).await.unwrap();
    assert_eq!(traffic, Traffic::stable());
    assert_eq!(traffic.weight(Slot::Stable), Weight::FULL);
    assert_eq!(Pods::of(cluster).ready().await, [4, 0]);
    let stable = cluster.get(&at("fraud-stable")).await;
    assert_eq!(stable["spec"]["replicas"], 4);
    let owners = stable["metadata"]["managedFields"].as_array().unwrap().iter();
    let owners = owners.filter(|entry| !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null());
    let owners: Vec<_> = owners.map(|entry| (&entry["manager"], &entry["operation"])).collect();
    assert_eq!(owners, [(&"tidegate".into(), &"Update".into())]);
}

fn router(cluster: &Cluster) -> ReplicaRatio {
    ReplicaRatio::new(cluster.client_by(TIDEGATE), TOTAL)
}
