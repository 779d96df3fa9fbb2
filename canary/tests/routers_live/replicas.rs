//! Replicas behind one Service, with the controllers that make them.

use std::num::NonZeroU16;

use serde_json::{Value, json};
use tidegate_canary::{ActuatorError, TrafficRouter, kubernetes::ReplicaRatio, testkit::fence};

use crate::{
    bench::Bench,
    cluster::{self, Cluster, rights::said},
    split,
};

const TOTAL: NonZeroU16 = NonZeroU16::new(10).unwrap();

pub(crate) const BENCH: Bench<ReplicaRatio> = Bench {
    router: |client| ReplicaRatio::new(client, TOTAL).with_baseline(),
    objects: |name| {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "serving"},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        });
        let slots = [("stable", TOTAL.get()), ("baseline", 0), ("candidate", 0)];
        let deployments = slots.map(|(slot, replicas)| {
            let deployment = format!("{name}-{slot}");
            (at(&deployment), object(&deployment, &json!({"app": name, "slot": slot}), replicas))
        });
        let service = (format!("api/v1/namespaces/serving/services/{name}"), service);
        [service].into_iter().chain(deployments).collect()
    },
    weighed: |name| at(&format!("{name}-candidate")),
    meddle: |object| {
        assert_eq!(object["spec"]["replicas"], 1);
        object["spec"]["replicas"] = 3.into();
    },
    resource: "services",
};

/// A Deployment that is to have replicas but is not there, and one whose pods never start.
pub(crate) async fn what_is_missing_is_said(cluster: &Cluster) {
    let router = (BENCH.router)(cluster.client());
    let route = BENCH.route(cluster, "gone").await;
    cluster.delete(&at("gone-candidate")).await;
    let refused = until(&router, "serving/gone", |error| !error.is_transient()).await;
    assert!(said(&refused).contains("Deployment serving/gone-candidate"), "{}", said(&refused));
    assert!(said(&refused).contains("create it or correct its name"), "{}", said(&refused));
    // Nobody has lost a replica to it.
    assert_eq!(cluster.get(&at("gone-stable")).await["spec"]["replicas"], 10);

    let mut sick = object("gone-candidate", &json!({"app": "gone", "slot": "candidate"}), 0);
    sick["spec"]["template"]["spec"]["containers"][0]["image"] = "r.example/fraud:1.5.0-bad".into();
    cluster.create("apis/apps/v1/namespaces/serving/deployments", &sick).await;
    let short = |error: &ActuatorError| {
        said(error).contains("0 replicas are ready and 1 are there, but 1 are wanted")
    };
    let later = until(&router, "serving/gone", short).await;
    assert!(later.is_transient(), "{}", said(&later));
    assert_eq!(cluster.get(&at("gone-stable")).await["spec"]["replicas"], 10);
    assert!(router.observe(&route).await.unwrap_err().is_transient());
}

/// What is said to a driver that wants 10 % until it is what is waited for.
#[expect(clippy::future_not_send, reason = "a test runs in one thread")]
async fn until(router: &ReplicaRatio, route: &str, wanted: impl Fn(&ActuatorError) -> bool) -> ActuatorError {
    cluster::until(route, async || match router.apply(&route.parse().unwrap(), &split(10), fence(1)).await {
        Err(error) if wanted(&error) => Ok(error),
        answer => Err(answer),
    })
    .await
}

fn object(name: &str, labels: &Value, replicas: u16) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "serving"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "server", "image": "r.example/fraud:1.4.0"}],
                },
            },
        },
    })
}

fn at(name: &str) -> String {
    format!("apis/apps/v1/namespaces/serving/deployments/{name}")
}
