//! One release after another in a slot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_canary::{ActuatorError, Deployer, Readiness, Slot, testkit::fence};
use tidegate_registry::Digest;

use crate::{
    ports::free_port,
    server::Behaviour,
    stage::{
        self, Stage, TOKEN, becomes_absent, becomes_ready, fails, get, lives, release, until, who, workload,
    },
};

#[tokio::test]
async fn a_server_gets_what_its_command_says() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Baseline, "1.0.0").await;
    let who = who(&servers, Slot::Baseline).await;
    let digest = Digest::of("fraud@1.0.0").to_string();
    assert_eq!(who.arguments, ["baseline", "fraud@1.0.0", &digest]);
    assert_eq!(who.token, TOKEN);
    stage.end(servers).await;
}

#[tokio::test]
async fn a_predecessor_serves_until_its_successor_is_ready() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let old = (servers.address(Slot::Stable), who(&servers, Slot::Stable).await.pid);
    stage.behave("1.1.0", &Behaviour { ready_after: 700, ..Behaviour::default() });

    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (servers, over) = (servers.clone(), Arc::clone(&over));
        async move {
            let mut count = 0;
            while !over.load(Ordering::SeqCst) {
                let answer = get(&servers, Slot::Stable, "/").await.error_for_status().unwrap();
                assert_eq!(answer.text().await.unwrap(), "fine");
                count += 1;
            }
            count
        }
    });
    servers.ensure(&workload(Slot::Stable, "1.1.0"), fence(1)).await.unwrap();
    assert_eq!(
        servers.status(Slot::Stable).await.unwrap(),
        Readiness::Starting { release: release("1.1.0") },
        "its predecessor is not meant"
    );
    until("two servers", async || (stage.processes().len() == 2).then_some(())).await;
    assert_eq!(servers.address(Slot::Stable), old.0, "the predecessor serves");
    over.store(true, Ordering::SeqCst);
    assert!(load.await.unwrap() > 0);
    becomes_ready(&servers, Slot::Stable, "1.1.0").await;
    assert_ne!(servers.address(Slot::Stable), old.0);
    assert_ne!(who(&servers, Slot::Stable).await.pid, old.1);
    until("the end of the predecessor", async || (!lives(old.1)).then_some(())).await;
    stage.end(servers).await;
}

#[tokio::test]
async fn a_successor_that_fails_leaves_its_predecessor_serving_and_going_back_is_immediate() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let old = who(&servers, Slot::Stable).await;
    stage.behave("1.1.0", &Behaviour { exit: Some(1), ..Behaviour::default() });
    servers.ensure(&workload(Slot::Stable, "1.1.0"), fence(1)).await.unwrap();
    fails(&servers, Slot::Stable).await;
    assert_eq!(who(&servers, Slot::Stable).await, old);
    servers.ensure(&workload(Slot::Stable, "1.0.0"), fence(1)).await.unwrap();
    let ready = Readiness::Ready { release: release("1.0.0") };
    assert_eq!(servers.status(Slot::Stable).await.unwrap(), ready);
    assert_eq!(who(&servers, Slot::Stable).await, old);
    stage.end(servers).await;
}

#[tokio::test]
async fn a_slot_with_a_port_of_its_own_keeps_it() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    let port = free_port();
    spec.ports.insert(Slot::Stable, port);
    let servers = stage.open_with(spec).await.unwrap();
    for version in ["1.0.0", "1.1.0"] {
        stage::run(&servers, Slot::Stable, version).await;
        assert_eq!(servers.address(Slot::Stable).unwrap().port(), port);
        assert_eq!(who(&servers, Slot::Stable).await.arguments[1], format!("fraud@{version}"));
        assert_eq!(stage.processes().len(), 1);
    }
    servers.remove(Slot::Stable, fence(1)).await.unwrap();
    becomes_absent(&servers, Slot::Stable).await;

    // Somebody else who answers there is not taken for a server of ours.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let stranger = axum::Router::new().fallback(async || "ready");
    let stranger = tokio::spawn(axum::serve(listener, stranger).into_future());
    servers.ensure(&workload(Slot::Stable, "1.0.0"), fence(1)).await.unwrap();
    let why = fails(&servers, Slot::Stable).await;
    assert!(why.contains(&format!("port {port} of the stable slot is not free")), "{why}");
    stranger.abort();
    stage.end(servers).await;
}

#[tokio::test]
async fn servers_do_not_pile_up() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    spec.command.args.insert(0, spec.command.program.clone());
    spec.command.args.splice(0..0, ["-c".to_owned(), r#"trap "" TERM; exec "$0" "$@""#.to_owned()]);
    spec.command.program = "/bin/sh".to_owned();
    spec.pace.stop = Duration::from_secs(1_000);
    let servers = stage.open_with(spec).await.unwrap();
    for n in 0..9 {
        stage::run(&servers, Slot::Candidate, &format!("1.{n}.0")).await;
    }
    assert_eq!(stage.processes().len(), 9, "one serves, and eight are on their way out");
    let answer = servers.ensure(&workload(Slot::Candidate, "1.9.0"), fence(1)).await;
    assert!(matches!(answer, Err(ActuatorError::Unavailable { .. })), "{answer:?}");
    becomes_ready(&servers, Slot::Candidate, "1.8.0").await;
}
