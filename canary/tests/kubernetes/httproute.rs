//! The HTTPRoute router.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Exception, Key, Observed, RouteId, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{FENCE, HttpRoute},
    testkit::{fence, router::Routes, router_conformance},
};

use crate::{
    api_server::{ApiServer, Fault, Gateway, HTTPROUTES},
    habits::{Case, FRAUD, habits, nonsense_is_refused},
    said, split,
};

router_conformance!(with_a_baseline, async || routes(true));
router_conformance!(without_a_baseline, async || routes(false));
router_conformance!(with_all, async || {
    let routes = routes(true);
    let router = routes.router.with_header_exceptions().with_cookie_exceptions().with_mirror();
    Routes { router, ..routes }
});
habits!(habits_of_an_httproute, case);

fn routes(baseline: bool) -> Routes<HttpRoute> {
    let server = ApiServer::with(HTTPROUTES, [(FRAUD, object()), ("serving/spam", object())]);
    let router = router(&server);
    let router = if baseline { router.with_baseline("fraud-baseline") } else { router };
    Routes { router, route: route(), another: "serving/spam".parse().unwrap() }
}

fn case() -> Case<HttpRoute> {
    let server = server();
    let router = router(&server);
    Case { router, server, object: FRAUD, resource: "httproutes.gateway.networking.k8s.io" }
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
    ApiServer::with(HTTPROUTES, [(FRAUD, object())])
}

fn router(server: &ApiServer) -> HttpRoute {
    HttpRoute::new(server.client(), "fraud-stable", "fraud-candidate").with_rule("predict")
}

fn route() -> RouteId {
    FRAUD.parse().unwrap()
}

fn backends(object: &mut Value) -> &mut Vec<Value> {
    object["spec"]["rules"][1]["backendRefs"].as_array_mut().unwrap()
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
    assert_eq!(seen.traffic.weight(Slot::Candidate), Weight::basis_points(3_333).unwrap());
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}

#[tokio::test(start_paused = true)]
async fn nonsense_in_an_httproute_is_refused() {
    nonsense_is_refused(case, "/spec/rules", "/spec/rules/1/backendRefs/1/weight").await;
    nonsense_is_refused(case, "/spec/rules/1/backendRefs", "/spec/rules/1/backendRefs/1/weight").await;
}

#[tokio::test]
async fn a_thousand_rules_are_no_hindrance() {
    let server = server();
    server.edit(FRAUD, |object| {
        let rules = object["spec"]["rules"].as_array_mut().unwrap();
        let others = (0..1_000).map(|n| json!({"name": format!("tidegate-{n}"), "backendRefs": 7}));
        rules.splice(1..1, others);
    });
    let router = router(&server).with_header_exceptions();
    let traffic = split(10).with_exceptions([tester(Key::Header("x-user".to_owned()))]);
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap().traffic, traffic);
    assert_eq!(server.object(FRAUD)["spec"]["rules"][1_001]["name"], "tidegate-predict-0");
    let unclear = HttpRoute::new(server.client(), "fraud-stable", "fraud-candidate");
    assert!(said(&unclear.observe(&route()).await.unwrap_err()).contains("1003 rules"));
    let lost = unclear.with_rule("score").observe(&route()).await.unwrap_err();
    assert!(said(&lost).len() < 1_000, "{}", said(&lost));
}

fn tester(key: Key) -> Exception {
    Exception { key, value: "tester".to_owned(), to: Slot::Candidate }
}

#[tokio::test]
async fn exceptions_need_a_named_rule() {
    let server = server();
    let router = HttpRoute::new(server.client(), "fraud-stable", "fraud-candidate");
    let router = router.with_header_exceptions().with_cookie_exceptions();
    let capabilities = router.capabilities();
    assert!(!capabilities.headers && !capabilities.cookies);
    let capabilities = router.with_rule("predict").capabilities();
    assert!(capabilities.headers && capabilities.cookies);
}

#[tokio::test]
async fn what_a_server_takes_for_granted_is_no_change() {
    let server = server();
    let router = router(&server).with_header_exceptions().with_mirror();
    let shadow = Traffic::stable().with_mirror(Weight::percent(5).unwrap());
    let traffic = shadow.with_exceptions([tester(Key::Header("x-user".to_owned()))]);
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    // As the definitions of Gateway API 1.3 default it.
    server.edit(FRAUD, |object| {
        let rules = object["spec"]["rules"].as_array_mut().unwrap();
        rules[1]["matches"][0]["path"] = json!({"type": "PathPrefix", "value": "/"});
        rules[1]["backendRefs"][0]["group"] = "".into();
        rules[1]["backendRefs"][0]["kind"] = "Service".into();
        rules[1]["backendRefs"][0]["weight"] = 1.into();
        rules[2]["filters"][0]["requestMirror"]["backendRef"]["kind"] = "Service".into();
    });
    let before = server.object(FRAUD);
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    assert_eq!(server.object(FRAUD), before);
    assert_eq!(router.observe(&route()).await.unwrap().traffic, traffic);
    router.apply(&route(), &Traffic::stable(), fence(7)).await.unwrap();
    assert_eq!(server.object(FRAUD)["spec"]["rules"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_rule_of_ours_that_somebody_else_changed_is_told_and_mended_by_removing_it() {
    let server = server();
    let router = router(&server).with_header_exceptions();
    let traffic = split(10).with_exceptions([tester(Key::Header("x-user".to_owned()))]);
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    server.edit(FRAUD, |object| object["spec"]["rules"][1]["backendRefs"][0]["name"] = "elsewhere".into());
    let error = router.observe(&route()).await.unwrap_err();
    assert!(said(&error).contains("`tidegate-predict-0`"), "{}", said(&error));
    server.edit(FRAUD, |object| drop(object["spec"]["rules"].as_array_mut().unwrap().remove(1)));
    assert_eq!(router.observe(&route()).await.unwrap().traffic, split(10));
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap().traffic, traffic);
}

#[tokio::test]
async fn sessions_are_refused() {
    let server = server();
    server.edit(FRAUD, |object| object["spec"]["rules"][1]["sessionPersistence"] = json!({"type": "Cookie"}));
    let error = router(&server).apply(&route(), &split(10), fence(7)).await.unwrap_err();
    assert!(said(&error).contains("`sessionPersistence`"), "{}", said(&error));
}

#[tokio::test(start_paused = true)]
async fn without_patience_a_busy_server_is_not_asked_again() {
    let server = server();
    server.fail(&Method::GET, [Fault::Busy(1)]);
    let router = router(&server).with_patience(Duration::ZERO);
    let error = router.observe(&route()).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("busy"), "{error:?}");
    assert_eq!(server.requests(&Method::GET), 1);
}
