//! The router by a canary Ingress.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Exception, Key, Observed, Slot, Traffic, TrafficRouter,
    kubernetes::{CanaryIngress, FENCE},
    testkit::{fence, router::Routes, router_conformance},
};

use crate::{
    api_server::{ApiServer, Fault, INGRESSES},
    habits::{Case, FRAUD, habits},
    said, split,
};

const CANARY: &str = "serving/fraud-tidegate";

router_conformance!(canary_ingress, async || {
    let server = ApiServer::with(INGRESSES, [(FRAUD, object()), ("serving/spam", object())]);
    Routes {
        router: router(&server),
        route: FRAUD.parse().unwrap(),
        another: "serving/spam".parse().unwrap(),
    }
});
habits!(habits_of_a_canary_ingress, case);

fn case() -> Case<CanaryIngress> {
    let server = ApiServer::with(INGRESSES, [(FRAUD, object())]);
    Case { router: router(&server), server, object: CANARY, resource: "ingresses.networking.k8s.io" }
}

fn router(server: &ApiServer) -> CanaryIngress {
    CanaryIngress::new(server.client(), "fraud-stable", "fraud-candidate")
}

fn object() -> Value {
    let path = |path: &str, service: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}});
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "fraud",
            "namespace": "serving",
            "annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/", "kubernetes.io/ingress.class": "nginx"},
        },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["fraud.example"], "secretName": "fraud"}],
            "rules": [
                {"host": "fraud.example", "http": {"paths": [path("/v1", "fraud-stable"), path("/docs", "docs")]}},
                {"host": "docs.example", "http": {"paths": [path("/", "docs")]}},
            ],
        },
    })
}

fn tester(key: Key, value: &str, to: Slot) -> Exception {
    Exception { key, value: value.to_owned(), to }
}

fn header() -> Key {
    Key::Header("x-user".to_owned())
}

