//! The router by numbers of replicas.

use std::num::NonZeroU16;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Observed, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{FENCE, ReplicaRatio},
    testkit::{fence, router::Routes, router_conformance},
};

use crate::{
    api_server::{ApiServer, DEPLOYMENTS, Fault, SERVICES},
    habits::{Case, FRAUD, habits},
    said, split,
};

const REPLICAS: &str = "tidegate.dev/replicas";

router_conformance!(replica_ratio, async || routes(10, false));
router_conformance!(replica_ratio_with_a_baseline, async || routes(40, true));
router_conformance!(replica_ratio_of_a_thousand, async || routes(1_000, true));
habits!(habits_of_a_replica_ratio, case);

fn routes(total: u16, baseline: bool) -> Routes<ReplicaRatio> {
    let server = server(total);
    let router = ReplicaRatio::new(server.client(), NonZeroU16::new(total).unwrap());
    let router = if baseline { router.with_baseline() } else { router };
    Routes { router, route: FRAUD.parse().unwrap(), another: "serving/spam".parse().unwrap() }
}

fn server(total: u16) -> ApiServer {
    let service = || json!({"metadata": {}, "spec": {"selector": {"app": "fraud"}}});
    let server = ApiServer::with(SERVICES, [(FRAUD, service()), ("serving/spam", service())]);
    let deployments = server.of(DEPLOYMENTS);
    for name in ["fraud", "spam"] {
        for (slot, replicas) in [("stable", total), ("baseline", 0), ("candidate", 0)] {
            deployments.add(&format!("serving/{name}-{slot}"), deployment(replicas));
        }
    }
    server
}

fn deployment(replicas: u16) -> Value {
    json!({"metadata": {"annotations": {"team": "risk"}}, "spec": {"replicas": replicas, "paused": false}})
}

fn case() -> Case<ReplicaRatio> {
    let server = server(10);
    let router = ReplicaRatio::new(server.client(), NonZeroU16::new(10).unwrap());
    Case { router, server, object: FRAUD, resource: "services" }
}

fn replicas(server: &ApiServer) -> [Value; 2] {
    ["stable", "candidate"].map(|slot| {
        server.of(DEPLOYMENTS).object(&format!("serving/fraud-{slot}"))["spec"]["replicas"].clone()
    })
}

#[tokio::test]
async fn only_replicas_and_annotations_are_written() {
    let Case { router, server, .. } = case();
    router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await.unwrap();
    for (slot, replicas) in [("stable", 7), ("candidate", 3)] {
        let deployment = server.of(DEPLOYMENTS).object(&format!("serving/fraud-{slot}"));
        assert_eq!(deployment["spec"], json!({"replicas": replicas, "paused": false}));
        let annotations = json!({"team": "risk", FENCE: "7", REPLICAS: replicas.to_string()});
        assert_eq!(deployment["metadata"]["annotations"], annotations);
    }
    let service = server.object(FRAUD);
    assert_eq!(service["metadata"]["annotations"], json!({FENCE: "7", REPLICAS: "7/0/3"}));
    assert_eq!(service["spec"], json!({"selector": {"app": "fraud"}}));
}

