//! Supervisors that end, and those that come after them.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tidegate_canary::{ActuatorError, Deployer, Readiness, Slot, testkit::fence};

use crate::{
    crashing::kill,
    server::{Behaviour, variable},
    stage::{self, Stage, becomes_absent, becomes_ready, lives, release, until, who, workload},
};

/// The directory of the stage that makes this program a supervisor.
const STAGE: &str = "TIDEGATE_TEST_STAGE";

/// No test, but a supervisor that runs 1.0.0 in stable until it is killed. Without [`STAGE`] it does nothing.
#[tokio::test]
async fn supervise() {
    if let Some(directory) = variable(STAGE) {
        let stage = Stage::of(directory.into());
        let servers = stage.open().await;
        stage::run(&servers, Slot::Stable, "1.0.0").await;
        std::future::pending().await
    }
}

/// Another process, killed with this.
struct Process(Child);

impl Process {
    fn supervisor(stage: &Stage) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["recovery::supervise", "--exact"]).env(STAGE, stage.path());
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn servers_outlive_a_supervisor_that_is_killed_and_are_adopted() {
    let stage = Stage::new();
    let supervisor = Process::supervisor(&stage);
    let ready = async || {
        let written = std::fs::read(stage.state().join("stable.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&written).unwrap();
        (record["servers"][0]["ready"] == true)
            .then(|| record["servers"][0]["process"]["pid"].as_u64().unwrap())
    };
    let pid: u32 = until("a server", ready).await.try_into().unwrap();
    let busy = stage.try_open(stage.spec()).await.unwrap_err();
    assert!(busy.is_transient(), "another supervisor lives: {busy:?}");
    drop(supervisor);
    assert!(lives(pid));

    let servers = stage.open().await;
    assert_eq!(who(&servers, Slot::Stable).await.pid, pid, "its address is known at once");
    let ready = Readiness::Ready { release: release("1.0.0") };
    assert_eq!(servers.status(Slot::Stable).await.unwrap(), ready);
    assert_eq!(stage.processes(), [i32::try_from(pid).unwrap()], "nothing was started twice");

    // It is looked after like any other: restarted when it ends, and stopped.
    kill(pid);
    until("its end", async || (!lives(pid)).then_some(())).await;
    becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    let second = who(&servers, Slot::Stable).await.pid;
    assert_ne!(second, pid);
    drop(servers);
    let servers = stage.open().await;
    assert_eq!(who(&servers, Slot::Stable).await.pid, second);
    servers.remove(Slot::Stable, fence(1)).await.unwrap();
    becomes_absent(&servers, Slot::Stable).await;
    assert!(!lives(second));
    stage.end(servers).await;
}

#[tokio::test]
async fn a_process_that_has_the_number_of_a_server_is_left_alone() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    servers.shut_down().await;
    drop(servers);

    // Somebody else, who leads a group, as a server does.
    let mut stranger = Command::new("/bin/sleep");
    std::os::unix::process::CommandExt::process_group(&mut stranger, 0);
    let mut stranger = Process(stranger.arg("1000").spawn().unwrap());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let ticks = |pid: u32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap().parse().unwrap()
    };
    let began = ticks(stranger.0.id());
    for (started, boot) in [(began - 1, boot.trim()), (began, "another")] {
        let mut record = stage.record(Slot::Stable);
        record["wanted"] = json!(null);
        record["servers"] = json!([{
            "start": 1, "release": release("1.0.0"), "port": 1, "ready": true,
            "process": {"pid": stranger.0.id(), "started": started, "boot": boot},
        }]);
        stage.write_record(Slot::Stable, &record);
        let servers = stage.open().await;
        becomes_absent(&servers, Slot::Stable).await;
        servers.shut_down().await;
        assert_eq!(stage.record(Slot::Stable)["servers"], json!([]));
        assert!(stranger.0.try_wait().unwrap().is_none(), "somebody else was killed");
    }
}

#[tokio::test]
async fn one_that_was_killed_over_a_start_finds_the_server_by_its_mark() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let pid = who(&servers, Slot::Stable).await.pid;
    drop(servers);
    let mut record = until("the directory", async || Some(stage.record(Slot::Stable))).await;
    record["servers"][0]["process"] = json!(null);
    record["servers"][0]["ready"] = json!(false);
    stage.write_record(Slot::Stable, &record);
    let servers = stage.open().await;
    becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    assert_eq!(who(&servers, Slot::Stable).await.pid, pid);
    assert_eq!(stage.processes().len(), 1);
    stage.end(servers).await;
}

#[tokio::test]
async fn what_a_server_that_ended_meanwhile_has_left_is_cleared_away() {
    let stage = Stage::new();
    let child = Some(crate::server::Child::InSession);
    stage.behave("1.0.0", &Behaviour { child, ..Behaviour::default() });
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let pid = who(&servers, Slot::Stable).await.pid;
    drop(servers);
    stage.behave("1.0.0", &Behaviour::default());
    kill(pid);
    until("an orphan", async || (stage.processes().len() == 1).then_some(())).await;
    let orphan = stage.processes();
    let servers = stage.open().await;
    assert!(!stage.processes().contains(&orphan[0]));
    becomes_ready(&servers, Slot::Stable, "1.0.0").await;
    assert_eq!(stage.processes().len(), 1);
    stage.end(servers).await;
}

