//! Deployments against a real API server and the real controllers.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test -p tidegate-canary --test deployment_live -- --ignored
//! ```
//!
//! The directory holds `kube-apiserver` and `kube-controller-manager`; `etcd` and `kubectl` are taken from
//! there or from the path, `openssl` from the path. Any version of Kubernetes will do.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../cluster/mod.rs"]
mod cluster;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod ratio;
mod rights;
mod rollout;
mod whole;

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Deployer, Readiness, Rehearsed, Release, Slot, Weight, Workload,
    kubernetes::Deployments,
    testkit::{
        deployer::{self, Slots},
        fence,
    },
};
use tidegate_registry::Digest;

use crate::cluster::{Cluster, Way, rights::said, until};

const OWNER: &str = "app.kubernetes.io/managed-by";

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_real_kube_apiserver_keeps_the_contract() {
    let cluster = Cluster::with_controllers().await;
    let count = AtomicUsize::new(0);
    let make = async || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let deployer = deployer(cluster.client(), &format!("fraud-{n}"), 60);
        Slots { deployer, releases: [release("fraud@1.4.0"), release("fraud@1.5.0")] }
    };
    while_pods_run(&cluster, async {
        deployer::a_removed_slot_can_be_filled_again(make).await;
        deployer::a_slot_can_change_its_size(make).await;
        deployer::a_superseded_driver_cannot_even_repeat(make).await;
        deployer::a_superseded_driver_changes_nothing(make).await;
        deployer::an_empty_slot_is_absent(make).await;
        deployer::ensured_releases_become_ready(make).await;
        deployer::ensuring_again_changes_nothing(make).await;
        for _ in 0..5 {
            deployer::of_racing_drivers_the_latest_wins(make).await;
        }
        deployer::ready_is_never_said_of_a_predecessor(make).await;
        deployer::rehearsing_changes_nothing(make).await;
        deployer::removing_an_empty_slot_succeeds(make).await;
        deployer::removing_empties_the_slot_alone(make).await;
        deployer::slots_are_apart(make).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_real_kube_apiserver_tells_failures_and_whose_a_field_is() {
    let cluster = Cluster::with_controllers().await;
    while_pods_run(&cluster, async {
        what_never_gets_ready_has_failed_and_another_can_follow(&cluster).await;
        what_is_made_has_one_manager_and_is_kept(&cluster).await;
        fields_of_others_are_not_seized_until_they_are_handed_over(&cluster).await;
        a_slot_is_absent_only_when_its_pods_are_gone(&cluster).await;
        a_rehearsal_finds_what_would_be_refused(&cluster).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_that_is_restarted_or_throttles_is_waited_for() {
    let mut cluster = Cluster::with_controllers().await;
    let throttled = Way { throttled: Some(7), ..Way::default() };
    let slow = deployer(cluster.client_by(throttled), "slow", 60);
    while_pods_run(&cluster, becomes_ready(&slow, &workload(Slot::Candidate, "fraud@1.5.0", 100), 1)).await;

    let deployer = deployer(cluster.client(), "fraud", 60);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 100);
    deployer.ensure(&candidate, fence(1)).await.unwrap();
    cluster.restart_api_server().await;
    while_pods_run(&cluster, becomes_ready(&deployer, &candidate, 1)).await;
}

async fn what_never_gets_ready_has_failed_and_another_can_follow(cluster: &Cluster) {
    let deployer = deployer(cluster.client(), "sick", 4);
    becomes_ready(&deployer, &workload(Slot::Candidate, "fraud@1.4.0", 50), 1).await;
    let sick = workload(Slot::Candidate, "fraud@1.5.0-bad", 50);
    insist(&deployer, &sick, 1).await;
    let why = loop {
        match deployer.status(Slot::Candidate).await.unwrap() {
            Readiness::Failed { release, why } => {
                assert_eq!(release, sick.release);
                break why;
            }
            Readiness::Starting { release } => assert_eq!(release, sick.release),
            seen => panic!("{seen:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for word in ["ProgressDeadlineExceeded", "container `server` waits in ImagePullBackOff (no such tag)"] {
        assert!(why.contains(word), "{why}");
    }
    becomes_ready(&deployer, &workload(Slot::Candidate, "fraud@1.6.0", 50), 1).await;
    // Its ReplicaSet is there already.
    becomes_ready(&deployer, &workload(Slot::Candidate, "fraud@1.4.0", 50), 1).await;
}

async fn what_is_made_has_one_manager_and_is_kept(cluster: &Cluster) {
    let deployer = deployer(cluster.client(), "own", 60);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 50);
    becomes_ready(&deployer, &candidate, 1).await;
    let at = at("own-candidate");
    let object = cluster.get(&at).await;
    let managers = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let managers: Vec<_> =
        managers.map(|entry| (entry["manager"].as_str().unwrap(), &entry["operation"])).collect();
    assert_eq!(managers.len(), 2, "{managers:?}");
    assert!(managers.contains(&("tidegate", &json!("Apply"))), "{managers:?}");
    assert!(managers.iter().any(|(manager, _)| *manager == "kube-controller-manager"), "{managers:?}");
    let replica_sets = cluster.get("apis/apps/v1/namespaces/serving/replicasets").await;
    let ours = |set: &&Value| set["metadata"]["name"].as_str().unwrap().starts_with("own-candidate-");
    assert_eq!(replica_sets["items"].as_array().unwrap().iter().filter(ours).count(), 1, "a claim made pods");

    cluster.merge(&at, &json!({"spec": {"replicas": 1, "paused": true}})).await;
    becomes_ready(&deployer, &candidate, 1).await;
    let spec = &cluster.get(&at).await["spec"];
    assert_eq!((&spec["replicas"], &spec["paused"]), (&json!(2), &Value::Null));
}

async fn fields_of_others_are_not_seized_until_they_are_handed_over(cluster: &Cluster) {
    let labels = json!({"app": "theirs"});
    let containers = json!([{"name": "server", "image": "r.example/fraud:1.4.0"}]);
    let says = says("fraud@1.4.0");
    let theirs = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "theirs", "namespace": "serving", "labels": {OWNER: "Helm"}},
        "spec": {
            "replicas": 2,
            "minReadySeconds": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": says},
                "spec": {"containers": containers},
            },
        },
    });
    cluster.create("apis/apps/v1/namespaces/serving/deployments", &theirs).await;
    let deployer = deployer(cluster.client(), "adopting", 60).with_name(Slot::Stable, "theirs").unwrap();
    is_ready(&deployer, &workload(Slot::Stable, "fraud@1.4.0", 100)).await;
    let before = cluster.get(&at("theirs")).await;
    let next = workload(Slot::Stable, "fraud@1.5.0", 100);
    let error = deployer.ensure(&next, fence(1)).await.unwrap_err();
    refused(
        &error,
        &["Deployment serving/theirs", ".spec.replicas", "image", "\"ada\"", "hand the object over"],
    );
    assert_eq!(cluster.get(&at("theirs")).await, before);
    refused(&deployer.remove(Slot::Stable, fence(1)).await.unwrap_err(), &["not made by tidegate"]);

    cluster.merge(&at("theirs"), &json!({"metadata": {"labels": {OWNER: "tidegate"}}})).await;
    becomes_ready(&deployer, &next, 1).await;
    let spec = &cluster.get(&at("theirs")).await["spec"];
    assert_eq!(spec["selector"], json!({"matchLabels": labels}));
    assert_eq!((&spec["replicas"], &spec["minReadySeconds"]), (&json!(3), &json!(1)));
}

async fn a_rehearsal_finds_what_would_be_refused(cluster: &Cluster) {
    let rehearsed = deployer(cluster.client(), "rehearsed", 60);
    let wanted = workload(Slot::Candidate, "fraud@1.5.0", 100);
    assert_eq!(rehearsed.rehearse(&wanted).await.unwrap(), Rehearsed::Accepted);
    assert_eq!(rehearsed.status(Slot::Candidate).await.unwrap(), Readiness::Absent);
    let maps = cluster.get("api/v1/namespaces/serving/configmaps").await;
    let names = maps["items"].as_array().unwrap().iter().map(|map| &map["metadata"]["name"]);
    assert!(!names.into_iter().any(|name| name == "rehearsed-tidegate"), "{maps}");

    let nobody = Way { user: Some("system:serviceaccount:serving:nobody"), throttled: None };
    let denied = deployer(cluster.client_by(nobody), "rehearsed", 60).rehearse(&wanted).await.unwrap_err();
    refused(&denied, &["may not `get`", "deployments.apps"]);

    let server = json!({"name": "server", "image": "r.example/fraud", "ports": [{"containerPort": 70_000}]});
    let template = json!({
        "metadata": {"name": "rehearsed"},
        "spec": {"template": {"spec": {"containers": [server]}}},
    });
    let invalid = Deployments::new(cluster.client(), "serving", &template).unwrap();
    refused(&invalid.rehearse(&wanted).await.unwrap_err(), &["containerPort"]);

    let quotas = "api/v1/namespaces/serving/resourcequotas";
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/deployments.apps": "0"}}});
    cluster.create(quotas, &quota).await;
    // No controller counts here, and what is not counted is not enforced.
    let none = json!({"count/deployments.apps": "0"});
    cluster.merge(&format!("{quotas}/few/status"), &json!({"status": {"hard": none, "used": none}})).await;
    let error = loop {
        match rehearsed.rehearse(&wanted).await {
            // Admission takes a moment to know of it.
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => break error,
        }
    };
    refused(&error, &["its admission refuses this", "quota: few"]);
    cluster.delete(&format!("{quotas}/few")).await;
    while rehearsed.rehearse(&wanted).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_slot_is_absent_only_when_its_pods_are_gone(cluster: &Cluster) {
    let deployer = deployer(cluster.client(), "ending", 60);
    becomes_ready(&deployer, &workload(Slot::Candidate, "fraud@1.5.0", 100), 1).await;
    while let Err(error) = deployer.remove(Slot::Candidate, fence(1)).await {
        assert!(error.is_transient(), "{}", said(&error));
    }
    let selector = "api/v1/namespaces/serving/pods?labelSelector=app.kubernetes.io/instance=ending-candidate";
    let mut ended = false;
    while !ended {
        let seen = deployer.status(Slot::Candidate).await.unwrap();
        ended = seen == Readiness::Absent;
        assert!(ended || matches!(seen, Readiness::Failed { .. }), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(cluster.get(selector).await["items"], json!([]));
}

/// Does `work` while pods run.
async fn while_pods_run(cluster: &Cluster, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = cluster.run_pods() => {}
    }
}

fn deployer(client: kube::Client, name: &str, deadline: u32) -> Deployments {
    let template = json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": 3,
            "progressDeadlineSeconds": deadline,
            "template": {"spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "server", "ports": [{"containerPort": 8080}]}],
            }},
        },
    });
    let deployer = Deployments::new(client, "serving", &template).unwrap();
    deployer.with_image("server", "r.example/fraud:{version}").unwrap()
}

