//! Deployments and InferenceServices against an API server whose controllers take small steps, and which
//! fails.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod api_server;
mod apply;
mod controller;
mod kserve;

use std::time::{Duration, UNIX_EPOCH};

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Deployer, Readiness, Rehearsed, Release, Slot, WallClock, Weight, Workload,
    kubernetes::{Deployments, FENCE, InferenceServices},
    testkit::{deployer::Slots, deployer_conformance, fence},
};
use tidegate_registry::Digest;

use crate::api_server::{ApiServer, Fault};

const CANDIDATE: &str = "fraud-candidate";
const OWNER: &str = "app.kubernetes.io/managed-by";

deployer_conformance!(deployments, async || slots(deployer(&ApiServer::new())));
deployer_conformance!(deployments_behind_lost_answers, async || {
    let server = ApiServer::new();
    for (method, plural) in [(Method::PATCH, "deployments"), (Method::POST, "configmaps")] {
        server.fail(&method, plural, [Fault::Lose, Fault::Answer(429), Fault::Answer(503)]);
    }
    slots(deployer(&server))
});
deployer_conformance!(inference_services, async || slots(services(&ApiServer::new())));

fn slots<D: Deployer>(deployer: D) -> Slots<D> {
    Slots { deployer, releases: [release("fraud@1.4.0"), release("fraud@1.5.0")] }
}

fn release(model: &str) -> Release {
    Release { model: model.parse().unwrap(), digest: Digest::of(model) }
}

fn workload(slot: Slot, model: &str, percent: u16) -> Workload {
    Workload { slot, release: release(model), share: Weight::percent(percent).unwrap() }
}

fn template() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "fraud", "labels": {"team": "risk"}},
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "fraud"}},
            "template": {
                "metadata": {"labels": {"app": "fraud"}},
                "spec": {
                    "initContainers": [{"name": "fetch", "image": "r.example/fetch:1"}],
                    "containers": [{
                        "name": "server",
                        "env": [{"name": "TIDEGATE_VERSION", "value": "stale"}, {"name": "THREADS", "value": "4"}],
                    }],
                },
            },
        },
    })
}

fn deployer(server: &ApiServer) -> Deployments {
    let deployer = Deployments::new(server.client(), "serving", &template()).unwrap();
    deployer.with_image("server", "r.example/fraud:{version}").unwrap()
}

fn services(server: &ApiServer) -> InferenceServices {
    let template = json!({
        "kind": "InferenceService",
        "metadata": {"name": "fraud", "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"}},
        "spec": {"predictor": {"minReplicas": 4, "maxReplicas": 2, "model": {"modelFormat": {"name": "onnx"}}}},
    });
    InferenceServices::new(server.client(), "serving", &template, "s3://models/{name}/{version}").unwrap()
}

/// A Deployment of somebody else's that runs and is well.
fn adopt(server: &ApiServer) -> Deployments {
    server.edit("deployments", "fraud", "helm", |object| {
        object["metadata"]["labels"] = json!({OWNER: "Helm"});
        object["spec"] = json!({
            "replicas": 2,
            "selector": {"matchLabels": {"app": "fraud"}},
            "template": {
                "metadata": {"labels": {"app": "fraud"}},
                "spec": {"containers": [{"name": "server", "image": "r.example/fraud:1.4.0"}]},
            },
        });
    });
    server.run(8);
    deployer(server).with_name(Slot::Stable, "fraud").unwrap()
}

fn say(server: &ApiServer, model: &str) {
    let digest = release(model).digest.to_string();
    server.edit("deployments", "fraud", "helm", |object| {
        object["spec"]["template"]["metadata"]["annotations"] =
            json!({"tidegate.dev/release": model, "tidegate.dev/digest": digest});
    });
    server.run(12);
}

