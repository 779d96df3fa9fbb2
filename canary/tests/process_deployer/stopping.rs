//! How servers end.

use std::time::Duration;

use tidegate_canary::{Deployer, Readiness, Slot, process::ServerSpec, testkit::fence};
use tokio::time;

use crate::{
    server::{Behaviour, Child},
    stage::{self, Stage, becomes_absent, get, lives, until, who},
};

/// The server does not obey `SIGTERM`, which is inherited from a shell that does not.
fn stubborn(stage: &Stage) -> ServerSpec {
    let mut spec = stage.spec();
    let script = r#"trap "" TERM; exec "$0" "$@""#;
    let program = std::mem::replace(&mut spec.command.program, "/bin/sh".to_owned());
    spec.command.args.splice(0..0, ["-c".to_owned(), script.to_owned(), program]);
    spec
}

#[tokio::test]
async fn requests_in_flight_have_until_the_grace_is_over() {
    let stage = Stage::new();
    let mut spec = stubborn(&stage);
    spec.pace.stop = Duration::from_millis(1_500);
    let servers = stage.open_with(spec).await.unwrap();
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    let pid = who(&servers, Slot::Candidate).await.pid;
    let slow = tokio::spawn({
        let servers = servers.clone();
        async move { get(&servers, Slot::Candidate, "/slow/800").await.text().await.unwrap() }
    });
    time::sleep(Duration::from_millis(200)).await;
    let began = time::Instant::now();
    servers.remove(Slot::Candidate, fence(1)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "whoever removes need not wait");
    let status = servers.status(Slot::Candidate).await.unwrap();
    assert!(matches!(&status, Readiness::Failed { why, .. } if why.contains("stopped")), "{status:?}");
    assert_eq!(slow.await.unwrap(), "slow but whole");
    assert!(lives(pid), "it does not obey");
    becomes_absent(&servers, Slot::Candidate).await;
    assert!(!lives(pid));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_500), "it was killed after {took:?}");
    assert_eq!(servers.address(Slot::Candidate), None);
    stage.end(servers).await;
}

#[tokio::test]
async fn one_that_obeys_ends_at_once() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    spec.pace.stop = Duration::from_secs(1_000);
    let servers = stage.open_with(spec).await.unwrap();
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    servers.remove(Slot::Candidate, fence(1)).await.unwrap();
    becomes_absent(&servers, Slot::Candidate).await;
    stage.end(servers).await;
}

#[tokio::test]
async fn children_end_with_their_server_however_it_ends() {
    for child in [Child::InGroup, Child::InSession] {
        let stage = Stage::new();
        stage.behave("1.0.0", &Behaviour { child: Some(child), ..Behaviour::default() });
        let servers = stage.open().await;
        stage::run(&servers, Slot::Candidate, "1.0.0").await;
        let first = child_of(&stage, &servers);
        assert!(lives(first));

        crate::crashing::kill(who(&servers, Slot::Candidate).await.pid);
        until("the end of the child", async || (!lives(first)).then_some(())).await;
        stage::becomes_ready(&servers, Slot::Candidate, "1.0.0").await;
        let second = child_of(&stage, &servers);
        assert!(lives(second) && second != first);

        servers.remove(Slot::Candidate, fence(1)).await.unwrap();
        becomes_absent(&servers, Slot::Candidate).await;
        assert!(!lives(second), "{child:?}");
        stage.end(servers).await;
    }
}

fn child_of(stage: &Stage, servers: &tidegate_canary::LocalProcesses) -> u32 {
    let port = servers.address(Slot::Candidate).unwrap().port();
    let written = std::fs::read_to_string(stage.files("1.0.0").join(format!("child-{port}")));
    written.unwrap().parse().unwrap()
}

#[tokio::test]
async fn shut_down_stops_everything_and_the_next_supervisor_starts_it_again() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    stage::run(&servers, Slot::Candidate, "1.1.0").await;
    servers.shut_down().await;
    assert_eq!(stage.processes(), [0; 0]);
    assert_eq!(servers.status(Slot::Stable).await.unwrap(), Readiness::Absent);
    let refused = servers.ensure(&stage::workload(Slot::Stable, "1.0.0"), fence(1)).await.unwrap_err();
    assert!(!refused.is_transient());
    drop(servers);
    let servers = stage.open().await;
    stage::becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    stage::becomes_ready(&servers, Slot::Candidate, "1.1.0").await;
    stage.end(servers).await;
}
