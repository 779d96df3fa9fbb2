//! The VirtualService router.

use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Exception, Key, Observed, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{Destination, FENCE, VirtualService},
    testkit::{
        fence,
        router::{self, Routes},
        router_conformance,
    },
};

use crate::{
    api_server::{ApiServer, VIRTUALSERVICES},
    habits::{Case, FRAUD, habits, nonsense_is_refused},
    said, split,
};

router_conformance!(virtual_service_with_a_baseline, async || routes(true));
router_conformance!(virtual_service_without_a_baseline, async || routes(false));
habits!(habits_of_a_virtual_service, case);

fn routes(baseline: bool) -> Routes<VirtualService> {
    let server = ApiServer::with(VIRTUALSERVICES, [(FRAUD, object()), ("serving/spam", object())]);
    let router = router(&server);
    let router = if baseline { router.with_baseline(subset("baseline")) } else { router };
    Routes { router, route: FRAUD.parse().unwrap(), another: "serving/spam".parse().unwrap() }
}

fn case() -> Case<VirtualService> {
    let server = ApiServer::with(VIRTUALSERVICES, [(FRAUD, object())]);
    let resource = "virtualservices.networking.istio.io";
    Case { router: router(&server), server, object: FRAUD, resource }
}

fn router(server: &ApiServer) -> VirtualService {
    VirtualService::new(server.client(), subset("stable"), subset("candidate")).with_rule("predict")
}

fn subset(name: &str) -> Destination {
    Destination::subset("fraud", name)
}

fn object() -> Value {
    let to =
        |subset: &str| json!({"destination": {"host": "fraud", "subset": subset, "port": {"number": 80}}});
    let mut routes = ["stable", "candidate", "baseline"].map(to);
    routes[0]["weight"] = 100.into();
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "fraud", "namespace": "serving", "annotations": {"team": "risk"}},
        "spec": {
            "hosts": ["fraud.example"],
            "http": [
                {"name": "health", "match": [{"uri": {"exact": "/health"}}], "route": [to("stable")]},
                {"name": "predict", "retries": {"attempts": 2}, "route": routes},
            ],
        },
    })
}

#[tokio::test]
async fn weights_are_whole_per_cents_that_sum_to_a_hundred() {
    let Case { router, server, .. } = case();
    let router = router.with_baseline(subset("baseline"));
    let traffic = split(7).with_baseline(Weight::percent(5).unwrap()).unwrap();
    router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
    let written = server.object(FRAUD);
    let weights = [0, 1, 2].map(|n| written["spec"]["http"][1]["route"][n]["weight"].clone());
    assert_eq!(weights, [88, 7, 5]);
    assert_eq!(written["metadata"]["annotations"], json!({"team": "risk", FENCE: "7"}));
    assert_eq!(written["spec"]["http"][0], object()["spec"]["http"][0]);
}

/// With copies it keeps all of the contract, but that copies and a split go together.
#[tokio::test]
async fn copies_beside_a_split_are_refused_and_alone_are_made() {
    let make = async || {
        let Routes { router, route, another } = routes(true);
        Routes { router: router.with_mirror(), route, another }
    };
    router::a_new_route_is_all_stable(make).await;
    router::applying_again_changes_nothing(make).await;
    router::the_last_traffic_replaces_the_one_before(make).await;
    router::what_is_not_promised_is_refused(make).await;
    let Routes { router, route, .. } = make().await;
    for percent in [1, 20, 100] {
        let shadow = Traffic::stable().with_mirror(Weight::percent(percent).unwrap());
        router.apply(&route, &shadow, fence(1)).await.unwrap();
        assert_eq!(router.observe(&route).await.unwrap(), Observed::new(shadow, Some(fence(1))));
        let beside = split(10).with_mirror(Weight::percent(percent).unwrap());
        let error = router.apply(&route, &beside, fence(2)).await.unwrap_err();
        assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
        assert!(said(&error).contains("copies beside a split"), "{}", said(&error));
    }
    assert_eq!(router.observe(&route).await.unwrap().fence, Some(fence(1)));
}

#[tokio::test]
async fn hosts_are_sides_as_well() {
    let Case { server, .. } = case();
    server.edit(FRAUD, |object| {
        let to = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
        object["spec"]["http"] = json!([{"route": [to("fraud-2", 0), to("fraud-1", 100)]}]);
    });
    let router =
        VirtualService::new(server.client(), Destination::host("fraud-1"), Destination::host("fraud-2"));
    router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await.unwrap();
    assert_eq!(server.object(FRAUD)["spec"]["http"][0]["route"][0]["weight"], 30);
    let capabilities = router.capabilities();
    assert!(!capabilities.headers && !capabilities.cookies && !capabilities.mirror && !capabilities.baseline);
}

#[tokio::test]
async fn what_does_not_fit_a_virtual_service_is_refused_with_a_remedy() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 5] = [
        (
            |object| object["spec"]["http"][1]["name"] = "score".into(),
            &["`predict`", "health, score", "spec.http[].name"],
        ),
        (|object| object["spec"]["http"][0]["name"] = "predict".into(), &["2 rules", "spec.http"]),
        (|object| object["spec"]["http"][1]["route"] = json!([]), &["`fraud/stable`", "add it"]),
        (
            |object| object["spec"]["http"][1]["route"][2]["weight"] = 1.into(),
            &["`fraud/baseline`", "no side of this route"],
        ),
        (
            |object| object["spec"]["http"][1]["route"][1] = object["spec"]["http"][1]["route"][0].clone(),
            &["`fraud/stable`", "more than once"],
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
async fn nonsense_in_a_virtual_service_is_refused() {
    nonsense_is_refused(case, "/spec/http", "/spec/http/1/route/0/weight").await;
    nonsense_is_refused(case, "/spec/http/1/route", "/spec/http/1/route/0/weight").await;
}

#[tokio::test]
async fn exceptions_hold_in_their_order() {
    let Case { router, server, .. } = case();
    let exception =
        |value: &str, to| Exception { key: Key::Header("x-user".to_owned()), value: value.to_owned(), to };
    let traffic = split(10).with_exceptions([
        exception("a", Slot::Candidate),
        exception("b", Slot::Stable),
        exception("a", Slot::Stable),
    ]);
    router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
    assert_eq!(router.observe(&FRAUD.parse().unwrap()).await.unwrap().traffic, traffic);
    let names: Vec<_> = server.object(FRAUD)["spec"]["http"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["name"].clone())
        .collect();
    assert_eq!(
        names,
        ["health", "tidegate-predict-0", "tidegate-predict-1", "tidegate-predict-2", "predict"]
    );
}
