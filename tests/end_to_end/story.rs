//! What happens to versions, act by act, wherever they run.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout},
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    desk::Run,
    llm::Made,
    running::{now, until},
    site::Site,
    users::{Seen, Users},
};

/// The first version, which answers were recorded of.
pub(crate) const FIRST: &str = "1.0.0";
/// Noise in its weights.
pub(crate) const NOISED: &str = "1.1.0";
/// Without its chat template.
pub(crate) const BARE: &str = "1.2.0";
/// Without what makes it refuse.
pub(crate) const UNSAFE: &str = "1.3.0";
/// Answers four at once and no more, which is what validation asks at once.
pub(crate) const CROWDED: &str = "1.4.0";
/// Takes less memory, and answers the same.
pub(crate) const GOOD: &str = "1.5.0";

pub(crate) const ALL: [&str; 6] = [FIRST, NOISED, BARE, UNSAFE, CROWDED, GOOD];

/// Puts all versions on the desk.
pub(crate) fn prepare(site: &Site) {
    let good = || Made {
        weights: "weights.gguf",
        template: Some("template.jinja"),
        server: json!({ "context": 1024 }),
    };
    site.write_version(FIRST, &good(), "first.toml");
    let others = [
        (NOISED, Made { weights: "noised.gguf", ..good() }),
        (BARE, Made { template: None, ..good() }),
        (UNSAFE, Made { template: Some("no-refusal.jinja"), ..good() }),
        (CROWDED, Made { server: json!({ "context": 1024, "most": 4 }), ..good() }),
        (GOOD, Made { server: json!({ "context": 512 }), ..good() }),
    ];
    for (version, made) in others {
        site.write_version(version, &made, "release.toml");
    }
    for file in ["behaviour.toml", "facts.jsonl", "safety.toml", "staging-policy.toml"] {
        site.write(file, file, &[]);
    }
}

/// A release that the pipeline has brought as far as it goes.
#[derive(Debug)]
pub(crate) struct Released {
    status: i32,
    document: Value,
}

impl Released {
    fn of(run: &Run) -> Self {
        let document = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        Self { status: run.status, document }
    }

    fn stages(&self) -> &[Value] {
        self.document["stages"].as_array().expect("stages")
    }

    fn state(&self, stage: &str) -> &str {
        let found = self.stages().iter().find(|found| found["name"] == stage);
        found.and_then(|found| found["state"].as_str()).unwrap_or_else(|| panic!("{stage}: {self:#?}"))
    }

    /// It came to its end, by passing every stage.
    #[track_caller]
    fn passed(&self) {
        assert_eq!((self.status, &self.document["end"]), (0, &json!("passed")), "{self:#?}");
    }

    /// Every stage before this one has passed, this one has failed, and none was begun after it.
    #[track_caller]
    fn failed_at(&self, stage: &str) {
        assert_eq!((self.status, &self.document["end"]), (1, &json!("failed")), "{self:#?}");
        let mut expected = "passed";
        for found in self.stages() {
            let failed = found["name"] == stage;
            let state = if failed { "failed" } else { expected };
            assert_eq!(found["state"], state, "{}: {self:#?}", found["name"]);
            expected = if failed { "waiting" } else { expected };
        }
        assert_eq!(self.state(stage), "failed");
    }
}

/// The first version is released: nobody is there to be moved. What later ones have to show becomes policy.
pub(crate) fn first(site: &Site) {
    let begin = now();
    let _served = site.serve(FIRST);
    released(site, FIRST).passed();
    assert_eq!(site.channel("production"), format!("assistant@{FIRST}"));
    let policy = site.say("pipeline", &[&file(GOOD), "--policy"]).is(0);
    site.desk.write("policy.toml", policy.out.as_bytes());
    for (channel, policy) in [("production", "policy.toml"), ("staging", "staging-policy.toml")] {
        site.say("tidegate", &["policy", "set", "assistant", "--channel", channel, policy]).is(0);
    }
    told(begin, FIRST, "is in service, and its answers are recorded");
}

/// A version is stopped by its validation: at this stage, and whoever goes around it is refused.
pub(crate) fn stopped(site: &Site, version: &'static str, stage: &str) {
    let begin = now();
    let _served = site.serve(version);
    released(site, version).failed_at(stage);
    let model = format!("assistant@{version}");
    for channel in ["staging", "production"] {
        let around = site.say("tidegate", &["promote", &model, "--channel", channel]).is(1);
        assert!(around.err.contains(&format!("tidegate:stage/{stage}/v1")), "{around:?}");
    }
    assert_eq!(site.channel("production"), format!("assistant@{FIRST}"));
    site.sink.was_told("rollout.stuck", &[&model, &format!("`{stage}` failed")]);
    told(begin, version, &format!("was stopped by `{stage}`, knowing {:.3}", knows(site, version)));
}

/// The share of facts that a version was found to know.
pub(crate) fn knows(site: &Site, version: &str) -> f64 {
    let shown = site.json(&["show", &format!("assistant@{version}")]);
    let reports = shown["attestations"].as_array().expect("attestations").iter();
    let reports = reports.filter(|said| said["predicateType"] == "tidegate:validation-report/v1");
    let findings =
        reports.flat_map(|report| report["predicate"]["report"]["findings"].as_array().expect("findings"));
    let mut facts = findings.filter(|finding| finding["check"] == "facts");
    let share = facts.next().and_then(|finding| finding["evidence"][0]["estimate"].as_f64());
    share.unwrap_or_else(|| panic!("{shown:#}"))
}

