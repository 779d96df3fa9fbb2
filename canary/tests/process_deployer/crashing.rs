//! Servers that end, never become ready, or have no files.

use std::{sync::atomic::Ordering, time::Duration};

use tidegate_canary::{Deployer, Readiness, Slot, testkit::fence};
use tokio::time;

use crate::{
    server::Behaviour,
    stage::{
        self, Stage, TOKEN, Trouble, becomes_absent, becomes_ready, fails, release, until, who, workload,
    },
};

#[tokio::test]
async fn a_crash_loop_backs_off_and_then_fails_with_what_was_printed() {
    let stage = Stage::new();
    let prints = format!("\u{1b}[31mcannot load\u{1b}[0m the weights with {TOKEN}\u{7}\n");
    stage.behave("1.0.0", &Behaviour { exit: Some(3), prints, ..Behaviour::default() });
    let mut spec = stage.spec();
    spec.pace.back_off = Duration::from_millis(200);
    spec.pace.longest_back_off = Duration::from_millis(300);
    let servers = stage.open_with(spec).await.unwrap();
    let began = time::Instant::now();
    servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
    let why = fails(&servers, Slot::Candidate).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500), "200 ms and 300 ms lie between three starts, not {took:?}");
    assert!(why.contains("3 times in a row") && why.contains("exit status 3"), "{why}");
    assert!(why.contains("cannot load the weights with …"), "{why}");
    assert!(!why.contains(TOKEN) && !why.contains('\u{1b}') && !why.contains('\u{7}'), "{why}");
    assert_eq!(stage.record(Slot::Candidate)["starts"], 3);
    assert_eq!(servers.address(Slot::Candidate), None);

    // It stays so until it is ensured once more.
    stage.behave("1.0.0", &Behaviour::default());
    assert_eq!(fails(&servers, Slot::Candidate).await, why);
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    stage.end(servers).await;
}

#[tokio::test]
async fn a_server_that_ends_is_not_ready_and_is_started_again() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let first = who(&servers, Slot::Stable).await;
    kill(first.pid);
    until("its end", async || (!stage::lives(first.pid)).then_some(())).await;
    assert!(matches!(servers.status(Slot::Stable).await.unwrap(), Readiness::Starting { .. }));
    becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    assert_ne!(who(&servers, Slot::Stable).await.pid, first.pid);
    assert_eq!(stage.fetched.load(Ordering::SeqCst), 1, "the files were there");
    stage.end(servers).await;
}

#[tokio::test]
async fn ends_of_a_server_that_ran_well_are_forgotten() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    spec.crashes = 2;
    spec.pace.steady = Duration::from_millis(50);
    let servers = stage.open_with(spec).await.unwrap();
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    for _ in 0..3 {
        let pid = who(&servers, Slot::Stable).await.pid;
        time::sleep(Duration::from_millis(60)).await;
        kill(pid);
        until("its end", async || (!stage::lives(pid)).then_some(())).await;
        becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    }
    stage.end(servers).await;

    // Those of one that did not are not.
    let stage = Stage::new();
    stage.behave("1.0.0", &Behaviour { exit_after: Some(300), ..Behaviour::default() });
    let servers = stage.open().await;
    servers.ensure(&workload(Slot::Stable, "1.0.0"), fence(1)).await.unwrap();
    let why = until("a failure", async || match servers.status(Slot::Stable).await.unwrap() {
        Readiness::Failed { why, .. } => Some(why),
        _ => None,
    })
    .await;
    assert!(why.contains("exit status 7"), "{why}");
    stage.end(servers).await;
}