fn release(model: &str) -> Release {
    Release { model: model.parse().unwrap(), digest: Digest::of(model) }
}

fn says(model: &str) -> Value {
    json!({"tidegate.dev/release": model, "tidegate.dev/digest": release(model).digest.to_string()})
}

fn workload(slot: Slot, model: &str, percent: u16) -> Workload {
    Workload { slot, release: release(model), share: Weight::percent(percent).unwrap() }
}

fn at(name: &str) -> String {
    format!("apis/apps/v1/namespaces/serving/deployments/{name}")
}

/// Ensures `workload`, asking again and again.
async fn insist(deployer: &Deployments, workload: &Workload, n: u64) {
    until(&format!("{} is ensured", workload.release), async || {
        deployer.ensure(workload, fence(n)).await.map_err(|error| said(&error))
    })
    .await;
}

async fn becomes_ready(deployer: &Deployments, workload: &Workload, n: u64) {
    insist(deployer, workload, n).await;
    is_ready(deployer, workload).await;
}

/// Waits until what was ensured is ready.
async fn is_ready(deployer: &Deployments, workload: &Workload) {
    let ready = Readiness::Ready { release: workload.release.clone() };
    until(&format!("{} is ready", workload.release), async || match deployer.status(workload.slot).await {
        Ok(seen) if seen == ready => Ok(()),
        Ok(Readiness::Starting { .. }) => Err("it starts".to_owned()),
        Ok(seen) => panic!("{seen:?}"),
        Err(error) if error.is_transient() => Err(said(&error)),
        Err(error) => panic!("{}", said(&error)),
    })
    .await;
}

fn refused(error: &ActuatorError, words: &[&str]) {
    let said = said(error);
    assert!(matches!(error, ActuatorError::Refused { .. }), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}
