//! Whole canaries on one machine: the driver, the embedded router as router and metrics, local processes, and
//! a gateway that users talk to.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::future::join_all;
use tidegate_canary::Deployer as _;
use tidegate_canary::{
    AtHorizon, Driver, EmbeddedRouter, Gatekeepers, LocalProcesses, PlanSpec, Readiness, Release, Require,
    RouteId, Slot, State as RolloutState, Timing, WallClock, Weight, Workload, World,
    metrics::{Criterion, Metric, Statistic},
    testkit::fence,
};
use tidegate_registry::{Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelStore, Stamp};

use crate::{
    server::Behaviour,
    stage::{Stage, becomes_absent, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_candidate_is_promoted_and_no_request_is_lost() {
    let (end, answers, stage, servers) = roll_out(&Behaviour::default()).await;
    assert_eq!(end, RolloutState::Promoted);
    assert_eq!(answers.keys().collect::<Vec<_>>(), [&200], "{answers:?}");
    assert_eq!(version(&servers).await, "1.1.0");
    becomes_absent(&servers, Slot::Candidate).await;
    stage.end(servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_fails_a_fifth_of_its_requests_is_rolled_back() {
    let failing = Behaviour { every_nth_fails: Some(5), ..Behaviour::default() };
    let (end, answers, stage, servers) = roll_out(&failing).await;
    assert!(matches!(end, RolloutState::RolledBack { .. }), "{end:?}");
    // What the candidate answered itself; nothing else went wrong.
    assert_eq!(answers.keys().collect::<Vec<_>>(), [&200, &500], "{answers:?}");
    assert_eq!(version(&servers).await, "1.0.0");
    becomes_absent(&servers, Slot::Candidate).await;
    stage.end(servers).await;
}

/// The version in the stable slot.
async fn version(servers: &LocalProcesses) -> String {
    match servers.status(Slot::Stable).await.unwrap() {
        Readiness::Ready { release } => release.model.version().to_string(),
        other => panic!("stable is {other:?}"),
    }
}

/// Rolls `fraud@1.1.0` out over `fraud@1.0.0` under load. How it ended, and how many requests were answered
/// with which status: 599 for none.
async fn roll_out(candidate: &Behaviour) -> (RolloutState, BTreeMap<u16, u64>, Stage, LocalProcesses) {
    let stage = Stage::new();
    stage.behave("1.1.0", candidate);
    let registry = InMemory::default();
    let clock = WallClock::system();
    let route: RouteId = "serving/fraud".parse().unwrap();
    let stable = publish(&registry, "fraud@1.0.0", clock).await;
    let candidate = publish(&registry, "fraud@1.1.0", clock).await;
    let channels = Channels::new(Arc::new(registry.clone()));
    let stamp = Stamp { by: "ada".to_owned(), at: clock.now() };
    let production = Channel::production();
    channels
        .promote(&stable.model, &production, &Expect::Absent, Cause::Promote, stamp.clone())
        .await
        .unwrap();

    let servers = stage.open().await;
    let workload = Workload { slot: Slot::Stable, release: stable.clone(), share: Weight::FULL };
    servers.ensure(&workload, fence(1)).await.unwrap();
    until("stable", async || servers.status(Slot::Stable).await.unwrap().ready().map(drop)).await;

    let router = EmbeddedRouter::new(clock, 42);
    let gateway = serve(&router, &route, servers.clone()).await;
    let over = Arc::new(AtomicBool::new(false));
    let load = join_all((0..4).map(|_| tokio::spawn(ask(gateway, Arc::clone(&over)))));

    let world = World {
        store: Arc::new(registry.clone()),
        log: Arc::new(registry.clone()),
        metrics: Arc::new(router.clone()),
        router: Arc::new(router),
        deployer: Arc::new(servers.clone()),
        gates: Gatekeepers::new(),
        clock,
    };
    let mut spec = PlanSpec::canary(route, stable, candidate);
    spec.steps.drain(1..3);
    let shares = [(25, Require::Pass), (100, Require::NoFailure)];
    for (step, (percent, require)) in spec.steps.iter_mut().zip(shares) {
        step.weight = Weight::percent(percent).unwrap();
        step.soak = Duration::from_millis(400);
        step.min_trials = 50;
        step.require = require;
    }
    spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
    spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
    spec.timing = Timing {
        bake: Duration::from_millis(600),
        drain: Duration::from_millis(300),
        horizon: Duration::from_secs(20),
        patience: Duration::from_secs(20),
        verify: Duration::from_millis(400),
        window: Duration::from_millis(200),
        ..Timing::default()
    };
    spec.at_horizon = AtHorizon::Rollback;
    let (driver, _handle) =
        Driver::open(world, "ci-8841".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let end = driver.run().await.unwrap();
    over.store(true, Ordering::SeqCst);
    let mut answers = BTreeMap::new();
    for worker in load.await {
        for status in worker.unwrap() {
            *answers.entry(status).or_default() += 1;
        }
    }
    (end, answers, stage, servers)
}

async fn publish(store: &InMemory, model: &str, clock: WallClock) -> Release {
    let draft = Draft::new(model.parse().unwrap(), Stamp { by: "ada".to_owned(), at: clock.now() });
    let content = Content::bytes([("weights.bin".parse().unwrap(), Bytes::from(model.to_owned()))]);
    Release::from(&store.publish(draft, content, &()).await.unwrap())
}

/// A user who asks until it is over.
async fn ask(gateway: SocketAddr, over: Arc<AtomicBool>) -> Vec<u16> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answers = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let answer = client.get(format!("http://{gateway}/")).send().await;
        answers.push(answer.map_or(599, |answer| answer.status().as_u16()));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    answers
}

/// The gateway: the embedded router in front of a small reverse proxy.
async fn serve(router: &EmbeddedRouter, route: &RouteId, servers: LocalProcesses) -> SocketAddr {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let proxy = Router::new().fallback(forward).with_state((servers, client));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, proxy.layer(router.layer(route))).into_future());
    address
}

async fn forward(
    State((servers, client)): State<(LocalProcesses, reqwest::Client)>,
    Extension(slot): Extension<Slot>,
    uri: Uri,
) -> Response {
    let Some(address) = servers.address(slot) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "nobody serves the slot").into_response();
    };
    match client.get(format!("http://{address}{uri}")).send().await {
        Ok(answer) => {
            let status = answer.status();
            (status, Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