/// The error and its causes as one text.
fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refused(error: &ActuatorError, words: &[&str]) {
    let said = said(error);
    assert!(matches!(error, ActuatorError::Refused { .. }), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

/// Ensures it, however often that is to be asked for again.
async fn insist(deployer: &impl Deployer, workload: &Workload, n: u64) {
    for _ in 0..100 {
        match deployer.ensure(workload, fence(n)).await {
            Ok(()) => return,
            Err(error) => assert!(error.is_transient(), "{}", said(&error)),
        }
    }
    panic!("{} was not ensured", workload.release);
}

async fn ready(server: &ApiServer, deployer: &impl Deployer, workload: &Workload, n: u64) {
    insist(deployer, workload, n).await;
    server.run(40);
    let release = workload.release.clone();
    assert_eq!(deployer.status(workload.slot).await.unwrap(), Readiness::Ready { release });
}

#[tokio::test]
async fn what_is_made_says_what_it_runs_and_has_one_manager() {
    let server = ApiServer::new();
    ready(&server, &deployer(&server), &workload(Slot::Candidate, "fraud@1.5.0+cu12", 30), 7).await;
    let object = server.object("deployments", CANDIDATE).unwrap();
    let digest = release("fraud@1.5.0+cu12").digest.to_string();
    let says = json!({"tidegate.dev/release": "fraud@1.5.0+cu12", "tidegate.dev/digest": digest});
    let labels = json!({
        "app.kubernetes.io/instance": CANDIDATE, OWNER: "tidegate", "app.kubernetes.io/name": "fraud",
        "app.kubernetes.io/version": "1.5.0_cu12", "tidegate.dev/slot": "candidate",
    });
    let with = |mut object: Value, key: &str, value: &str| {
        object[key] = value.into();
        object
    };
    assert_eq!(object["metadata"]["annotations"], with(says.clone(), FENCE, "7"));
    assert_eq!(object["metadata"]["labels"], with(labels.clone(), "team", "risk"));
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.len() == 1 && managers[0]["manager"] == "tidegate", "{managers:?}");
    let env = json!([
        {"name": "TIDEGATE_MODEL", "value": "fraud"}, {"name": "TIDEGATE_VERSION", "value": "1.5.0+cu12"},
        {"name": "TIDEGATE_DIGEST", "value": digest},
    ]);
    let mut own = env.clone();
    own.as_array_mut().unwrap().push(json!({"name": "THREADS", "value": "4"}));
    let expected = json!({
        "replicas": 2,
        "paused": false,
        "selector": {"matchLabels": {"app.kubernetes.io/instance": CANDIDATE}},
        "template": {
            "metadata": {"labels": with(labels, "app", "fraud"), "annotations": says},
            "spec": {
                "initContainers": [{"name": "fetch", "image": "r.example/fetch:1", "env": env}],
                "containers": [{"name": "server", "image": "r.example/fraud:1.5.0_cu12", "env": own}],
            },
        },
    });
    assert_eq!(object["spec"], expected);
}

#[tokio::test]
async fn replicas_are_what_the_share_takes_and_one_at_least() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    for (percent, replicas) in [(0, 1), (1, 1), (20, 1), (21, 2), (50, 3), (100, 5), (10, 1)] {
        ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.5.0", percent), 1).await;
        let object = server.object("deployments", CANDIDATE).unwrap();
        assert_eq!(object["spec"]["replicas"], replicas, "{percent} %");
    }
}

#[tokio::test]
async fn replicas_are_the_ratios_once_there_are_some() {
    let server = ApiServer::new();
    let deployer = deployer(&server).with_replicas_by_ratio();
    let replicas = || server.object("deployments", CANDIDATE).unwrap()["spec"]["replicas"].clone();
    let scale = |by: &str, to: u32| {
        server.edit("deployments", CANDIDATE, by, |object| {
            object["spec"]["replicas"] = to.into();
            if by == "ratio" {
                object["metadata"]["annotations"]["tidegate.dev/replicas"] = to.to_string().into();
            }
        });
    };
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.0", 40), 1).await;
    assert_eq!(replicas(), 2);
    // Nobody else has set it yet, and what its owner does not apply is gone.
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.0", 100), 1).await;
    assert_eq!(replicas(), 2);
    for (n, to) in [(2, 4), (3, 1), (4, 0), (5, 3)] {
        scale("ratio", to);
        // Another release, then nothing new.
        for _ in 0..2 {
            let next = workload(Slot::Candidate, &format!("fraud@1.4.{n}"), 100);
            ready(&server, &deployer, &next, n).await;
            assert_eq!(replicas(), to);
        }
    }
    // Somebody who is no ratio has emptied it.
    scale("ada", 0);
    server.run(40);
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.5", 60), 5).await;
    assert_eq!(replicas(), 3);
}