#[tokio::test]
async fn a_replacement_that_was_under_way_goes_on() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let old = who(&servers, Slot::Stable).await;
    stage.behave("1.1.0", &Behaviour { ready_after: 1_500, ..Behaviour::default() });
    servers.ensure(&workload(Slot::Stable, "1.1.0"), fence(1)).await.unwrap();
    until("two servers", async || (stage.processes().len() == 2).then_some(())).await;
    let both = stage.processes();
    drop(servers);
    let servers = stage.open().await;
    assert_eq!(who(&servers, Slot::Stable).await, old, "the predecessor serves");
    let starting = Readiness::Starting { release: release("1.1.0") };
    assert_eq!(servers.status(Slot::Stable).await.unwrap(), starting);
    becomes_ready(&servers, Slot::Stable, "1.1.0").await;
    let new = who(&servers, Slot::Stable).await;
    assert!(both.contains(&i32::try_from(new.pid).unwrap()), "nothing was started twice");
    until("the end of the predecessor", async || (!lives(old.pid)).then_some(())).await;
    stage.end(servers).await;
}

#[tokio::test]
async fn a_removal_that_was_under_way_goes_on() {
    let stage = Stage::new();
    let mut spec = stage.spec();
    let program = std::mem::replace(&mut spec.command.program, "/bin/sh".to_owned());
    let script = r#"trap "" TERM; exec "$0" "$@""#.to_owned();
    spec.command.args.splice(0..0, ["-c".to_owned(), script, program]);
    spec.pace.stop = Duration::from_secs(1_000);
    let servers = stage.open_with(spec.clone()).await.unwrap();
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    servers.remove(Slot::Candidate, fence(1)).await.unwrap();
    drop(servers);
    assert_eq!(stage.processes().len(), 1);
    spec.pace.stop = Duration::from_millis(50);
    let servers = stage.open_with(spec).await.unwrap();
    becomes_absent(&servers, Slot::Candidate).await;
    stage.end(servers).await;
}

#[tokio::test]
async fn fences_outlive_a_supervisor() {
    let stage = Stage::new();
    let servers = stage.open().await;
    servers.remove(Slot::Baseline, fence(7)).await.unwrap();
    drop(servers);
    let servers = stage.open().await;
    let answer = servers.ensure(&workload(Slot::Candidate, "1.0.0"), fence(6)).await;
    let Err(ActuatorError::Fenced { offered, held }) = answer else { panic!("{answer:?}") };
    assert_eq!((offered, held), (fence(6), fence(7)));
    assert_eq!(stage.processes(), [0; 0]);
    stage.end(servers).await;
}

#[tokio::test]
async fn two_supervisors_take_turns() {
    let stage = Stage::new();
    let first = stage.open().await;
    let clone = first.clone();
    let second = stage.try_open(stage.spec()).await;
    assert!(matches!(second, Err(ActuatorError::Unavailable { .. })), "{second:?}");
    drop(first);
    assert!(stage.try_open(stage.spec()).await.is_err(), "a clone still lives");
    drop(clone);
    let second = stage.open().await;
    stage.end(second).await;
}

#[tokio::test]
async fn a_state_file_of_somebody_else_is_refused_with_its_name() {
    let stage = Stage::new();
    drop(stage.open().await);
    let huge = format!("{{\"format\": 1, \"x\": \"{}\"}}", "x".repeat(2 << 20));
    for garbage in ["", "{}", "null", "[1]", "{\"format\": 2}", "\u{0}", &huge] {
        std::fs::write(stage.state().join("baseline.json"), garbage).unwrap();
        let error = stage.open_with(stage.spec()).await.unwrap_err();
        let ActuatorError::Refused { source, .. } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains("baseline.json"), "{source}");
    }
    let mut record = json!({
        "format": 1, "fence": null, "wanted": null, "starts": 1,
        "servers": [{"start": 1, "release": release("1.0.0"), "port": 80, "ready": true}],
    });
    for pid in [i64::from(i32::MIN), -1, 0, 1, i64::from(i32::MAX)] {
        record["servers"][0]["process"] = json!({"pid": pid, "started": 0, "boot": "x"});
        stage.write_record(Slot::Baseline, &record);
        let servers = stage.open().await;
        becomes_absent(&servers, Slot::Baseline).await;
    }
}

#[tokio::test]
async fn servers_answer_while_nobody_supervises_them() {
    let stage = Stage::new();
    let servers = stage.open().await;
    stage::run(&servers, Slot::Stable, "1.0.0").await;
    let address = servers.address(Slot::Stable).unwrap();
    drop(servers);
    for _ in 0..20 {
        let answer = reqwest::get(format!("http://{address}/")).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "fine");
    }
}
