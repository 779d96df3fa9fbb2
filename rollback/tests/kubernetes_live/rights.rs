//! What `examples/kubernetes/rbac-revisions.yaml` grants is enough, and without any of it something is refused that
//! names it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::json;
use tidegate_canary::{
    ActuatorError, Deployer, Readiness, Rehearsed, Release, Slot, Weight, Workload, testkit::fence,
};

use crate::{
    cluster::{Cluster, until},
    ground::{DEPLOYMENT, Ground, STATEFUL_SET, workload},
    while_pods_run, with_rights,
};

/// The next fence that nobody has acted with.
static FENCES: AtomicU64 = AtomicU64::new(1);

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_grants_what_going_back_asks_for_and_names_what_is_missing() {
    let cluster = with_rights().await;
    while_pods_run(&cluster, async {
        let (deployment, stateful) = (Ground::deployment(&cluster), Ground::stateful_set(&cluster));
        let good = deployment.deploy_good("fraud@1.0.0").await;
        let bad = deployment.deploy("fraud@1.1.0", "", |_| {}).await;
        // Pods of both are told apart by who owns them; the selectors are not the same all the same.
        stateful.deploy("fraud@1.0.0", "", |_| {}).await;
        stateful.becomes_ready(&good).await;
        let work = async || {
            forth_and_back(&cluster, &deployment, DEPLOYMENT, &good, &bad, "").await?;
            forth_and_back(&cluster, &stateful, STATEFUL_SET, &good, &bad, "-bad").await
        };
        assert_eq!(cluster.each_right_is_needed("tidegate-revisions", work).await, 8);
    })
    .await;
}

/// Every kind of request that is made: to `bad`, by somebody else, and back to `good`.
async fn forth_and_back(
    cluster: &Cluster,
    ground: &Ground<'_>,
    at: &str,
    good: &Release,
    bad: &Release,
    suffix: &str,
) -> Result<(), ActuatorError> {
    let template = workload(bad, suffix, at == STATEFUL_SET)["spec"]["template"].clone();
    cluster.edit(at, |object| object["spec"]["template"] = template.clone()).await;
    let pods = "api/v1/namespaces/serving/pods?labelSelector=app=fraud";
    let image = json!(crate::ground::image(bad, suffix));
    until("a pod runs it", async || {
        let pods = cluster.get(pods).await;
        let mut items = pods["items"].as_array().unwrap().iter();
        items.any(|pod| pod["spec"]["containers"][0]["image"] == image).then_some(()).ok_or(pods)
    })
    .await;
    let back = Workload { slot: Slot::Stable, release: good.clone(), share: Weight::FULL };
    let fence = fence(FENCES.fetch_add(1, Ordering::Relaxed));
    // What it may do, it may rehearse.
    match ground.deployer.rehearse(&back).await {
        Err(error) if error.is_transient() => {}
        rehearsed => assert_eq!(rehearsed?, Rehearsed::Accepted),
    }
    loop {
        match ground.deployer.ensure(&back, fence).await {
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(50)).await,
            done => break done?,
        }
    }
    loop {
        match ground.deployer.status(Slot::Stable).await {
            Ok(Readiness::Ready { release }) if release == *good => return Ok(()),
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error),
        }
    }
}