#[tokio::test]
async fn a_change_of_size_or_driver_restarts_no_pod() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.5.0", 40), 1).await;
    let before = server.pods();
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.5.0", 100), 9).await;
    let after = server.pods();
    assert!(before.len() == 2 && after.len() == 5 && before.iter().all(|pod| after.contains(pod)));
}

#[tokio::test]
async fn a_claim_that_was_not_filled_is_an_empty_slot() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    server.fail(&Method::PATCH, "deployments", [Fault::Lose]);
    assert!(deployer.ensure(&candidate, fence(1)).await.unwrap_err().is_transient());
    server.run(20);
    assert!(server.object("deployments", CANDIDATE).is_some() && server.pods().is_empty());
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    ready(&server, &deployer, &candidate, 1).await;
    let managers = &server.object("deployments", CANDIDATE).unwrap()["metadata"]["managedFields"];
    assert_eq!(managers.as_array().unwrap().len(), 1, "{managers}");
}

/// A later driver has emptied the slot just before.
fn supersede(server: &ApiServer) {
    server.snatch("deployments", CANDIDATE);
    server.edit("configmaps", "fraud-tidegate", "tidegate", |map| {
        map["metadata"]["annotations"][FENCE] = "8".into()
    });
}

/// A later driver has made the slot run something else just before.
fn overtake(server: &ApiServer) {
    server.edit("configmaps", "fraud-tidegate", "tidegate", |map| {
        map["metadata"]["annotations"][FENCE] = "8".into()
    });
    server.edit("deployments", CANDIDATE, "tidegate", |object| {
        object["metadata"]["annotations"][FENCE] = "8".into();
        object["metadata"]["labels"][OWNER] = "tidegate".into();
        object["spec"] = json!({
            "replicas": 5,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": CANDIDATE}},
            "template": {"metadata": {"labels": {"app.kubernetes.io/instance": CANDIDATE}}},
        });
    });
}

#[tokio::test]
async fn a_driver_that_is_overtaken_before_any_of_its_writes_is_fenced_and_leaves_nothing() {
    // The writes of a first `ensure` are: the fence, the claim, the object, the end of the claim.
    for (act, stays, writes) in [
        (supersede as fn(&ApiServer), false, 0),
        (overtake, true, 0),
        (supersede, false, 1),
        (overtake, true, 1),
    ] {
        let server = ApiServer::new();
        server.sleep(true);
        server.edit("configmaps", "fraud-tidegate", "tidegate", |map| {
            map["metadata"]["annotations"] = json!({FENCE: "7"});
        });
        server.fail(&Method::PATCH, "deployments", std::iter::repeat_n(Fault::Overtake(|_| {}), writes));
        server.fail(&Method::PATCH, "deployments", [Fault::Overtake(act)]);
        let answer = deployer(&server).ensure(&workload(Slot::Candidate, "fraud@1.5.0", 100), fence(7)).await;
        let held = match answer {
            Err(ActuatorError::Fenced { offered, held }) if offered == fence(7) => held,
            answer => panic!("{answer:?}"),
        };
        assert_eq!(held, fence(8));
        server.sleep(false);
        server.run(1);
        let left = server.object("deployments", CANDIDATE);
        // What the later driver made there, or nothing.
        let runs = left.map(|left| left["spec"]["replicas"].clone());
        assert_eq!(runs, stays.then_some(json!(5)), "after {writes} writes");
    }
}

