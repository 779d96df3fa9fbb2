//! Every router of Kubernetes against a real API server; what counts replicas, with the real controllers.
//!
//! ```text
//! KUBEBUILDER_ASSETS=… cargo test -p tidegate-canary --test routers_live -- --ignored
//! ```
//!
//! The directory holds `kube-apiserver` and `kube-controller-manager`; `etcd` and `kubectl` are taken from
//! there or from the path, `openssl` from the path. Any version of Kubernetes will do. `GATEWAY_API_CRD` may name the
//! definition of HTTPRoute that a release of the Gateway API ships.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod bench;
#[path = "../cluster/mod.rs"]
mod cluster;
mod httproute;
mod ingress;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod replicas;
mod traefik;
mod virtual_service;

use std::{future::Future, time::Duration};

use futures::{FutureExt, future::join_all};
use tidegate_canary::{Observed, RouteId, Traffic, TrafficRouter, Weight, testkit::fence};

use crate::cluster::{Cluster, Way, until};

#[tokio::test]
#[ignore = "needs kube-apiserver and kube-controller-manager (KUBEBUILDER_ASSETS)"]
async fn routers_do_on_a_kube_apiserver_what_they_promise() {
    let mut cluster = Cluster::with_controllers().await;
    while_everything_runs(&cluster, async {
        join_all([
            httproute::BENCH.everything(&cluster).boxed_local(),
            ingress::BENCH.everything(&cluster).boxed_local(),
            replicas::BENCH.everything(&cluster).boxed_local(),
            traefik::BENCH.everything(&cluster).boxed_local(),
            virtual_service::BENCH.everything(&cluster).boxed_local(),
        ])
        .await;
    })
    .await;
    while_everything_runs(&cluster, replicas::what_is_missing_is_said(&cluster)).await;
    while_everything_runs(&cluster, examples(&cluster)).await;
    one_that_throttles_is_waited_for(&cluster).await;
    one_that_is_restarted_is_waited_for(&mut cluster).await;
}

/// The examples are as the routers want them, and what they grant is as little as it can be.
async fn examples(cluster: &Cluster) {
    cluster.apply_examples(&["services.yaml"]);
    assert_eq!(ingress::BENCH.example(cluster, "route-ingress.yaml").await, 3);
    assert_eq!(replicas::BENCH.example(cluster, "route-replicas.yaml").await, 4);
    assert_eq!(traefik::BENCH.example(cluster, "route-traefik.yaml").await, 2);
    assert_eq!(virtual_service::BENCH.example(cluster, "route-istio.yaml").await, 2);
}

async fn one_that_throttles_is_waited_for(cluster: &Cluster) {
    let throttled = Way { throttled: Some(3), ..Way::default() };
    let routers = routers(cluster, &throttled, "throttled").await;
    while_everything_runs(cluster, async {
        join_all(routers.iter().map(|(router, route)| becomes(&**router, route, 20, 1))).await;
    })
    .await;
    // Each of the five asks three times at least.
    assert!(cluster.throttled() >= 5, "only {} requests were throttled", cluster.throttled());
}

async fn one_that_is_restarted_is_waited_for(cluster: &mut Cluster) {
    let routers = routers(cluster, &Way::default(), "restarted").await;
    let all_become = async |percent, n| {
        join_all(routers.iter().map(|(router, route)| becomes(&**router, route, percent, n))).await;
    };
    while_everything_runs(cluster, all_become(10, 1)).await;
    // It is not there yet when the first requests come.
    let applied = join_all(routers.iter().map(|(router, route)| async move {
        let mut away = 0;
        while let Err(error) = router.apply(route, &split(20), fence(2)).await {
            let said = cluster::rights::said(&error);
            assert!(error.is_transient(), "{said}");
            // Replicas come only once there is somebody to run them.
            if said.contains("replicas are ready") {
                break;
            }
            away += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        away
    }));
    let ((), away) = futures::join!(cluster.restart_api_server(), applied);
    assert!(away.iter().all(|&away| away > 0), "somebody did not see that it was away: {away:?}");
    while_everything_runs(cluster, all_become(20, 2)).await;
}

/// One of each kind, with a route.
async fn routers(cluster: &Cluster, way: &Way, name: &str) -> Vec<(Box<dyn TrafficRouter>, RouteId)> {
    let route = httproute::BENCH.route(cluster, &format!("{name}-httproute")).await;
    let client = || cluster.client_by(way.clone());
    vec![
        (Box::new((httproute::BENCH.router)(client())) as Box<dyn TrafficRouter>, route),
        (
            Box::new((ingress::BENCH.router)(client())),
            ingress::BENCH.route(cluster, &format!("{name}-ingress")).await,
        ),
        (
            Box::new((replicas::BENCH.router)(client())),
            replicas::BENCH.route(cluster, &format!("{name}-replicas")).await,
        ),
        (
            Box::new((traefik::BENCH.router)(client())),
            traefik::BENCH.route(cluster, &format!("{name}-traefik")).await,
        ),
        (
            Box::new((virtual_service::BENCH.router)(client())),
            virtual_service::BENCH.route(cluster, &format!("{name}-virtual-service")).await,
        ),
    ]
}

/// Applies until that is in force.
async fn becomes(router: &dyn TrafficRouter, route: &RouteId, percent: u16, n: u64) {
    let wanted = Observed::new(split(percent), Some(fence(n)));
    let what = format!("{route} has {percent} %");
    let seen = until(&what, async || {
        let seen = async {
            router.apply(route, &wanted.traffic, fence(n)).await?;
            router.observe(route).await
        };
        seen.await.inspect_err(|error| assert!(error.is_transient(), "{}", cluster::rights::said(error)))
    });
    assert_eq!(seen.await, wanted, "{router:?}");
}

/// Does `work` while pods run and a gateway takes up every route.
async fn while_everything_runs(cluster: &Cluster, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = cluster.run_pods() => {}
        () = cluster.accept_everything() => {}
    }
}

fn split(percent: u16) -> Traffic {
    Traffic::split(Weight::percent(percent).unwrap())
}