#[tokio::test]
async fn one_that_never_gets_ready_is_stopped_and_fails() {
    let stage = Stage::new();
    stage.behave("1.0.0", &Behaviour { ready_after: u64::MAX, ..Behaviour::default() });
    let mut spec = stage.spec();
    spec.crashes = 1;
    spec.pace.start = Duration::from_millis(1_500);
    let servers = stage.open_with(spec).await.unwrap();
    servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
    let why = fails(&servers, Slot::Candidate).await;
    assert!(
        why.contains("not ready within 1s 500ms: it answers 503") && why.contains("loading the model"),
        "{why}"
    );
    assert_eq!(stage.processes(), [0; 0], "what has failed does not run");
    stage.end(servers).await;
}

#[tokio::test]
async fn one_that_takes_its_time_becomes_ready() {
    let stage = Stage::new();
    stage.behave("1.0.0", &Behaviour { ready_after: 600, ..Behaviour::default() });
    let mut spec = stage.spec();
    spec.pace.settle = Duration::from_millis(200);
    let servers = stage.open_with(spec).await.unwrap();
    let began = time::Instant::now();
    servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
    let starting = Readiness::Starting { release: release("1.0.0") };
    assert_eq!(servers.status(Slot::Candidate).await.unwrap(), starting);
    assert_eq!(servers.address(Slot::Candidate), None);
    becomes_ready(&servers, Slot::Candidate, "1.0.0").await;
    assert!(began.elapsed() >= Duration::from_millis(800));
    stage.end(servers).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_an_answer() {
    let stage = Stage::new();
    stage.behave("1.0.0", &Behaviour { endless: Some(200), ..Behaviour::default() });
    stage.behave("1.1.0", &Behaviour { endless: Some(500), ..Behaviour::default() });
    let mut spec = stage.spec();
    spec.crashes = 1;
    spec.pace.start = Duration::from_millis(1_500);
    let servers = stage.open_with(spec).await.unwrap();
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    servers.ensure(&workload(Slot::Baseline, "1.1.0"), fence(1)).await.unwrap();
    let why = fails(&servers, Slot::Baseline).await;
    assert!(why.contains("500") && why.contains("more and more") && why.len() < 2_500, "{why}");
    stage.end(servers).await;
}

#[tokio::test]
async fn files_that_do_not_come_are_asked_for_again_and_then_fail_the_slot() {
    for (trouble, text) in [
        (Trouble::Fails("the registry\u{1b}[2J is away"), "the registry is away"),
        (Trouble::Hangs, "not within 100ms"),
        (Trouble::Panics, "panicked"),
    ] {
        let stage = Stage::new();
        stage.trouble.lock().unwrap().push((release("1.0.0"), trouble));
        let mut spec = stage.spec();
        spec.pace.files = Duration::from_millis(100);
        let servers = stage.open_with(spec).await.unwrap();
        servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
        let why = fails(&servers, Slot::Candidate).await;
        assert!(why.contains("its files did not come") && why.contains(text), "{why}");
        assert_eq!(stage.fetched.load(Ordering::SeqCst), 3);
        assert_eq!(stage.processes(), [0; 0]);

        stage.trouble.lock().unwrap().clear();
        stage::run(&servers, Slot::Candidate, "1.0.0").await;
        stage.end(servers).await;
    }
}

#[tokio::test]
async fn files_that_are_on_their_way_can_be_given_up() {
    let stage = Stage::new();
    stage.trouble.lock().unwrap().push((release("1.0.0"), Trouble::Hangs));
    let servers = stage.open().await;
    servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
    until("a question for files", async || (stage.fetched.load(Ordering::SeqCst) > 0).then_some(())).await;
    servers.remove(Slot::Candidate, fence(1)).await.unwrap();
    becomes_absent(&servers, Slot::Candidate).await;
    stage.end(servers).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    spec.command.program = "/nowhere/llama-server".to_owned();
    let servers = stage.open_with(spec).await.unwrap();
    servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(1)).await.unwrap();
    let why = fails(&servers, Slot::Candidate).await;
    assert!(why.contains("/nowhere/llama-server") && why.contains("check command.program"), "{why}");
    assert_eq!(stage.record(Slot::Candidate)["servers"], serde_json::json!([]));
    stage.end(servers).await;
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