#[tokio::test]
async fn the_fence_outlives_its_config_map() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.5.0", 100), 7).await;
    server.snatch("configmaps", "fraud-tidegate");
    let answer = deployer.ensure(&workload(Slot::Baseline, "fraud@1.4.0", 100), fence(6)).await;
    assert!(matches!(answer, Err(ActuatorError::Fenced { held, .. }) if held == fence(7)), "{answer:?}");
    ready(&server, &deployer, &workload(Slot::Baseline, "fraud@1.4.0", 100), 7).await;
    server.edit("configmaps", "fraud-tidegate", "ada", |map| {
        map["metadata"]["annotations"][FENCE] = "x".into()
    });
    let error = deployer.remove(Slot::Baseline, fence(9)).await.unwrap_err();
    refused(&error, &["ConfigMap serving/fraud-tidegate", "`x`", "remove the annotation"]);
}

#[tokio::test]
async fn a_deployment_of_others_is_read_when_it_says_what_it_runs() {
    let server = ApiServer::new();
    let deployer = adopt(&server);
    let error = deployer.status(Slot::Stable).await.unwrap_err();
    refused(&error, &["Deployment serving/fraud", "annotate its pod template with `tidegate.dev/release"]);
    say(&server, "fraud@1.4.0");
    let stable = Readiness::Ready { release: release("fraud@1.4.0") };
    assert_eq!(deployer.status(Slot::Stable).await.unwrap(), stable);
}

#[tokio::test]
async fn fields_of_others_are_not_seized() {
    let server = ApiServer::new();
    let deployer = adopt(&server);
    say(&server, "fraud@1.4.0");
    let before = server.object("deployments", "fraud");
    let error = deployer.ensure(&workload(Slot::Stable, "fraud@1.5.0", 100), fence(1)).await.unwrap_err();
    refused(&error, &[".spec.replicas", ".image", "helm", "or hand the object over", "managed-by=tidegate"]);
    let error = deployer.remove(Slot::Stable, fence(1)).await.unwrap_err();
    refused(&error, &["not made by tidegate"]);
    assert_eq!(server.object("deployments", "fraud"), before);
}

#[tokio::test]
async fn a_deployment_that_was_handed_over_is_kept_like_our_own() {
    let server = ApiServer::new();
    let deployer = adopt(&server);
    say(&server, "fraud@1.4.0");
    server.edit("deployments", "fraud", "kubectl", |object| {
        object["metadata"]["labels"][OWNER] = "tidegate".into()
    });
    server.edit("deployments", "fraud", "helm", |object| object["spec"]["minReadySeconds"] = 3.into());
    ready(&server, &deployer, &workload(Slot::Stable, "fraud@1.5.0", 100), 1).await;
    let object = server.object("deployments", "fraud").unwrap();
    assert_eq!(object["spec"]["replicas"], 5);
    assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"app": "fraud"}}));
    assert_eq!(object["spec"]["minReadySeconds"], 3);
}

#[tokio::test]
async fn what_others_did_to_our_own_is_mended() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    ready(&server, &deployer, &candidate, 1).await;
    server.edit("deployments", CANDIDATE, "kubectl", |object| {
        object["spec"]["replicas"] = 1.into();
        object["spec"]["paused"] = true.into();
        object["spec"]["template"]["spec"]["containers"][0]["image"] = "r.example/other".into();
    });
    server.run(10);
    let seen = deployer.status(Slot::Candidate).await.unwrap();
    assert!(matches!(&seen, Readiness::Failed { why, .. } if why.contains("paused")), "{seen:?}");
    ready(&server, &deployer, &candidate, 1).await;
    let object = server.object("deployments", CANDIDATE).unwrap();
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["image"], "r.example/fraud:1.5.0");
}

