//! StatefulSets.

use serde_json::{Value, json};
use tidegate_canary::Readiness;
use tidegate_rollback::State;

use crate::{
    cluster::{Cluster, until},
    ground::{Ground, STATEFUL_SET},
    while_pods_run, with_rights,
};

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn stateful_sets_on_a_kube_apiserver_come_back_by_digest() {
    let cluster = with_rights().await;
    while_pods_run(
        &cluster,
        Box::pin(async {
            from_a_pod_for_which_the_controller_would_wait_for_ever(&cluster).await;
            half_way_nothing_is_ready_that_still_has_pods_of_the_other(&cluster).await;
            pods_that_would_stay_as_they_are_are_said_to(&cluster).await;
        }),
    )
    .await;
}

async fn from_a_pod_for_which_the_controller_would_wait_for_ever(cluster: &Cluster) {
    for suffix in ["-bad", "-crash"] {
        let ground = Ground::stateful_set(cluster);
        let good = ground.deploy_good("fraud@1.0.0").await;
        let before = ground.object().await["spec"].clone();
        let bad = ground.deploy("fraud@1.1.0", suffix, |_| {}).await;
        cluster
            .merge(STATEFUL_SET, &json!({"metadata": {"annotations": {"scaler.example/seen": "7"}}}))
            .await;
        waits_for_a_pod_of(&ground, suffix).await;
        if suffix == "-crash" {
            let seen = ground.sees(|seen| matches!(seen, Readiness::Failed { .. })).await;
            assert!(matches!(&seen, Readiness::Failed { release, .. } if *release == bad), "{seen:?}");
        }
        ground.comes_back_to("inc-1", &good).await;
        let after = ground.object().await;
        assert_eq!(after["spec"], before);
        assert_eq!(after["metadata"]["annotations"]["scaler.example/seen"], "7");
        ground.clear().await;
    }
}

async fn half_way_nothing_is_ready_that_still_has_pods_of_the_other(cluster: &Cluster) {
    let ground = Ground::stateful_set(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    ground.deploy("fraud@1.1.0", "", |_| {}).await;
    // As soon as the first pod of the new version is there, and it is ready: it answers, but wrongly.
    while cluster.get(STATEFUL_SET).await["status"]["updatedReplicas"].as_i64().unwrap_or(0) < 1 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    ground.comes_back_to("inc-1", &good).await;
    ground.clear().await;
}

async fn pods_that_would_stay_as_they_are_are_said_to(cluster: &Cluster) {
    let ground = Ground::stateful_set(cluster);
    let good = ground.deploy_good("fraud@1.0.0").await;
    ground.deploy("fraud@1.1.0", "-bad", |_| {}).await;
    waits_for_a_pod_of(&ground, "-bad").await;
    for (strategy, word) in [
        (json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}), "partition 2"),
        (json!({"type": "OnDelete", "rollingUpdate": null}), "OnDelete"),
    ] {
        cluster.merge(STATEFUL_SET, &json!({"spec": {"updateStrategy": strategy}})).await;
        let why = ground.nowhere_to_go().await;
        assert!(why.contains(word), "{why}");
        let id = format!("inc-{}", word.split(' ').next().unwrap().to_lowercase());
        let stuck = ground.roll_back_unasked(&id).await;
        let words = stuck.to_string();
        assert!(matches!(stuck, State::Stuck { .. }) && words.contains(word), "{words}");
    }
    let moving = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    cluster.merge(STATEFUL_SET, &json!({"spec": {"updateStrategy": moving}})).await;
    ground.comes_back_to("inc-9", &good).await;
    ground.clear().await;
}

/// Waits until a pod of the version whose image ends with `suffix` is there and is not ready.
async fn waits_for_a_pod_of(ground: &Ground<'_>, suffix: &str) {
    let is_such = |pod: &Value| {
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
        image.ends_with(suffix) && !pod["status"]["containerStatuses"].is_null()
    };
    until("there is such a pod", async || {
        let pods = ground.cluster.get("api/v1/namespaces/serving/pods?labelSelector=app=fraud").await;
        pods["items"].as_array().unwrap().iter().any(is_such).then_some(()).ok_or(pods)
    })
    .await;
}
