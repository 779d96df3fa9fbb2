//! The rights in `examples/kubernetes/rbac.yaml` are enough, and without any of them something is refused
//! that names it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::Value;
use tidegate_canary::{
    ActuatorError, Deployer, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{Deployments, HttpRoute},
    testkit::fence,
};

use crate::{
    cluster::{
        Cluster,
        rights::{TIDEGATE, example},
    },
    workload,
};

/// The next fence that nobody has acted with.
static FENCES: AtomicU64 = AtomicU64::new(1);

/// A cluster to which the examples were applied.
pub(crate) async fn with_examples(files: &[&str]) -> Cluster {
    let cluster = Cluster::with_controllers().await;
    cluster.apply_examples(files);
    cluster
}

/// Deployments after the example of a template, with the rights of the example of an account.
pub(crate) fn deployer(cluster: &Cluster) -> Deployments {
    let file = example("template.yaml");
    let template =
        cluster.kubectl(&["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", &file]);
    let template: Value = serde_json::from_str(&template).unwrap();
    let deployer = Deployments::new(cluster.client_by(TIDEGATE), "serving", &template).unwrap();
    deployer.with_image("server", "registry.example/fraud-server:{version}").unwrap()
}

pub(crate) fn router(cluster: &Cluster) -> HttpRoute {
    HttpRoute::new(cluster.client_by(TIDEGATE), "fraud-stable", "fraud-candidate").with_rule("predict")
}

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn a_kube_apiserver_grants_what_the_examples_ask_for_and_names_what_is_missing() {
    let cluster = with_examples(&["rbac.yaml", "services.yaml", "route.yaml"]).await;
    let work = async {
        assert_eq!(cluster.each_right_is_needed("tidegate", async || everything(&cluster).await).await, 10);
    };
    tokio::select! {
        () = work => {}
        () = cluster.run_pods() => {}
        () = cluster.accept_everything() => {}
    }
}

/// Every kind of request that the router and the deployer make.
async fn everything(cluster: &Cluster) -> Result<(), ActuatorError> {
    let (deployer, router) = (deployer(cluster), router(cluster));
    let route = "serving/fraud".parse().unwrap();
    // The first fence is written down anew, the second replaces it.
    cluster.kubectl(&["delete", "configmap", "fraud-tidegate", "-n", "serving", "--ignore-not-found"]);
    let candidate = workload(Slot::Candidate, "fraud@1.5.0", 10);
    let [first, second] = [(); 2].map(|()| fence(FENCES.fetch_add(1, Ordering::Relaxed)));
    deployer.ensure(&candidate, first).await?;
    router.apply(&route, &Traffic::split(Weight::percent(10).unwrap()), first).await?;
    router.apply(&route, &Traffic::stable(), second).await?;
    deployer.remove(Slot::Candidate, second).await?;
    while deployer.status(Slot::Candidate).await? != tidegate_canary::Readiness::Absent {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