#[tokio::test]
async fn a_release_whose_pods_never_get_ready_has_failed_and_another_can_follow() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.0", 50), 1).await;
    let sick = workload(Slot::Candidate, "fraud@1.5.0-bad", 50);
    insist(&deployer, &sick, 1).await;
    server.run(40);
    let seen = deployer.status(Slot::Candidate).await.unwrap();
    let Readiness::Failed { release, why } = &seen else { panic!("{seen:?}") };
    assert_eq!(*release, sick.release);
    assert_eq!(
        why,
        "ProgressDeadlineExceeded: by script; 3 pods: container `server` waits in ImagePullBackOff"
    );
    server.fail(&Method::from_bytes(b"LIST").unwrap(), "pods", [Fault::Answer(403)]);
    let seen = deployer.status(Slot::Candidate).await.unwrap();
    assert!(matches!(&seen, Readiness::Failed { why, .. } if why.contains("could not be read")), "{seen:?}");
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.6.0", 50), 1).await;
}

#[tokio::test]
async fn a_slot_is_absent_only_when_its_pods_are_gone() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    ready(&server, &deployer, &candidate, 1).await;
    deployer.remove(Slot::Candidate, fence(1)).await.unwrap();
    let mut endings = 0;
    while let Readiness::Failed { why, .. } = deployer.status(Slot::Candidate).await.unwrap() {
        assert!(why.contains("being removed"), "{why}");
        endings += 1;
    }
    assert!(endings >= 2, "5 pods ended within {endings} looks");
    assert!(server.pods().is_empty() && server.object("deployments", CANDIDATE).is_none());

    ready(&server, &deployer, &candidate, 1).await;
    server.snatch("deployments", CANDIDATE);
    let seen = deployer.status(Slot::Candidate).await.unwrap();
    assert!(matches!(&seen, Readiness::Failed { why, .. } if why.contains("not ended")), "{seen:?}");
    server.end_pods();
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
}

#[tokio::test]
async fn a_slot_that_is_being_emptied_is_filled_later() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    ready(&server, &deployer, &candidate, 1).await;
    server.sleep(true);
    deployer.remove(Slot::Candidate, fence(1)).await.unwrap();
    deployer.remove(Slot::Candidate, fence(1)).await.unwrap();
    let error = deployer.ensure(&candidate, fence(1)).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("still being removed"), "{}", said(&error));
}

#[tokio::test]
async fn refusals_are_told_from_outages_and_name_the_right_that_is_missing() {
    let writes =
        [("GET", "configmaps", "get"), ("POST", "configmaps", "create"), ("PATCH", "deployments", "patch")];
    for (method, plural, verb) in writes {
        for (code, transient) in
            [(400, false), (401, false), (403, false), (429, true), (500, true), (503, true)]
        {
            let server = ApiServer::new();
            server.fail(&Method::from_bytes(method.as_bytes()).unwrap(), plural, [Fault::Answer(code)]);
            let answer =
                deployer(&server).ensure(&workload(Slot::Candidate, "fraud@1.5.0", 100), fence(1)).await;
            let error = answer.unwrap_err();
            assert_eq!(error.is_transient(), transient, "{method} {plural} {code}: {error:?}");
            if code == 403 {
                refused(&error, &[verb, plural, "serving"]);
            }
        }
    }
}

#[tokio::test]
async fn an_object_that_the_server_does_not_accept_is_refused() {
    let server = ApiServer::new();
    server.fail(&Method::PATCH, "deployments", [Fault::Answer(422)]);
    let answer = deployer(&server).ensure(&workload(Slot::Candidate, "fraud@1.5.0", 100), fence(1)).await;
    refused(&answer.unwrap_err(), &["Deployment serving/fraud-candidate"]);
}