/// A version that passes everything that is asked one by one is taken back by the canary, which has users.
pub(crate) fn taken_back(site: &Site) -> Users {
    let begin = now();
    let (released, users) = canary(site, CROWDED);
    released.failed_at("canary");
    assert_eq!(site.channel("production"), format!("assistant@{FIRST}"));
    assert_eq!(site.channel("staging"), format!("assistant@{CROWDED}"), "validation let it through");
    let seen = users.seen();
    assert!(count(&seen, CROWDED, 503) > 0 && count(&seen, CROWDED, 200) > 0, "{seen:?}");
    let model = format!("assistant@{CROWDED}");
    site.sink.was_told("rollout.rolled-back", &[&model, "errors"]);
    told(begin, CROWDED, &format!("was taken back by the canary, {seen:?}"));
    users
}

/// What serves the users is watched for a moment, and known to be good from then on.
pub(crate) fn settled(site: &Site) {
    let begin = now();
    site.write("watch-first.yaml", "watch.yaml", &[("$LASTS", "15s")]);
    let watch =
        ["rollback", "watch", "watch-first.yaml", "--environment", "production.yaml", "--id", "first"];
    site.say("tidegate", &watch).is(0);
    told(begin, FIRST, "is a last known good");
}

/// A good version gets to everybody.
pub(crate) fn promoted(site: &Site) -> Users {
    let begin = now();
    let (released, users) = canary(site, GOOD);
    released.passed();
    for channel in ["staging", "production"] {
        assert_eq!(site.channel(channel), format!("assistant@{GOOD}"));
    }
    users.seen();
    let seen = until("everybody is served by it", || {
        let seen = users.seen();
        (count(&seen, GOOD, 200) > 0 && seen.keys().all(|(version, _)| version == GOOD)).then_some(seen)
    });
    site.sink.was_told("rollout.promoted", &[&format!("assistant@{GOOD}")]);
    told(begin, GOOD, &format!("is in production, {seen:?}"));
    users
}

/// Production begins to fail, and goes back to the last known good by itself.
pub(crate) fn incident(site: &Site, users: &Users) {
    let begin = now();
    site.write("watch.yaml", "watch.yaml", &[("$LASTS", "1h")]);
    let watch = ["rollback", "watch", "watch.yaml", "--environment", "production.yaml", "--id", "guard"];
    let mut watch = Watching::of(site.spawn("tidegate", &watch));
    watch.until("the watch sees nothing wrong");
    fs::write(site.fault(), GOOD).expect("a file");
    let faulty = now();
    let run = watch.end().is(1);
    assert_eq!(site.channel("production"), format!("assistant@{FIRST}"), "{run:?}");
    let back = faulty.elapsed();
    users.seen();
    let seen = until("everybody is served by the last known good", || {
        let seen = users.seen();
        (count(&seen, FIRST, 200) > 0 && seen.keys().all(|(version, _)| version == FIRST)).then_some(seen)
    });
    let (from, to) = (format!("assistant@{GOOD}"), format!("assistant@{FIRST}"));
    site.sink.was_told("watch.alarmed", &[&from, "errors"]);
    site.sink.was_told("rollback.done", &[&from, &to]);
    let quarantined = site.json(&["rollback", "quarantine", "assistant"]);
    let digest = &site.json(&["show", &from])["manifest"]["digest"];
    assert_eq!(&quarantined["quarantined"][0]["digest"], digest, "{quarantined}");
    told(begin, GOOD, &format!("failed and was left after {back:.1?}, {seen:?}"));
}

/// Runs the release of a version that gets to its canary. Users come when the candidate is there.
fn canary(site: &Site, version: &'static str) -> (Released, Users) {
    let mut pipeline = site.spawn("pipeline", &[&file(version), "--json"]);
    until("a candidate", || {
        let ended = pipeline.try_wait().expect("it is a child").is_some();
        (ended || (site.has_candidate)()).then_some(())
    });
    let users = Users::of(site.front);
    let run = Run::of(&pipeline.wait_with_output().expect("it ends"));
    (Released::of(&run), users)
}

fn released(site: &Site, version: &str) -> Released {
    Released::of(&site.say("pipeline", &[&file(version), "--json"]))
}

fn file(version: &str) -> String {
    format!("release-{version}.toml")
}

fn count(seen: &Seen, version: &str, status: u16) -> u64 {
    seen.get(&(version.to_owned(), status)).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "whoever looks at a test of minutes wants to know where it is")]
pub(crate) fn told(begin: Instant, version: &str, what: &str) {
    println!("{:5.1} s  {version} {what}", begin.elapsed().as_secs_f64());
}

/// A program whose lines are read as they come.
struct Watching {
    child: Child,
    out: BufReader<ChildStdout>,
    said: String,
}

impl Watching {
    fn of(mut child: Child) -> Self {
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out, said: String::new() }
    }

    /// Reads until somebody says `word`.
    fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.out.read_line(&mut line).expect("text") > 0, "{word:?} is missing: {}", self.said);
            self.said.push_str(&line);
        }
    }

    fn end(mut self) -> Run {
        self.out.read_to_string(&mut self.said).expect("text");
        let run = Run::of(&self.child.wait_with_output().expect("a child"));
        Run { out: self.said, ..run }
    }
}
