//! What a person who watches sees, and a script that does.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tidegate::{
    canary::{Entry, Event, Gate, Plan, Record, Request, RouteId, Sample},
    metrics::{Criterion, Measurement, Metric, Observation, Window},
    registry::{Journal, Seq},
};

use super::stage::{ROUTE, Stage};

/// A journal as a driver would have left it, at times that are always the same.
struct Written {
    stage: Stage,
    plan: Plan,
    journal: Journal<Entry>,
    begin: SystemTime,
}

impl Written {
    fn new() -> Self {
        let stage = Stage::new();
        let plan = stage.plan(|spec| {
            spec.steps[0].gates = vec![Gate::Approval];
            spec.steps[0].soak = Duration::from_secs(300);
            spec.steps[0].min_trials = 1_000;
            spec.baseline = true;
            spec.criteria.insert(0, Criterion::compare(Metric::errors()));
            spec.timing.window = Duration::from_secs(60);
            spec.timing.bake = Duration::from_secs(900);
            spec.timing.verify = Duration::ZERO;
        });
        let route: RouteId = ROUTE.parse().expect("a route");
        let opened = stage.runtime.block_on(Journal::open(Arc::new(stage.store.clone()), route.log_key()));
        let begin = humantime::parse_rfc3339("2026-11-24T15:00:00Z").expect("a time");
        let mut written = Self { stage, plan, journal: opened.expect("a new journal").0, begin };
        let id = "ci-8841".parse().expect("an id");
        written.record(0, Record::Open { id, plan: Box::new(written.plan.clone()) });
        written.happen(1, Event::Checked);
        written.happen(20, Event::Ready);
        written.happen(20, Event::Elapsed);
        written.happen(22, Event::Routed);
        written
    }

    fn at(&self, second: u64) -> SystemTime {
        self.begin + Duration::from_secs(second)
    }

    fn record(&mut self, second: u64, record: Record) {
        let entry = Entry { at: self.at(second), record };
        self.stage.runtime.block_on(self.journal.append(&entry)).expect("nobody else writes");
    }

    fn happen(&mut self, second: u64, event: Event) {
        self.record(second, Record::Happen(event));
    }

    /// A minute of 1 000 requests on each side of the comparison, of which so many fail.
    fn observe(&mut self, minute: u64, candidate: u64, baseline: u64) {
        let side =
            |errors| Measurement::Observed(Observation::proportion(errors, 1_000).expect("few of many"));
        let end = 22 + 60 * minute;
        let window = Window::new(self.at(end - 60), self.at(end)).expect("a minute");
        let sample = || Sample { candidate: side(candidate), baseline: Some(side(baseline)) };
        self.happen(end, Event::Observed { window, samples: vec![sample(), sample()] });
    }

    fn ask(&mut self, second: u64, request: Request) {
        self.happen(second, Event::Ask(request));
    }

    fn picture(&self, second: u64, width: &str) -> String {
        let at = humantime::format_rfc3339_seconds(self.at(second)).to_string();
        self.stage.rollout(&["status", "--at", &at, "--width", width]).out
    }
}

/// What it looked like when somebody looked at it and found it good.
fn golden(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/rollouts");
    std::fs::read_to_string(directory.join(name).with_extension("txt")).expect("a picture")
}

#[test]
fn a_step_that_is_judged_on_eighty_columns() {
    let mut written = Written::new();
    written.observe(1, 3, 2);
    written.observe(2, 2, 4);
    written.ask(150, Request::Hold { by: "bob".to_owned() });
    assert_eq!(written.picture(202, "80"), golden("step-80"));
    // Before that, nobody held it.
    assert!(!written.picture(149, "80").contains("PAUSED"));
}

#[test]
fn a_gate_on_sixty_columns_and_an_end_on_two_hundred() {
    let mut written = Written::new();
    for minute in 1..=5 {
        written.observe(minute, 1, 2);
    }
    assert_eq!(written.picture(400, "60"), golden("gate-60"));
    assert!(written.picture(400, "60").lines().all(|line| line.chars().count() <= 60));
    let reason = "answers are rude".to_owned();
    written.ask(410, Request::Reject { by: "bob".to_owned(), reason });
    written.happen(411, Event::Routed);
    written.happen(412, Event::Elapsed);
    written.happen(413, Event::Removed);
    assert_eq!(written.picture(4_013, "200"), golden("end-200"));
}

