//! Whole rollbacks of workloads that others have deployed, on a real API server with the real controllers and the
//! rights of the examples.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test -p tidegate-rollback --test kubernetes_live -- --ignored
//! ```

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../../canary/tests/cluster/mod.rs"]
mod cluster;
mod deployment;
mod gitops;
mod ground;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod rights;
mod stateful_set;

use std::future::Future;

use crate::cluster::Cluster;

/// A cluster in which the account of the examples may take workloads back.
async fn with_rights() -> Cluster {
    let cluster = Cluster::with_controllers().await;
    cluster.apply_examples(&["rbac-revisions.yaml"]);
    cluster
}

/// Does `work` while pods run.
async fn while_pods_run(cluster: &Cluster, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = cluster.run_pods() => {}
    }
}