#[tokio::test]
async fn planning_again_has_an_end() {
    let server = ApiServer::new();
    server.sleep(true);
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    deployer.ensure(&candidate, fence(1)).await.unwrap();
    let touch: fn(&ApiServer) = |server| {
        server.edit("deployments", CANDIDATE, "ada", |object| {
            let count = object["spec"]["count"].as_u64().unwrap_or_default();
            object["spec"]["count"] = (count + 1).into();
        });
    };
    server.fail(&Method::PATCH, "deployments", std::iter::repeat_n(Fault::Overtake(touch), 100));
    server.requests();
    assert!(deployer.ensure(&candidate, fence(1)).await.unwrap_err().is_transient());
    let patches = server.requests().iter().filter(|request| *request == "PATCH deployments").count();
    assert_eq!(patches, 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_unavailable() {
    for (method, plural) in
        [(Method::GET, "deployments"), (Method::POST, "configmaps"), (Method::PATCH, "deployments")]
    {
        let server = ApiServer::new();
        server.fail(&method, plural, [Fault::Hang]);
        let clock = WallClock::starting_at(UNIX_EPOCH);
        let answer = deployer(&server).ensure(&workload(Slot::Candidate, "fraud@1.5.0", 100), fence(1)).await;
        assert!(answer.unwrap_err().is_transient());
        let took = clock.now().duration_since(UNIX_EPOCH).unwrap();
        assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_status_costs_one_request_and_an_ensure_that_changes_nothing_three() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    ready(&server, &deployer, &candidate, 1).await;
    server.requests();
    deployer.status(Slot::Candidate).await.unwrap();
    assert_eq!(server.requests(), ["GET deployments"]);
    let before = server.object("deployments", CANDIDATE);
    deployer.ensure(&candidate, fence(1)).await.unwrap();
    assert_eq!(server.requests(), ["GET deployments", "GET configmaps", "PATCH deployments"]);
    assert_eq!(server.object("deployments", CANDIDATE), before);
}

#[tokio::test]
async fn a_template_that_makes_no_deployment_is_invalid() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 8] = [
        (|template| template["kind"] = "StatefulSet".into(), "pass a Deployment"),
        (|template| template["metadata"]["namespace"] = "other".into(), "another namespace"),
        (|template| template["metadata"]["name"] = "Fraud_1".into(), "lower-case"),
        (|template| template["metadata"]["name"] = "f".repeat(60).into(), "1 to 63"),
        (|template| template["spec"]["template"]["spec"]["containers"] = json!([]), "one at least"),
        (|template| template["spec"]["replicas"] = 0.into(), "carries all of the traffic"),
        (|template| template["spec"]["template"]["metadata"]["labels"] = json!([1]), "does not read"),
        (
            |template| template["spec"]["template"]["spec"]["containers"][0]["env"] = "x".into(),
            "does not read",
        ),
    ];
    let client = || ApiServer::new().client();
    for (change, word) in cases {
        let mut changed = template();
        change(&mut changed);
        let error = Deployments::new(client(), "serving", &changed).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let fresh = || Deployments::new(client(), "serving", &template()).unwrap();
    let error = fresh().with_image("sidecar", "r/{version}").unwrap_err().to_string();
    assert!(error.contains("fetch, server"), "{error}");
    let error = fresh().with_name(Slot::Stable, CANDIDATE).unwrap_err().to_string();
    assert!(error.contains("another slot"), "{error}");
    assert!(Deployments::new(client(), "../serving", &template()).is_err());
}

#[tokio::test]
async fn an_inference_service_is_not_believed_about_its_predecessor() {
    let server = ApiServer::new();
    let deployer = services(&server);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.0", 50), 1).await;
    let object = server.object("inferenceservices", CANDIDATE).unwrap();
    let predictor = &object["spec"]["predictor"];
    assert_eq!((&predictor["minReplicas"], &predictor["maxReplicas"]), (&json!(2), &json!(2)));
    assert_eq!(predictor["model"]["storageUri"], "s3://models/fraud/1.4.0");
    assert_eq!(predictor["model"]["modelFormat"]["name"], "onnx");
    assert!(object["metadata"]["annotations"][FENCE].is_null(), "KServe would copy it to the pods");
    server.sleep(true);
    deployer.ensure(&workload(Slot::Candidate, "fraud@1.5.0", 50), fence(1)).await.unwrap();
    let object = server.object("inferenceservices", CANDIDATE).unwrap();
    assert_eq!(object["status"]["conditions"][0]["status"], "True");
    let starting = Readiness::Starting { release: release("fraud@1.5.0") };
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), starting);
    server.sleep(false);
    let pods = server.pods();
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.5.0", 100), 2).await;
    assert_eq!(server.pods().len(), 4);
    assert!(pods.iter().all(|pod| !server.pods().contains(pod)), "pods of the predecessor are left");
}