#[test]
fn one_that_is_stuck_shows_where_and_promises_nothing() {
    let failed = || Event::Failed { why: "the router is away".to_owned() };
    let mut returning = Written::new();
    returning.observe(1, 3, 2);
    returning.ask(90, Request::Abort { by: "bob".to_owned(), reason: "alerts fire".to_owned() });
    returning.happen(120, failed());
    let picture = returning.picture(130, "120");
    for line in [
        "  steps      ✗ 10% + approval  – 100%  – bake\n",
        "  now        stuck at step 1 of 2, while returning traffic to stable; the rest does not happen by itself\n",
        // What was seen last; nobody knows whether it is so.
        "· ?   80%  1.0.0\n",
        "· ?   10%  1.1.0\n",
    ] {
        assert!(picture.contains(line), "{line}{picture}");
    }
    assert!(!picture.contains(['●', '○']), "{picture}");
    let status: Value =
        serde_json::from_str(&returning.stage.rollout(&["status", "--json"]).is(1).out).unwrap();
    assert_eq!((&status["state"], &status["step"]), (&"stuck".into(), &1.into()), "{status}");
    assert_eq!((&status["weights"]["candidate"], &status["moving"]), (&"10%".into(), &false.into()));

    let mut promoting = Written::new();
    promoting.ask(90, Request::Promote { by: "bob".to_owned(), reason: "it is urgent".to_owned() });
    promoting.happen(92, Event::Routed);
    promoting.happen(120, failed());
    let picture = promoting.picture(130, "120");
    for line in [
        "  steps      ✓ 10% + approval  ✓ 100%  – bake\n",
        "  now        stuck after step 2 of 2, while making the new release run in the stable slot; the rest does not",
        "█    100%  1.1.0\n",
    ] {
        assert!(picture.contains(line), "{line}{picture}");
    }
}

#[test]
fn a_pipe_gets_a_line_for_each_record_and_machines_a_document() {
    let mut written = Written::new();
    written.observe(1, 1, 1);
    written.ask(90, Request::Abort { by: "bob".to_owned(), reason: "alerts\nfire".to_owned() });
    written.happen(91, Event::Routed);
    written.happen(92, Event::Elapsed);
    written.happen(93, Event::Removed);
    let lines = written.stage.rollout(&["watch"]).is(1).out;
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 10, "{lines:#?}");
    assert_eq!(lines[0], "2026-11-24 15:00:00 UTC  opened as ci-8841 — checking its plan");
    assert_eq!(lines[4], "2026-11-24 15:00:22 UTC  the traffic is in force — judging the candidate (step 1)");
    assert_eq!(lines[6], "2026-11-24 15:01:30 UTC  bob aborted: alerts fire — returning traffic to stable");
    assert!(lines[9].ends_with("rolled back to fraud@1.0.0: bob asked for it: alerts fire"), "{lines:#?}");

    let documents = written.stage.rollout(&["watch", "--json"]).is(1).out;
    let documents: Vec<Value> = documents.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 10);
    assert_eq!(documents[0]["seq"], 1);
    assert_eq!(documents[0]["record"]["open"]["id"], "ci-8841");
    assert_eq!(documents[5]["rollout"]["weights"]["candidate"], "10%");
    assert_eq!(documents[5]["rollout"]["judgements"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&documents[9]["rollout"]["state"], &documents[9]["rollout"]["over"]),
        (&"rolled-back".into(), &true.into())
    );
    assert_eq!(written.journal.next(), Seq::FIRST.plus(10));
}

#[test]
fn a_watch_waits_and_ends_quietly_when_it_is_told_to() {
    let written = Written::new();
    let mut watch = written.stage.desk.command(&["rollout", "watch", "--route", ROUTE, "--every", "100ms"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..5 {
        lines.next().unwrap().unwrap();
    }
    // What happens now comes now.
    let mut written = written;
    written.ask(60, Request::Hold { by: "bob".to_owned() });
    assert!(lines.next().unwrap().unwrap().contains("bob asked to hold"));
    let waits = lines.next().unwrap().unwrap();
    assert!(waits.contains("somebody holds it: `tidegate rollout resume --route serving/fraud`"), "{waits}");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(130), &b""[..]));
}

/// `script` of util-linux gives it a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_picture_that_is_drawn_in_its_place() {
    let mut written = Written::new();
    written.ask(60, Request::Hold { by: "bob".to_owned() });
    let typescript = |colours: bool| {
        let watch = written.stage.desk.command(&[]);
        let program = watch.get_program().to_str().unwrap().to_owned();
        let line =
            format!("stty rows 40 cols 80; exec {program} rollout watch --route {ROUTE} --every 100ms");
        let mut command = Command::new("script");
        command
            .args(["-qefc", &line, "/dev/null"])
            .env("TIDEGATE_REGISTRY", written.stage.desk.path("registry"));
        command.env("TERM", "xterm").env_remove("NO_COLOR").stdin(Stdio::null());
        if !colours {
            command.env("NO_COLOR", "1");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("script is part of every Linux");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // Two pictures; the second is drawn over the first.
        let mut text = Vec::new();
        while text.windows(8).filter(|bytes| *bytes == b"\x1b[?2026l").count() < 2 {
            assert!(
                out.read_until(b'l', &mut text).unwrap() > 0,
                "it ended: {}",
                String::from_utf8_lossy(&text)
            );
        }
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let _ended = child.wait();
        String::from_utf8(text).unwrap()
    };
    let text = typescript(true);
    let (first, second) = text.split_once("\x1b[?2026l").unwrap();
    assert!(first.contains("PAUSED") && first.contains("\x1b[33m"), "{first:?}");
    let lines = first.matches("\x1b[K\r\n").count();
    assert!(second.contains(&format!("\x1b[{lines}A\r")), "{lines}: {second:?}");
    assert!(second.contains("PAUSED"));
    let plain = typescript(false);
    assert!(plain.contains("PAUSED") && !plain.contains("\x1b[3"), "{plain:?}");
}
