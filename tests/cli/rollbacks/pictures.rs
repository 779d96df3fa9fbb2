//! What a person who looks at a watch sees.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate::{
    canary::Entry,
    metrics::{Criterion, Measurement, Metric, Missing, Observation, Statistic, Window},
    registry::{Journal, LogKey},
    rollback::{Line, Look, Record, Vigil, VigilEvent, VigilRequest, Watch},
};

use crate::rollouts::stage::{ROUTE, Stage};

/// A journal as a guard would have left it, at times that are always the same.
struct Written {
    stage: Stage,
    journal: Journal<Line<Vigil>>,
    begin: SystemTime,
}

impl Written {
    fn new() -> Self {
        let stage = Stage::new();
        let criteria = vec![
            Criterion::at_most(Metric::errors(), Statistic::Share, 0.05).with_alpha(0.001),
            Criterion::at_least(Metric::availability(), Statistic::Share, 0.95).with_alpha(0.001),
        ];
        let watch = Watch { criteria, ..Watch::new(ROUTE.parse().unwrap(), stage.candidate.clone()) };
        let key = LogKey::new("watch", ROUTE).unwrap();
        let opened = stage.runtime.block_on(Journal::open(Arc::new(stage.store.clone()), key));
        let begin = humantime::parse_rfc3339("2026-11-24T15:00:00Z").unwrap();
        let mut written = Self { stage, journal: opened.unwrap().0, begin };
        let id = "fraud-1.1.0-watch".parse().unwrap();
        written.record(0, Record::Open { id, order: Box::new(watch) });
        written
    }

    fn at(&self, second: u64) -> SystemTime {
        self.begin + Duration::from_secs(second)
    }

    fn record(&mut self, second: u64, record: Record<Watch, VigilEvent>) {
        let line = Entry { at: self.at(second), record };
        self.stage.runtime.block_on(self.journal.append(&line)).unwrap();
    }

    fn happen(&mut self, second: u64, event: VigilEvent) {
        self.record(second, Record::Happen(event));
    }

    /// A look every 30 s at 1 000 requests, of which so many fail; nothing is seen where nothing is said.
    fn looks(&self, failed: &[Option<u64>]) -> Vec<Look> {
        let look = |(n, failed): (usize, &Option<u64>)| {
            let (from, to) = (self.at(30 * n as u64), self.at(30 * n as u64 + 30));
            let seen = |hits: u64| match failed {
                Some(_) => Measurement::Observed(Observation::proportion(hits, 1_000).unwrap()),
                None => Measurement::Missing(Missing::NoData),
            };
            let failed = failed.unwrap_or(0);
            Look { window: Window::new(from, to).unwrap(), seen: vec![seen(failed), seen(1_000)] }
        };
        failed.iter().enumerate().map(look).collect()
    }

    fn picture(&self, second: u64, width: &str) -> String {
        let at = humantime::format_rfc3339_seconds(self.at(second)).to_string();
        self.stage.desk.run(&["rollback", "status", "--route", ROUTE, "--at", &at, "--width", width]).out
    }
}

/// What it looked like when somebody looked at it and found it good.
fn golden(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/rollbacks");
    std::fs::read_to_string(directory.join(name).with_extension("txt")).expect("a picture")
}

#[test]
fn a_watch_that_sees_nothing_wrong_and_one_that_is_held() {
    let mut written = Written::new();
    written.happen(90, VigilEvent::Blinded { why: "there are no data".to_owned() });
    written.happen(150, VigilEvent::Sighted);
    assert_eq!(written.picture(200, "80"), golden("watching-80"));
    let by = "bob".to_owned();
    written.happen(4_000, VigilEvent::Ask(VigilRequest::Hold { by, reason: "a migration\nruns".to_owned() }));
    assert_eq!(written.picture(4_100, "60"), golden("held-60"));
    assert!(written.picture(4_100, "60").lines().all(|line| line.chars().count() <= 60));
    // Before that, nobody held it.
    assert!(!written.picture(3_999, "60").contains("HELD"));
}

#[test]
fn an_alarm_with_what_was_seen_before_and_the_end_of_it() {
    let mut written = Written::new();
    let mut looks = written.looks(&[Some(3), Some(2), None, Some(5), Some(0), Some(40), Some(110)]);
    looks[6].seen[1] = Measurement::Observed(Observation::proportion(961, 1_000).unwrap());
    let why = vec!["errors: 110 of 1000".to_owned()];
    written.happen(211, VigilEvent::Alarmed { why, looks, blind: false });
    assert_eq!(written.picture(230, "100"), golden("alarmed-100"));
    written.happen(
        240,
        VigilEvent::Held {
            why: "the last rollback was too short ago".to_owned(),
            looks: Vec::new(),
            passed_over: Vec::new(),
        },
    );
    written.happen(
        300,
        VigilEvent::Ask(VigilRequest::Stop { by: "bob".to_owned(), reason: "mended".to_owned() }),
    );
    assert_eq!(written.picture(900, "200"), golden("stopped-200"));
    let json = written.stage.desk.run(&["rollback", "status", "--route", ROUTE, "--json"]).is(1).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["said"], "is over, stopped by bob: mended");
    assert_eq!(json["judgements"][0]["verdict"], "fail", "{json}");
    assert_eq!(json["until"], "2026-11-25T15:00:00.000Z");
}

/// `script` of util-linux gives it a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_picture_of_what_is_watched() {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use crate::rollouts::machine::Machine;

    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "");
    machine.start(&["--id", "ci-1"]).end().is(0);
    machine.desk.write(
        "watch.yaml",
        b"{ route: fraud, model: fraud, window: 300ms, lag: 250ms, span: 3s, criteria: \
          [{ metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.15 } } } }] }",
    );
    let program = machine.desk.command(&[]);
    let program = program.get_program().to_str().unwrap();
    let line = format!(
        "stty rows 40 cols 80; exec {program} rollback watch watch.yaml --environment environment.json --id w-1"
    );
    let mut command = Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]).current_dir(machine.desk.root.path());
    command.env("TIDEGATE_REGISTRY", machine.desk.path("registry")).env("USER", "alice");
    command.env("TERM", "xterm").env("NO_COLOR", "1").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("script is part of every Linux");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = Vec::new();
    // It is drawn anew, and after some looks it shows what was seen, and what that says.
    let seen = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        let words = ["0% in the newest window, 0% to 0% in these", "✓ errors  at most 15%: pass"];
        words.iter().all(|words| text.contains(words))
    };
    while !seen(&text) {
        assert!(out.read_until(b'l', &mut text).unwrap() > 0, "it ended: {}", String::from_utf8_lossy(&text));
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let _ended = child.wait();
    let text = String::from_utf8_lossy(&text).into_owned();
    let first = text.split("\x1b[?2026l").next().unwrap();
    let lines = first.matches("\x1b[K\r\n").count();
    assert!(text.contains(&format!("\x1b[{lines}A\r")), "it is drawn in its place: {text:?}");
    for words in ["fraud 1.1.0 on fraud", "WATCHING", "a look every 300ms over 3s"] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    assert!(!text.contains("WARN") && !text.contains("\x1b[3"), "{text:?}");
}
