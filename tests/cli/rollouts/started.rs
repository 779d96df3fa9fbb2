//! `tidegate rollout start` as a process: with servers that are processes, whose pages are scraped.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    machine::{Machine, Proxy},
    stage::until,
};
use crate::{desk::Run, ports::free_port};

#[test]
fn a_good_version_is_promoted_and_a_bad_one_taken_back() {
    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "");
    let run = machine.start(&["--id", "ci-1"]).end().is(0);
    assert!(run.out.starts_with("rollout ci-1: fraud@1.0.0 ("), "{run:?}");
    assert!(run.out.ends_with("promoted: fraud@1.1.0 is in production, baked and settled\n"), "{run:?}");
    assert_eq!(run.err, "");
    // A pipeline that is not sure asks again, and is told again.
    let again = machine.start(&["--id", "ci-1"]).end().is(0);
    assert!(again.out.ends_with("promoted: fraud@1.1.0 is in production, baked and settled\n"), "{again:?}");

    machine.plan("fraud@latest", "");
    let run = machine.start(&["--json"]).end().is(1);
    let documents: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents[0]["candidate"]["model"], "fraud@1.2.0");
    assert!(documents[0]["id"].as_str().unwrap().starts_with("fraud-1.2.0-"), "{:?}", documents[0]);
    let end = documents.last().unwrap();
    assert_eq!(end["end"], "rolled-back");
    assert!(end["said"].as_str().unwrap().contains("errors"), "{end}");
    let shown = machine.desk.run(&["pull", "fraud:production", "out"]).is(0).out;
    assert!(shown.contains("fraud@1.1.0"), "{shown}");
    // What was over under that name is another plan's.
    machine.start(&["--id", "ci-1"]).end().is(1).says_error("ci-1");
}

#[test]
fn killed_anywhere_the_same_command_goes_on() {
    let seed: u64 = std::process::id().into();
    let mut chance = fastrand::Rng::with_seed(seed);
    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "");
    let mut kills = 0;
    let run = loop {
        let mut started = machine.start(&[]);
        let patience = chance.u64(20..2_500);
        let over = &AtomicBool::new(false);
        let ended = thread::scope(|scope| {
            let id = started.child.id().to_string();
            scope.spawn(move || {
                // Not to wait for anything, but to strike anywhere.
                thread::park_timeout(Duration::from_millis(patience));
                if !over.load(Ordering::SeqCst) && kills < 8 {
                    let _gone = Command::new("kill").args(["-KILL", &id]).status();
                }
            });
            started.out.read_to_string(&mut started.said).expect("text");
            over.store(true, Ordering::SeqCst);
            started
        })
        .end();
        match ended.status {
            137 => kills += 1,
            _ => break ended,
        }
    };
    // It went on, or it was over already and says so.
    assert!(run.is(0).out.contains("promoted: fraud@1.1.0"), "after {kills} kills, seed {seed}");
    let journal = machine.desk.run(&["rollout", "watch", "--route", "fraud", "--json"]).is(0).out;
    let opened = journal.lines().filter(|line| line.contains("\"record\":{\"open\":")).count();
    assert_eq!(opened, 1, "it is one rollout: {journal}");
    let moves = machine.desk.json(&["show", "fraud@1.1.0"]).to_string();
    assert!(moves.contains("production"), "{moves}");
}

#[test]
fn who_waits_for_a_person_says_how_to_answer() {
    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "approval");
    let unattended = machine.start(&["--id", "ci-2", "--unattended"]).end().is(5);
    assert!(unattended.err.contains("waits for a person"), "{unattended:?}");

    let mut started = machine.start(&["--id", "ci-2"]);
    started.until("tidegate rollout approve --route fraud --digest ");
    started.signal("-INT");
    let run = started.end().is(130);
    assert!(run.err.contains("the same command goes on with it"), "{run:?}");
    assert_eq!(machine.status()["awaitsPerson"], true);

    // Approved while nobody drives it.
    let status = machine.status();
    let digest = status["candidate"]["digest"].as_str().unwrap();
    machine.desk.run(&["rollout", "approve", "--route", "fraud", "--digest", digest]).is(0);
    machine.start(&["--id", "ci-2"]).end().is(0);
    machine.start(&["--id", "ci-3"]).end().is(2).says_error("same version");
}

#[test]
fn a_second_one_takes_it_over() {
    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "approval");
    let mut first = machine.start(&[]);
    first.until("rollout approve");
    // On this machine there is one supervisor of these servers at a time.
    machine.start(&[]).end().is(4).says_error("supervisor");
    // Somewhere else nothing is in the way.
    machine.environment("elsewhere.json", "elsewhere");
    let mut second = machine.spawn(&["rollout", "start", "plan.yaml", "--environment", "elsewhere.json"]);
    first.end().is(1).says_error("another driver has taken the route over");
    second.until("another driver goes on");
    second.signal("-KILL");
    second.end().is(137);
    machine.plan("fraud@~1.2", "");
    machine.start(&["--id", "ci-9"]).end().is(1).says_error("is under way on this route");
}

impl Run {
    #[track_caller]
    fn says_error(&self, word: &str) {
        assert!(self.err.contains(word), "{word:?} is missing: {self:?}");
    }
}

