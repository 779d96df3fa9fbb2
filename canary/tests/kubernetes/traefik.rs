//! The TraefikService router.

use serde_json::{Value, json};
use tidegate_canary::{
    Observed, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{FENCE, TraefikService},
    testkit::{fence, router::Routes, router_conformance},
};

use crate::{
    api_server::{ApiServer, TRAEFIKSERVICES},
    habits::{Case, FRAUD, habits, nonsense_is_refused},
    said, split,
};

router_conformance!(traefik_with_a_baseline, async || routes(true));
router_conformance!(traefik_without_a_baseline, async || routes(false));
habits!(habits_of_a_traefikservice, case);

fn routes(baseline: bool) -> Routes<TraefikService> {
    let server = ApiServer::with(TRAEFIKSERVICES, [(FRAUD, object()), ("serving/spam", object())]);
    let router = router(&server);
    let router = if baseline { router.with_baseline("fraud-baseline") } else { router };
    Routes { router, route: FRAUD.parse().unwrap(), another: "serving/spam".parse().unwrap() }
}

fn case() -> Case<TraefikService> {
    let server = ApiServer::with(TRAEFIKSERVICES, [(FRAUD, object())]);
    Case { router: router(&server), server, object: FRAUD, resource: "traefikservices.traefik.io" }
}

fn router(server: &ApiServer) -> TraefikService {
    TraefikService::new(server.client(), "fraud-stable", "fraud-candidate")
}

fn object() -> Value {
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": "fraud", "namespace": "serving"},
        "spec": {"weighted": {"services": [
            {"name": "fraud-stable", "port": 80, "scheme": "h2c"},
            {"name": "fraud-baseline", "port": 80, "weight": 0},
            {"name": "fraud-candidate", "port": 80, "weight": 0},
        ]}},
    })
}

#[tokio::test]
async fn only_weights_of_services_and_the_fence_are_written() {
    let Case { router, server, .. } = case();
    let mut expected = server.object(FRAUD)["spec"].clone();
    let traffic = Traffic::split(Weight::basis_points(1_250).unwrap());
    let traffic = traffic.with_baseline(Weight::percent(10).unwrap()).unwrap();
    router.with_baseline("fraud-baseline").apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
    for (n, weight) in [7_750, 1_000, 1_250].into_iter().enumerate() {
        expected["weighted"]["services"][n]["weight"] = weight.into();
    }
    let written = server.object(FRAUD);
    assert_eq!(written["spec"], expected);
    assert_eq!(written["metadata"]["annotations"], json!({FENCE: "7"}));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_a_remedy() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 5] = [
        (|object| object["spec"] = json!({"mirroring": {"name": "fraud-stable"}}), &["spec.weighted"]),
        (|object| object["spec"]["weighted"]["sticky"] = json!({"cookie": {}}), &["`sticky`", "new users"]),
        (
            |object| object["spec"]["weighted"]["services"][2]["name"] = "fraud-stable".into(),
            &["`fraud-stable`", "more than once"],
        ),
        (
            |object| object["spec"]["weighted"]["services"][0]["name"] = "other".into(),
            &["`fraud-stable`", "add it"],
        ),
        (
            |object| object["spec"]["weighted"]["services"][1]["weight"] = 1.into(),
            &["`fraud-baseline`", "no side of this route"],
        ),
    ];
    for (change, words) in cases {
        let Case { router, server, .. } = case();
        server.edit(FRAUD, change);
        let error = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap_err();
        assert!(words.iter().all(|word| said(&error).contains(word)), "{}", said(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_in_a_traefikservice_is_refused() {
    nonsense_is_refused(case, "/spec/weighted/services", "/spec/weighted/services/0/weight").await;
}

#[tokio::test]
async fn odd_weights_of_others_are_seen() {
    let Case { router, server, .. } = case();
    server.edit(FRAUD, |object| object["spec"]["weighted"]["services"][2]["weight"] = u32::MAX.into());
    let Observed { traffic, .. } = router.observe(&FRAUD.parse().unwrap()).await.unwrap();
    assert_eq!(traffic.weight(Slot::Candidate), Weight::basis_points(9_999).unwrap());
}
