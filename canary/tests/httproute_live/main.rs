//! The HTTPRoute router against a real API server.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test -p tidegate-canary --test httproute_live -- --ignored
//! ```
//!
//! The directory holds `kube-apiserver`; `etcd` and `kubectl` are taken from there or from the path, `openssl`
//! from the path. Any version of Kubernetes will do.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../cluster/mod.rs"]
mod cluster;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, RouteId, Traffic, TrafficRouter, Weight,
    kubernetes::{FENCE, HttpRoute},
    testkit::{
        fence,
        router::{self, Routes},
    },
};

use crate::cluster::{Cluster, route_at};

#[tokio::test]
#[ignore = "needs a kube-apiserver (KUBEBUILDER_ASSETS)"]
async fn a_real_kube_apiserver_keeps_the_contract() {
    let cluster = Cluster::start().await;
    let count = AtomicUsize::new(0);
    let make = async || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let (route, another) = (format!("default/fraud-{n}"), format!("default/spam-{n}"));
        for route in [&route, &another] {
            cluster.create_route(&object(route)).await;
        }
        Routes { router: router(&cluster), route: route.parse().unwrap(), another: another.parse().unwrap() }
    };
    let checks = async {
        router::a_new_route_is_all_stable(make).await;
        router::a_refused_call_changes_nothing(make).await;
        router::a_superseded_driver_cannot_even_repeat(make).await;
        router::a_superseded_driver_changes_nothing(make).await;
        router::applying_again_changes_nothing(make).await;
        router::driver_of_the_same_fence_may_act_again(make).await;
        router::every_promised_traffic_is_put_in_force(make).await;
        router::of_racing_drivers_the_latest_wins(make).await;
        router::routes_are_apart(make).await;
        router::the_last_traffic_replaces_the_one_before(make).await;
        router::traffic_is_seen_whole(make).await;
        router::what_is_not_promised_is_refused(make).await;
        what_others_wrote_in_between_is_kept(make().await, &cluster).await;
        what_does_not_exist_is_refused(&cluster).await;
    };
    tokio::select! {
        () = checks => {}
        () = cluster.accept_everything() => {}
    }
}

/// Sixteen writers change the object at once with the router; nobody's change is lost.
async fn what_others_wrote_in_between_is_kept(routes: Routes<HttpRoute>, cluster: &Cluster) {
    let others = futures::future::join_all((0..16).map(|n| {
        let route = routes.route.as_str();
        async move {
            cluster.merge(&route_at(route), &json!({"metadata": {"labels": {format!("l{n}"): "x"}}})).await
        }
    }));
    let ten = Traffic::split(Weight::percent(10).unwrap());
    let apply = async {
        while let Err(error) = routes.router.apply(&routes.route, &ten, fence(3)).await {
            assert!(matches!(error, ActuatorError::Unavailable { .. }), "{error:?}");
        }
    };
    futures::future::join(others, apply).await;
    let object = cluster.get(&route_at(routes.route.as_str())).await;
    assert_eq!(object["metadata"]["labels"].as_object().unwrap().len(), 16);
    assert_eq!(object["metadata"]["annotations"][FENCE], "3");
    let weights: Vec<_> = backends(&object).iter().map(|backend| backend["weight"].clone()).collect();
    assert_eq!(weights, [9_000, 0, 1_000]);
    assert_eq!(backends(&object)[0]["port"], 80);
}

async fn what_does_not_exist_is_refused(cluster: &Cluster) {
    let route: RouteId = "default/nobody".parse().unwrap();
    let error = router(cluster).observe(&route).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
}

fn router(cluster: &Cluster) -> HttpRoute {
    HttpRoute::new(cluster.client(), "stable", "candidate").with_baseline("baseline").with_rule("predict")
}

fn backends(object: &Value) -> &[Value] {
    object["spec"]["rules"][1]["backendRefs"].as_array().unwrap()
}

fn object(route: &str) -> Value {
    let (namespace, name) = route.split_once('/').unwrap();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"rules": [
            {"name": "health", "backendRefs": [{"name": "stable", "port": 80}]},
            {"name": "predict", "backendRefs": [
                {"name": "stable", "port": 80},
                {"name": "baseline", "port": 80, "weight": 0},
                {"name": "candidate", "port": 80, "weight": 0},
            ]},
        ]},
    })
}