#[tokio::test]
async fn nothing_is_made_smaller_before_what_grows_is_ready() {
    let Case { router, server, .. } = case();
    server.pods_start(false);
    let error = router.apply(&FRAUD.parse().unwrap(), &split(100), fence(7)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(replicas(&server), [10, 10]);
    assert!(router.observe(&FRAUD.parse().unwrap()).await.unwrap_err().is_transient());
    // Nine of ten are not all of them.
    server.of(DEPLOYMENTS).edit("serving/fraud-candidate", |object| {
        let seen = object["metadata"]["generation"].clone();
        object["status"] = json!({"observedGeneration": seen, "replicas": 10, "readyReplicas": 9});
    });
    let error = router.apply(&FRAUD.parse().unwrap(), &split(100), fence(7)).await.unwrap_err();
    assert!(
        said(&error).contains("9 replicas are ready and 10 are there, but 10 are wanted"),
        "{}",
        said(&error)
    );
    assert_eq!(replicas(&server), [10, 10]);
    server.pods_start(true);
    router.apply(&FRAUD.parse().unwrap(), &split(100), fence(7)).await.unwrap();
    assert_eq!(replicas(&server), [0, 10]);
    assert_eq!(
        router.observe(&FRAUD.parse().unwrap()).await.unwrap(),
        Observed::new(split(100), Some(fence(7)))
    );
}

#[tokio::test]
async fn what_has_not_arrived_is_not_claimed() {
    let Case { router, server, .. } = case();
    let deployments = server.of(DEPLOYMENTS);
    router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await.unwrap();
    server.pods_start(false);
    let status: fn(u64, u64, u64) -> Value =
        |seen, there, ready| json!({"observedGeneration": seen, "replicas": there, "readyReplicas": ready});
    let generation =
        deployments.object("serving/fraud-candidate")["metadata"]["generation"].as_u64().unwrap();
    // A pod has failed, one is leaving, the controller lags, there is no status.
    for wrong in
        [status(generation, 3, 2), status(generation, 4, 3), status(generation - 1, 3, 3), json!(null)]
    {
        deployments.edit("serving/fraud-candidate", |object| object["status"] = wrong.clone());
        let error = router.observe(&FRAUD.parse().unwrap()).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    deployments.edit("serving/fraud-candidate", |object| object["status"] = status(generation, 3, 3));
    assert_eq!(router.observe(&FRAUD.parse().unwrap()).await.unwrap().traffic, split(30));
}

#[tokio::test]
async fn a_driver_that_was_superseded_on_the_way_is_fenced() {
    for fault in [Method::GET, Method::PATCH] {
        let Case { router, server, .. } = case();
        let deployments = server.of(DEPLOYMENTS);
        // The first driver has written its intent; then the API server does not let it go on.
        deployments.fail(&fault, [Fault::Answer(503)]);
        assert!(
            router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await.unwrap_err().is_transient()
        );
        assert!(router.observe(&FRAUD.parse().unwrap()).await.unwrap_err().is_transient());
        router.apply(&FRAUD.parse().unwrap(), &split(10), fence(8)).await.unwrap();
        let answer = router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await;
        assert!(matches!(answer, Err(ActuatorError::Fenced { .. })), "{answer:?}");
        assert_eq!(
            router.observe(&FRAUD.parse().unwrap()).await.unwrap(),
            Observed::new(split(10), Some(fence(8)))
        );
    }
}

#[tokio::test]
async fn a_driver_that_sleeps_between_two_deployments_is_fenced_there() {
    let Case { router, server, .. } = case();
    let overtake: fn(&mut Value) = |object| object["metadata"]["annotations"][FENCE] = "8".into();
    server.of(DEPLOYMENTS).fail(&Method::PATCH, [Fault::Overtake(overtake)]);
    let answer = router.apply(&FRAUD.parse().unwrap(), &split(30), fence(7)).await;
    assert!(matches!(answer, Err(ActuatorError::Fenced { .. })), "{answer:?}");
}

#[tokio::test]
async fn what_others_scaled_is_seen_and_mended() {
    let Case { router, server, .. } = case();
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    server.of(DEPLOYMENTS).edit("serving/fraud-stable", |object| object["spec"]["replicas"] = 3.into());
    let seen = router.observe(&FRAUD.parse().unwrap()).await.unwrap();
    assert_eq!(seen.traffic.weight(Slot::Candidate), Weight::percent(25).unwrap());
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    assert_eq!(
        router.observe(&FRAUD.parse().unwrap()).await.unwrap(),
        Observed::new(split(10), Some(fence(7)))
    );
}

#[tokio::test]
async fn a_slot_without_a_deployment_is_empty() {
    let Case { router, server, .. } = case();
    server.of(DEPLOYMENTS).remove("serving/fraud-candidate");
    router.apply(&FRAUD.parse().unwrap(), &Traffic::stable(), fence(7)).await.unwrap();
    assert_eq!(
        router.observe(&FRAUD.parse().unwrap()).await.unwrap(),
        Observed::new(Traffic::stable(), Some(fence(7)))
    );
    let error = router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("Deployment serving/fraud-candidate"), "{}", said(&error));
}

#[tokio::test]
async fn the_stable_deployment_may_be_called_as_it_always_was() {
    let Case { router, server, .. } = case();
    server.of(DEPLOYMENTS).add(FRAUD, deployment(10));
    let router = router.with_suffix(Slot::Stable, "");
    router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap();
    assert_eq!(server.of(DEPLOYMENTS).object(FRAUD)["spec"]["replicas"], 9);
    assert_eq!(replicas(&server), [10, 1]);
}

#[tokio::test]
async fn nonsense_is_told() {
    type Change = fn(&mut Value);
    let cases: [Change; 6] = [
        |object| object["spec"]["replicas"] = "3".into(),
        |object| object["spec"]["replicas"] = (-3).into(),
        |object| object["spec"]["replicas"] = 1e300.into(),
        |object| object["status"]["readyReplicas"] = json!([]),
        |object| object["status"] = json!("ready"),
        |object| object["metadata"]["annotations"][REPLICAS] = "many".into(),
    ];
    for change in cases {
        let Case { router, server, .. } = case();
        server.pods_start(false);
        server.of(DEPLOYMENTS).edit("serving/fraud-stable", change);
        let errors = [
            router.observe(&FRAUD.parse().unwrap()).await.unwrap_err(),
            router.apply(&FRAUD.parse().unwrap(), &split(10), fence(7)).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| !error.is_transient()), "{errors:?}");
    }
    for text in ["", "1/2", "1/2/3/4", "a/b/c", "-1/0/0", "1/0/99999999999"] {
        let Case { router, server, .. } = case();
        server.edit(FRAUD, |object| object["metadata"]["annotations"] = json!({REPLICAS: text}));
        let error = router.observe(&FRAUD.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    }
}