#[tokio::test]
async fn the_canary_has_the_paths_to_stable_and_its_own_annotations() {
    let Case { router, server, .. } = case();
    let main = server.object(FRAUD);
    let traffic = split(10).with_exceptions([tester(header(), "tester", Slot::Candidate)]);
    router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
    let canary = server.object(CANARY);
    let backend = json!({"service": {"name": "fraud-candidate", "port": {"number": 80}}});
    let expected = json!({
        "ingressClassName": "nginx",
        "rules": [{"host": "fraud.example", "http": {"paths": [{"path": "/v1", "pathType": "Prefix", "backend": backend}]}}],
    });
    assert_eq!(canary["spec"], expected);
    let annotations = json!({
        FENCE: "7",
        "kubernetes.io/ingress.class": "nginx",
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "1000",
        "nginx.ingress.kubernetes.io/canary-weight-total": "10000",
        "nginx.ingress.kubernetes.io/canary-by-header": "x-user",
        "nginx.ingress.kubernetes.io/canary-by-header-value": "tester",
    });
    assert_eq!(canary["metadata"]["annotations"], annotations);
    assert_eq!(canary["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "tidegate"}));
    assert_eq!(server.object(FRAUD), main);
}

#[tokio::test]
async fn without_traffic_it_stays_and_keeps_the_fence() {
    let Case { router, server, .. } = case();
    let traffic = split(10).with_exceptions([tester(header(), "tester", Slot::Candidate)]);
    router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
    router.apply(&FRAUD.parse().unwrap(), &Traffic::stable(), fence(8)).await.unwrap();
    let annotations = server.object(CANARY)["metadata"]["annotations"].clone();
    assert_eq!(annotations["nginx.ingress.kubernetes.io/canary-weight"], "0");
    assert_eq!(annotations.get("nginx.ingress.kubernetes.io/canary-by-header"), None);
    assert_eq!(annotations.get("nginx.ingress.kubernetes.io/canary-by-header-value"), None);
    let answer = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await;
    assert!(matches!(answer, Err(ActuatorError::Fenced { .. })), "{answer:?}");
}

#[tokio::test]
async fn what_changes_in_the_first_is_taken_over_by_the_next_apply() {
    let Case { router, server, .. } = case();
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    server.edit(FRAUD, |object| {
        object["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/v2".into();
        drop(object["metadata"].as_object_mut().unwrap().remove("annotations"));
    });
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    let canary = server.object(CANARY);
    assert_eq!(canary["spec"]["rules"][0]["http"]["paths"][0]["path"], "/v2");
    assert_eq!(canary["metadata"]["annotations"].get("kubernetes.io/ingress.class"), None);
}

#[tokio::test]
async fn two_that_create_it_at_once_end_with_the_later_one() {
    let Case { router, server, .. } = case();
    // The second finds none, and is then told that there is one.
    server.fail(&Method::GET, []);
    let route = FRAUD.parse().unwrap();
    let (ten, twenty) = (split(10), split(20));
    let both =
        futures::future::join(router.apply(&route, &ten, fence(1)), router.apply(&route, &twenty, fence(2)));
    let (_, second) = both.await;
    second.unwrap();
    assert_eq!(router.observe(&route).await.unwrap(), Observed::new(twenty, Some(fence(2))));
    assert!(server.requests(&Method::POST) >= 1);
}

#[tokio::test]
async fn one_that_may_not_create_is_told_so() {
    let Case { router, server, .. } = case();
    server.fail(&Method::POST, [Fault::Answer(403)]);
    let error = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(1)).await.unwrap_err();
    assert!(said(&error).contains("`create` `ingresses.networking.k8s.io`"), "{}", said(&error));
    assert!(!server.holds(CANARY));
    server.fail(&Method::POST, [Fault::Answer(422)]);
    let error = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(1)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn an_ingress_of_somebody_else_is_left_alone() {
    let Case { router, server, .. } = case();
    server.add(CANARY, object());
    let before = server.object(CANARY);
    let errors = [
        router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap_err(),
        router.observe(&FRAUD.parse().unwrap()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(said(&error).contains("not one that tidegate made"), "{}", said(&error));
    }
    assert_eq!(server.object(CANARY), before);
    let router = router.with_suffix("-canary");
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    assert!(server.holds("serving/fraud-canary"));
}

#[tokio::test]
async fn exceptions_that_ingress_nginx_cannot_make_are_refused() {
    let cookie = Key::Cookie("user".to_owned());
    let cases = [
        vec![tester(cookie, "always", Slot::Candidate)],
        vec![tester(header(), "a", Slot::Stable)],
        vec![tester(header(), "a", Slot::Candidate), tester(header(), "b", Slot::Candidate)],
        vec![tester(header(), "", Slot::Candidate)],
        vec![tester(header(), "a b", Slot::Candidate)],
        vec![tester(header(), "a;b", Slot::Candidate)],
        vec![tester(Key::Header("x_user".to_owned()), "a", Slot::Candidate)],
    ];
    for exceptions in cases {
        let Case { router, server, .. } = case();
        let traffic = split(10).with_exceptions(exceptions);
        let answer = router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await;
        assert!(matches!(answer, Err(ActuatorError::Refused { .. })), "{traffic:?}: {answer:?}");
        assert!(!server.holds(CANARY));
    }
}

#[tokio::test]
async fn what_does_not_fit_an_ingress_is_refused_with_a_remedy() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 4] = [
        (|object| object["spec"]["rules"] = json!([]), &["`fraud-stable`", "add it"]),
        (
            |object| object["spec"]["rules"] = json!([{}, {"http": {}}, {"http": {"paths": [{}]}}]),
            &["`fraud-stable`"],
        ),
        (|object| object["spec"]["rules"] = json!("x"), &["does not read"]),
        (
            |object| {
                object["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] = "cookie".into()
            },
            &["affinity`", "new users"],
        ),
    ];
    for (change, words) in cases {
        let Case { router, server, .. } = case();
        server.edit(FRAUD, change);
        let error = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap_err();
        assert!(words.iter().all(|word| said(&error).contains(word)), "{}", said(&error));
        assert!(!server.holds(CANARY));
    }
}

#[tokio::test]
async fn annotations_that_say_nonsense_are_told_and_mended() {
    let cases = [
        ("canary-weight", "many"),
        ("canary-weight", "-1"),
        ("canary-weight-total", "1e3"),
        ("canary", "false"),
        ("canary-by-header-value", ""),
    ];
    for (key, value) in cases {
        let Case { router, server, .. } = case();
        let traffic = split(10).with_exceptions([tester(header(), "tester", Slot::Candidate)]);
        router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
        let key = format!("nginx.ingress.kubernetes.io/{key}");
        server.edit(CANARY, |object| object["metadata"]["annotations"][&key] = value.into());
        let error = router.observe(&FRAUD.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
        router.apply(&FRAUD.parse().unwrap(), &traffic, fence(7)).await.unwrap();
        assert_eq!(router.observe(&FRAUD.parse().unwrap()).await.unwrap().traffic, traffic);
    }
}

#[tokio::test]
async fn weights_of_others_are_read_as_ingress_nginx_means_them() {
    let cases = [
        ("25", None, 2_500),
        ("0", None, 0),
        ("700", None, 10_000),
        ("1", Some("3"), 3_333),
        ("0", Some("0"), 0),
    ];
    for (weight, total, expected) in cases {
        let Case { router, server, .. } = case();
        router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
        server.edit(CANARY, |object| {
            let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.insert("nginx.ingress.kubernetes.io/canary-weight".to_owned(), weight.into());
            annotations.remove("nginx.ingress.kubernetes.io/canary-weight-total");
            let total = total
                .map(|total| ("nginx.ingress.kubernetes.io/canary-weight-total".to_owned(), total.into()));
            annotations.extend(total);
        });
        let seen = router.observe(&FRAUD.parse().unwrap()).await.unwrap().traffic;
        assert_eq!(seen.weight(Slot::Candidate).as_basis_points(), expected, "{weight} of {total:?}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_canary_is_no_route() {
    let Case { router, server, .. } = case();
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    server.remove(FRAUD);
    let error = router.observe(&FRAUD.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(server.holds(CANARY));
}