#[test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
fn with_haproxy_a_canary_is_promoted_and_a_bad_one_taken_back() {
    let machine = Machine::new(|desk, [stable, candidate]| {
        let port = free_port();
        let mut config = String::new();
        let socket = desk.path("admin.sock");
        write!(
            config,
            "global\n    stats socket {} mode 600 level admin\ndefaults\n    mode http\n    timeout connect 2s\n    \
             timeout client 10s\n    timeout server 10s\n    retries 3\n    option redispatch 1\nfrontend f\n    \
             bind 127.0.0.1:{port}\n    default_backend fraud\nbackend fraud\n    balance roundrobin\n    \
             server stable 127.0.0.1:{stable} weight 100\n    server candidate 127.0.0.1:{candidate} weight 0\n",
            socket.display()
        )
        .expect("text");
        desk.write("haproxy.cfg", config.as_bytes());
        #[expect(clippy::disallowed_methods, reason = "a test finds its server there")]
        let program = std::env::var_os("HAPROXY_BIN").unwrap_or_else(|| "haproxy".into());
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(desk.path("haproxy.cfg")).stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("HAPROXY_BIN is HAProxy");
        until("HAProxy", || TcpStream::connect(("127.0.0.1", port)).ok());
        Proxy::Real(child, port)
    });
    let Proxy::Real(_, port) = machine.proxy else { unreachable!("it was made so") };
    let over = AtomicBool::new(false);
    let answers = [AtomicU64::new(0), AtomicU64::new(0)];
    let versions = Mutex::new(std::collections::BTreeMap::<String, u64>::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let Some((status, version)) = get(port) else { continue };
                    answers[usize::from(status != 200)].fetch_add(1, Ordering::SeqCst);
                    *versions.lock().unwrap().entry(version).or_default() += 1;
                }
            });
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            machine.plan("fraud@~1.1", "");
            let run = machine.start(&["--id", "live-1"]).end().is(0);
            assert!(run.out.contains("promoted: fraud@1.1.0"), "{run:?}");
            machine.plan("fraud@latest", "");
            let run = machine.start(&["--id", "live-2"]).end().is(1);
            assert!(run.out.contains("rolled back to fraud@1.1.0: errors"), "{run:?}");
            back_and_watched(&machine);
        }));
        over.store(true, Ordering::SeqCst);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    let versions = versions.into_inner().unwrap();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        assert!(versions.get(version).is_some_and(|count| *count > 0), "{answers:?}, {versions:?}");
    }
}

/// From 1.1.0 to 1.0.0 on command, after a rehearsal; and then watched.
fn back_and_watched(machine: &Machine) {
    let rollback = |verb: &str, more: &[&str]| {
        let common = ["rollback", verb, "fraud", "--route", "fraud", "--back", "1", "--drain", "100ms"];
        machine.desk.run(&[&common, more].concat())
    };
    let environment = ["--environment", "environment.json"];
    let drill = rollback("drill", &environment).is(0).out;
    assert!(
        drill.contains("fraud@1.1.0 → fraud@1.0.0") && drill.contains("would have traffic back"),
        "{drill}"
    );
    let more = ["--reason", "rehearsal", "--quarantine", "--no-proof", "--id", "inc-1"];
    let run = rollback("run", &[&environment[..], &more].concat()).is(0).out;
    assert!(run.contains("moving traffic to the target") && run.contains("rollback inc-1 is done"), "{run}");
    // It is over, and running it again changes nothing.
    rollback("run", &[&environment[..], &more].concat()).is(0);
    let history = machine.desk.run(&["history", "fraud", "--channel", "production"]).is(0).out;
    assert!(history.contains("rehearsal"), "{history}");
    let report = rollback_report(machine);
    assert!(
        report.contains("| Ordered by | ") && report.contains("the version 1 back, which was"),
        "{report}"
    );
    let quarantined = machine.desk.run(&["rollback", "quarantine", "fraud"]).is(0).out;
    assert!(quarantined.contains("rehearsal"), "{quarantined}");

    machine.desk.write(
        "watch.yaml",
        b"{ route: fraud, model: fraud, window: 300ms, lag: 250ms, span: 3s, lasts: 1h, recovery: null, criteria: \
          [{ metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.15 } } } }] }",
    );
    let watch = machine.spawn(&[
        "rollback",
        "watch",
        "watch.yaml",
        "--environment",
        "environment.json",
        "--id",
        "w-1",
    ]);
    let ask = |verb: &str, more: &[&str]| {
        machine.desk.run(&[&["rollback", verb, "--route", "fraud"], more].concat())
    };
    until("the watch", || Some(ask("hold", &["--reason", "a look"])).filter(|run| run.out.contains("asked")));
    ask("resume", &[]).is(0);
    ask("alarm", &["--by", "pager", "--reason", "it burns"]).is(0);
    // What was gone back to is not left for a third version without a person.
    let report = || machine.desk.run(&["rollback", "report", "fraud", "--markdown"]).is(0).out;
    until("the brakes", || Some(report()).filter(|report| report.contains("a third version")));
    ask("stop", &["--reason", "enough"]).is(0);
    let run = watch.end().is(1);
    assert!(run.out.contains("stopped by"), "{run:?}");
}

fn rollback_report(machine: &Machine) -> String {
    machine.desk.run(&["rollback", "report", "fraud", "--markdown"]).is(0).out
}

/// One request to the proxy: the status, and which version answered.
fn get(port: u16) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.rsplit("\r\n\r\n").next()?.to_owned()))
}
