//! The HTTPRoute router against an API server that stores, patches and fails.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod api_server;

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Observed, RouteId, Slot, Traffic, TrafficRouter, WallClock, Weight,
    kubernetes::{FENCE, HttpRoute},
    testkit::{fence, router::Routes, router_conformance},
};

use crate::api_server::{ApiServer, Fault, Gateway};

const FRAUD: &str = "serving/fraud";

router_conformance!(with_a_baseline, async || routes(true));
router_conformance!(without_a_baseline, async || routes(false));

fn routes(baseline: bool) -> Routes<HttpRoute> {
    let server = ApiServer::with([(FRAUD, object()), ("serving/spam", object())]);
    let router = router(&server);
    let router = if baseline { router.with_baseline("fraud-baseline") } else { router };
    Routes { router, route: route(), another: "serving/spam".parse().unwrap() }
}

/// Two rules, of which the second splits; much in it is no business of a router.
fn object() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "fraud", "namespace": "serving", "annotations": {"team": "risk"}},
        "spec": {
            "parentRefs": [{"name": "public"}],
            "rules": [
                {
                    "name": "health",
                    "matches": [{"path": {"value": "/health"}}],
                    "backendRefs": [{"name": "fraud-stable", "port": 80}],
                },
                {
                    "name": "predict",
                    "timeouts": {"request": "5s"},
                    "backendRefs": [
                        {"name": "fraud-candidate", "port": 80, "weight": 0},
                        {"name": "fraud-stable", "port": 80, "filters": [{"type": "RequestHeaderModifier"}]},
                        {"name": "fraud-baseline", "port": 80, "weight": 0},
                    ],
                },
            ],
        },
    })
}

fn server() -> ApiServer {
    ApiServer::with([(FRAUD, object())])
}

fn router(server: &ApiServer) -> HttpRoute {
    HttpRoute::new(server.client(), "fraud-stable", "fraud-candidate").with_rule("predict")
}

fn route() -> RouteId {
    FRAUD.parse().unwrap()
}

fn split(percent: u16) -> Traffic {
    Traffic::split(Weight::percent(percent).unwrap())
}

fn backends(object: &mut Value) -> &mut Vec<Value> {
    object["spec"]["rules"][1]["backendRefs"].as_array_mut().unwrap()
}

/// The error and its causes as one text.
fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test]
async fn only_weights_and_the_fence_are_written() {
    let server = server();
    let mut expected = server.object(FRAUD);
    router(&server).with_baseline("fraud-baseline").apply(&route(), &split(10), fence(7)).await.unwrap();
    for (backend, weight) in backends(&mut expected).iter_mut().zip([1_000, 9_000, 0]) {
        backend["weight"] = weight.into();
    }
    expected["metadata"]["annotations"][FENCE] = "7".into();
    let written = server.object(FRAUD);
    assert_eq!(written["spec"], expected["spec"]);
    assert_eq!(written["metadata"]["annotations"], expected["metadata"]["annotations"]);
}

#[tokio::test]
async fn a_side_without_traffic_has_weight_zero_not_none() {
    let server = server();
    router(&server).apply(&route(), &split(100), fence(1)).await.unwrap();
    assert_eq!(backends(&mut server.object(FRAUD))[1]["weight"], 0);
    router(&server).apply(&route(), &Traffic::stable(), fence(1)).await.unwrap();
    assert_eq!(backends(&mut server.object(FRAUD))[0]["weight"], 0);
}

#[tokio::test]
async fn an_object_without_annotations_gets_its_first() {
    let server = server();
    server.edit(FRAUD, |object| drop(object["metadata"].as_object_mut().unwrap().remove("annotations")));
    router(&server).apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(server.object(FRAUD)["metadata"]["annotations"], json!({FENCE: "7"}));
}

