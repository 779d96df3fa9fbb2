//! The rights in `examples/kubernetes/rbac.yaml` are enough, and without any of them something is refused
//! that names it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Deployer, Slot, Traffic, TrafficRouter, Weight,
    kubernetes::{Deployments, HttpRoute},
    testkit::fence,
};

use crate::{
    cluster::{Cluster, Way},
    said, workload,
};

pub(crate) const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/kubernetes");
pub(crate) const TIDEGATE: Way =
    Way { user: Some("system:serviceaccount:serving:tidegate"), throttled: None };
/// The next fence that nobody has acted with.
static FENCES: AtomicU64 = AtomicU64::new(1);
const ROLE: &str = "apis/rbac.authorization.k8s.io/v1/namespaces/serving/roles/tidegate";

/// A cluster to which the examples were applied.
pub(crate) async fn with_examples() -> Cluster {
    let cluster = Cluster::with_controllers().await;
    for file in ["rbac.yaml", "route.yaml"] {
        cluster.kubectl(&["apply", "--validate=false", "-f", &format!("{EXAMPLES}/{file}")]);
    }
    cluster
}

/// Deployments after the example of a template, with the rights of the example of an account.
pub(crate) fn deployer(cluster: &Cluster) -> Deployments {
    let file = format!("{EXAMPLES}/template.yaml");
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
    let cluster = with_examples().await;
    let work = async {
        everything(&cluster).await.unwrap();
        let role = cluster.get(ROLE).await;
        let rules = role["rules"].as_array().unwrap();
        let mut missed = 0;
        for (index, rule) in rules.iter().enumerate() {
            for verb in rule["verbs"].as_array().unwrap() {
                let mut less = rules.clone();
                less[index]["verbs"].as_array_mut().unwrap().retain(|other| other != verb);
                // A rule without verbs is none.
                less.retain(|rule| rule["verbs"] != json!([]));
                cluster.merge(ROLE, &json!({"rules": less})).await;
                let said = refusal(&cluster).await;
                let resource = rule["resources"][0].as_str().unwrap();
                let group = rule["apiGroups"][0].as_str().unwrap();
                for word in [verb.as_str().unwrap(), resource, group, "serving"] {
                    assert!(said.contains(word), "without `{verb}` on {resource}: {said}");
                }
                missed += 1;
            }
        }
        assert_eq!(missed, 10);
        cluster.merge(ROLE, &json!({"rules": rules})).await;
    };
    tokio::select! {
        () = work => {}
        () = cluster.run_pods() => {}
        () = cluster.accept_everything() => {}
    }
}

/// What is said once a change of the role has reached the API server.
async fn refusal(cluster: &Cluster) -> String {
    for _ in 0..100 {
        match everything(cluster).await {
            Err(error @ ActuatorError::Refused { .. }) => return said(&error),
            Err(error) => assert!(error.is_transient(), "{}", said(&error)),
            Ok(()) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is refused");
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