#[tokio::test]
async fn an_inference_service_whose_pods_never_get_ready_has_failed() {
    let server = ApiServer::new();
    let deployer = services(&server);
    let sick = workload(Slot::Candidate, "fraud@1.5.0-bad", 50);
    insist(&deployer, &sick, 1).await;
    server.run(60);
    server.edit("inferenceservices", CANDIDATE, "kserve", |object| {
        object["status"]["modelStatus"]["lastFailureInfo"] =
            json!({"reason": "ModelLoadFailed", "message": "no file"});
    });
    let seen = deployer.status(Slot::Candidate).await.unwrap();
    let Readiness::Failed { why, .. } = &seen else { panic!("{seen:?}") };
    for word in ["ProgressDeadlineExceeded", "ModelLoadFailed: no file", "ImagePullBackOff"] {
        assert!(why.contains(word), "{why}");
    }
}

#[tokio::test]
async fn an_inference_service_template_must_choose_a_mode_that_tells_what_is_ready() {
    let client = ApiServer::new().client();
    let template = json!({"metadata": {"name": "fraud"}, "spec": {"predictor": {"model": {}}}});
    let error =
        InferenceServices::new(client, "serving", &template, "s3://m/{version}").unwrap_err().to_string();
    assert!(error.contains("serving.kserve.io/deploymentMode"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_is_a_dry_run_of_all_that_would_be_written() {
    let server = ApiServer::new();
    let deployer = deployer(&server);
    let wanted = workload(Slot::Candidate, "fraud@1.5.0", 100);
    assert_eq!(deployer.rehearse(&wanted).await.unwrap(), Rehearsed::Accepted);
    assert_eq!(server.object("deployments", CANDIDATE), None);
    assert_eq!(server.object("configmaps", "fraud-tidegate"), None);
    ready(&server, &deployer, &workload(Slot::Candidate, "fraud@1.4.0", 10), 7).await;
    server.sleep(true);
    let before = server.object("deployments", CANDIDATE);
    assert_eq!(deployer.rehearse(&wanted).await.unwrap(), Rehearsed::Accepted);
    assert_eq!(server.object("deployments", CANDIDATE), before);
    // Who may not write, is told so.
    for (method, plural) in
        [(Method::PATCH, "deployments"), (Method::PATCH, "configmaps"), (Method::GET, "deployments")]
    {
        server.fail(&method, plural, [Fault::Answer(403)]);
        refused(&deployer.rehearse(&wanted).await.unwrap_err(), &["grant", plural]);
    }
    server.fail(&Method::PATCH, "deployments", [Fault::Hang]);
    let error = deployer.rehearse(&wanted).await.unwrap_err();
    assert!(error.is_transient(), "{}", said(&error));
    assert_eq!(server.object("deployments", CANDIDATE), before);
}

#[tokio::test]
async fn a_rehearsal_finds_fields_of_others_and_what_is_invalid() {
    let server = ApiServer::new();
    let adopted = adopt(&server);
    say(&server, "fraud@1.4.0");
    let before = server.object("deployments", "fraud");
    let error = adopted.rehearse(&workload(Slot::Stable, "fraud@1.5.0", 100)).await.unwrap_err();
    refused(&error, &["helm", "hand the object over"]);
    let mut template = template();
    template["spec"]["template"]["spec"]["containers"][0]["image"] = "".into();
    let invalid = Deployments::new(server.client(), "serving", &template).unwrap();
    let error = invalid.rehearse(&workload(Slot::Candidate, "fraud@1.5.0", 100)).await.unwrap_err();
    refused(&error, &["image: required"]);
    assert_eq!(server.object("deployments", "fraud"), before);
    assert_eq!(server.object("deployments", CANDIDATE), None);
}