#[tokio::test]
async fn an_only_rule_needs_no_name() {
    let server = server();
    server.edit(FRAUD, |object| drop(object["spec"]["rules"].as_array_mut().unwrap().remove(0)));
    let router = HttpRoute::new(server.client(), "fraud-stable", "fraud-candidate");
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}

#[tokio::test]
async fn what_others_wrote_in_between_is_kept() {
    let server = server();
    let add_rule: fn(&mut Value) = |object| {
        object["spec"]["rules"].as_array_mut().unwrap().insert(0, json!({"name": "new"}));
    };
    server.fail(&Method::PATCH, [Fault::Overtake(|object| object["metadata"]["labels"] = json!({"a": "b"}))]);
    server.fail(&Method::PATCH, [Fault::Overtake(add_rule)]);
    router(&server).apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(server.requests(&Method::PATCH), 3);
    let object = server.object(FRAUD);
    assert_eq!(object["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(object["spec"]["rules"][0], json!({"name": "new"}));
    assert_eq!(object["spec"]["rules"][2]["backendRefs"][0]["weight"], 1_000);
    assert_eq!(router(&server).observe(&route()).await.unwrap().traffic, split(10));
}

#[tokio::test]
async fn a_driver_that_is_overtaken_between_reading_and_writing_is_fenced() {
    let server = server();
    server.fail(
        &Method::PATCH,
        [Fault::Overtake(|object| object["metadata"]["annotations"][FENCE] = "8".into())],
    );
    let answer = router(&server).apply(&route(), &split(10), fence(7)).await;
    let fenced = matches!(answer, Err(ActuatorError::Fenced { offered, held }) if offered == fence(7) && held == fence(8));
    assert!(fenced, "{answer:?}");
    assert_eq!(router(&server).observe(&route()).await.unwrap(), Observed::new(split(0), Some(fence(8))));
}

#[tokio::test]
async fn planning_again_has_an_end() {
    let server = server();
    let touch: fn(&mut Value) = |object| {
        let count = object["spec"]["count"].as_u64().unwrap_or_default();
        object["spec"]["count"] = (count + 1).into();
    };
    server.fail(&Method::PATCH, std::iter::repeat_n(Fault::Overtake(touch), 100));
    let error = router(&server).apply(&route(), &split(10), fence(7)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(server.requests(&Method::PATCH), 5);
}

#[tokio::test]
async fn a_change_that_the_server_does_not_accept_is_refused() {
    let server = server();
    server.fail(&Method::PATCH, [Fault::Answer(422)]);
    let error = router(&server).apply(&route(), &split(10), fence(7)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert_eq!(server.requests(&Method::PATCH), 1);
}

#[tokio::test]
async fn a_lost_answer_is_found_out_without_a_second_write() {
    let server = server();
    server.fail(&Method::PATCH, [Fault::Lose]);
    let router = router(&server);
    assert!(router.apply(&route(), &split(10), fence(7)).await.unwrap_err().is_transient());
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(server.requests(&Method::PATCH), 1);
}

#[tokio::test]
async fn refusals_are_told_from_outages() {
    for (code, transient) in
        [(400, false), (401, false), (403, false), (404, false), (429, true), (500, true), (503, true)]
    {
        for method in [Method::GET, Method::PATCH] {
            let server = server();
            server.fail(&method, [Fault::Answer(code)]);
            let error = router(&server).apply(&route(), &split(10), fence(7)).await.unwrap_err();
            assert_eq!(error.is_transient(), transient, "{method} {code}: {error:?}");
            assert!(said(&error).contains(FRAUD), "{}", said(&error));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_unavailable() {
    for method in [Method::GET, Method::PATCH] {
        let server = server();
        server.fail(&method, [Fault::Hang]);
        let clock = WallClock::starting_at(std::time::UNIX_EPOCH);
        let error = router(&server).apply(&route(), &split(10), fence(7)).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let took = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_a_remedy() {
    let server = server();
    let absent = "serving/other".parse().unwrap();
    let error = router(&server).observe(&absent).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("create it or correct the name"), "{}", said(&error));
}

#[tokio::test]
async fn an_object_that_does_not_fit_is_refused_with_a_remedy() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 6] = [
        (
            |object| object["spec"]["rules"][1]["name"] = "score".into(),
            &["`predict`", "health, score", "correct"],
        ),
        (|object| object["spec"]["rules"][0]["name"] = "predict".into(), &["2 rules", "name one"]),
        (|object| drop(backends(object).remove(0)), &["`predict`", "`fraud-candidate`", "add it"]),
        (
            |object| backends(object).push(json!({"name": "fraud-stable"})),
            &["`fraud-stable`", "more than once"],
        ),
        (|object| backends(object).push(json!({"name": "shadow"})), &["`shadow`", "set its weight to 0"]),
        (
            |object| object["metadata"]["annotations"][FENCE] = "-1".into(),
            &[FENCE, "`-1`", "remove the annotation"],
        ),
    ];
    for (change, words) in cases {
        let server = server();
        server.edit(FRAUD, change);
        let before = server.object(FRAUD);
        let router = router(&server);
        let errors = [
            router.apply(&route(), &split(10), fence(7)).await.unwrap_err(),
            router.observe(&route()).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
            let said = said(&error);
            assert!(words.iter().chain([&FRAUD]).all(|word| said.contains(word)), "{said}");
        }
        assert_eq!(server.object(FRAUD), before);
    }
}

#[tokio::test]
async fn a_rule_that_sends_nothing_anywhere_can_be_mended() {
    let server = server();
    server.edit(FRAUD, |object| backends(object)[1]["weight"] = 0.into());
    let router = router(&server);
    assert!(said(&router.observe(&route()).await.unwrap_err()).contains("sends nothing anywhere"));
    router.apply(&route(), &Traffic::stable(), fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap().traffic, Traffic::stable());
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_unasked() {
    let server = server();
    for name in
        ["fraud", "a/b/c", "../fraud", "Serving/fraud", "serving/", "serving/fraud?dryRun=All", "a/b%2e"]
    {
        let error = router(&server).observe(&name.parse().unwrap()).await.unwrap_err();
        assert!(said(&error).contains("`namespace/name`"), "{}", said(&error));
    }
    assert_eq!(server.requests(&Method::GET), 0);
}

#[tokio::test]
async fn traffic_is_in_force_only_when_the_gateway_says_so() {
    let server = server();
    let router = router(&server);
    for (gateway, word) in [
        (Gateway::Sleeps, "generation"),
        (Gateway::Rejects, "Service fraud-candidate not found"),
        (Gateway::Drops, "Dropped Rule 0"),
    ] {
        server.gateway(gateway);
        let percent = 10 + server.requests(&Method::PATCH) as u16;
        router.apply(&route(), &split(percent), fence(7)).await.unwrap();
        let error = router.observe(&route()).await.unwrap_err();
        assert!(error.is_transient() && said(&error).contains(word), "{}", said(&error));
        server.gateway(Gateway::Accepts);
        assert_eq!(router.observe(&route()).await.unwrap().traffic, split(percent));
    }
    server.gateway(Gateway::Sleeps);
    server.edit(FRAUD, |object| object["status"] = json!({"parents": []}));
    assert!(said(&router.observe(&route()).await.unwrap_err()).contains("parentRefs"));
}

#[tokio::test]
async fn what_others_did_to_the_weights_is_seen_and_mended() {
    let server = server();
    let router = router(&server).with_baseline("fraud-baseline");
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    server.edit(FRAUD, |object| {
        backends(object)
            .iter_mut()
            .zip([1, 2, 0])
            .for_each(|(backend, weight)| backend["weight"] = weight.into());
    });
    let seen = router.observe(&route()).await.unwrap();
    assert_eq!(seen.traffic.weight(Slot::Candidate), Weight::basis_points(3_334).unwrap());
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}
