//! Two records of trials, aligned.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_validation::{
    Reason, Record, Run, Subject, Suite, Verdict,
    checks::Cases,
    compare::{Alignment, CompareError, Comparison, Measure, Sides},
};

use crate::{agent, numbers, subject};

/// Records of what two agents answered, in a directory.
struct Records {
    directory: TempDir,
}

impl Records {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn record(&self, name: &str, check: Cases, wrong: fn(u64) -> bool) {
        let (store, manifest) = subject::publish().await;
        let agent = agent(name, wrong);
        let run = Run::new(7).record(Record::at(self.path(name)));
        let suite = Suite::new("s").with(check);
        drop(suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &run).await);
    }

    /// Its lines, but for how checks ended and what was spent, which stand last.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let ends = |line: &&str| line.starts_with(r#"{"end""#) || line.starts_with(r#"{"spent""#);
        assert!(text.lines().any(|line| ends(&line)), "it was read with such lines before");
        text.lines().filter(|line| !ends(line)).map(str::to_owned).collect()
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    fn read(&self, alignment: &Alignment) -> Result<Sides, CompareError> {
        alignment.read(&self.path("new"), &self.path("old"))
    }

    fn refused(&self, alignment: &Alignment) -> String {
        self.read(alignment).unwrap_err().to_string()
    }
}

fn check(count: usize) -> Cases {
    Cases { name: "numbers".to_owned(), ..Cases::new(numbers(count)) }
}

async fn recorded(count: usize) -> Records {
    let records = Records::new();
    records.record("new", check(count), |n| n % 50 == 3).await;
    records.record("old", check(count), |n| n % 40 == 7).await;
    records
}

#[tokio::test]
async fn trials_are_aligned_by_case_in_whatever_order_they_stand() {
    let records = recorded(300).await;
    let sides = records.read(&Alignment::default()).unwrap();
    let [numbers] = sides.checks.as_slice() else { panic!("{sides:?}") };
    assert_eq!((numbers.pairs.len(), numbers.lost.len()), (300, 6));
    assert_eq!(
        (numbers.lost[0].input.as_str(), sides.candidate.agent.as_ref().unwrap().as_str()),
        ("case-103", "new")
    );
    let (verdict, evidence) = Comparison::default().judge("right answers", &numbers.pairs);
    assert_eq!((verdict, evidence.unwrap().n), (Verdict::Pass, 300));
    let mut lines = records.lines("new");
    lines[2..].reverse();
    records.write("new", &lines);
    assert_eq!(records.read(&Alignment::default()).unwrap(), sides);
}

#[tokio::test]
async fn repeats_are_aligned_one_by_one_and_clusters_are_kept() {
    let records = Records::new();
    for (name, wrong) in [("new", (|n| n == 3) as fn(u64) -> bool), ("old", |n| n == 5)] {
        records.record(name, Cases { repeats: 4, ..check(25) }, wrong).await;
    }
    let sides = records.read(&Alignment::default()).unwrap();
    assert_eq!((sides.checks[0].pairs.len(), sides.checks[0].pairs.clusters()), (100, 25));
    let lines: Vec<_> =
        records.lines("new").iter().map(|line| with(line, "cluster", json!("document"))).collect();
    records.write("new", &lines);
    assert_eq!(records.read(&Alignment::default()).unwrap().checks[0].pairs.clusters(), 1);
}

/// The line of a trial with one field more, or another line as it is.
fn with(line: &str, field: &str, value: Value) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    if line.get("case").is_some() {
        line[field] = value;
    }
    line.to_string()
}

#[tokio::test]
async fn what_lacks_a_counterpart_is_refused_unless_it_is_allowed() {
    let records = recorded(60).await;
    let lines = records.lines("new");
    records.write("new", &lines[..lines.len() - 2]);
    let told = records.refused(&Alignment::default());
    assert!(
        told.contains("0 trials of the candidate and 2 of the baseline have no counterpart, such as `case-5"),
        "{told}"
    );
    let allowed = Alignment { allow_unmatched: true, ..Alignment::default() };
    let sides = records.read(&allowed).unwrap();
    assert_eq!(
        (sides.checks[0].pairs.len(), sides.checks[0].baseline_only, sides.checks[0].candidate_only),
        (58, 2, 0)
    );
    records.write("new", &lines[..2]);
    let told = records.refused(&allowed);
    assert!(told.contains("no trial is in both records"), "{told}");
    // A check that one record lacks altogether is not passed over in silence.
    let named = |line: &String| line.replace("\"numbers\"", "\"letters\"");
    let more: Vec<_> = records.lines("old").iter().skip(1).map(named).collect();
    records.write("new", &lines);
    records.write("old", &[records.lines("old"), more].concat());
    let sides = records.read(&allowed).unwrap();
    let [letters, numbers] = sides.checks.as_slice() else { panic!("{sides:?}") };
    assert_eq!((letters.check.as_str(), letters.pairs.len(), letters.baseline_only), ("letters", 0, 60));
    assert_eq!(numbers.pairs.len(), 60);
    let nothing = (Verdict::Inconclusive(Reason::NothingChecked), None);
    assert_eq!(Comparison::default().judge("right answers", &letters.pairs), nothing);
}

#[tokio::test]
async fn checks_that_asked_otherwise_are_not_compared() {
    let records = recorded(60).await;
    fs::remove_file(records.path("old")).unwrap();
    records.record("old", check(61), |_| false).await;
    let told = records.refused(&Alignment::default());
    assert!(
        told.contains("check `numbers` asked or scored otherwise") && told.contains("same suite"),
        "{told}"
    );
    let allowed = Alignment { allow_unmatched: true, ..Alignment::default() };
    assert_eq!(records.read(&allowed).unwrap().checks[0].baseline_only, 1);
    let other = Alignment { check: Some("letters".to_owned()), ..Alignment::default() };
    assert!(records.refused(&other).contains("no trial of check `letters` is in both records"));
}

#[tokio::test]
async fn what_is_not_known_stays_so_and_what_was_asked_again_holds() {
    let records = recorded(60).await;
    let mut lines = records.lines("new");
    let last = lines.len() - 1;
    let lost = with(&with(&lines[last], "outcome", json!("unknown")), "lost", json!(true));
    let known = std::mem::replace(&mut lines[last], lost);
    records.write("new", &lines);
    let sides = records.read(&Alignment::default()).unwrap();
    assert_eq!((sides.checks[0].pairs.len(), sides.checks[0].pairs.unknown()), (60, 1));
    lines.push(known);
    records.write("new", &lines);
    assert_eq!(records.read(&Alignment::default()).unwrap().checks[0].pairs.unknown(), 0);
}

#[tokio::test]
async fn scores_are_aligned_as_outcomes_are() {
    let records = recorded(60).await;
    let lines: Vec<_> = records.lines("new").iter().map(|line| with(line, "score", json!(0.25))).collect();
    records.write("new", &lines);
    let scores = Alignment { measure: Measure::Score, ..Alignment::default() };
    let sides = records.read(&scores).unwrap();
    let differences: Vec<_> = sides.checks[0].pairs.differences().collect();
    // 58 right answers of the baseline, and two wrong ones.
    assert_eq!(differences.iter().filter(|difference| **difference == -0.75).count(), 58);
    assert_eq!(differences.len(), 60);
}

#[tokio::test]
async fn what_is_no_record_is_told_with_its_line() {
    let records = recorded(10).await;
    let lines = records.lines("new");
    let changed = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line.to_owned();
        records.write("new", &lines);
        records.refused(&Alignment::default())
    };
    let header = &lines[0];
    for (at, line, told) in [
        (0, "{}", "line 1: it is no record of trials"),
        (0, "milk", "line 1: it is no record of trials"),
        (
            0,
            &header.replace("trials/v1", "trials/v9"),
            "line 1: it is `tidegate:trials/v9` and not `tidegate:trials/v1`",
        ),
        (4, "{\"check\": \"numbers\"", "line 5:"),
        (4, &with(&lines[4], "outcome", json!("fine")), "line 5: unknown variant"),
        (4, &with(&lines[4], "score", json!(7)), "line 5: the score 7 is not from 0 to 1"),
        (4, &with(&lines[4], "weight", json!(2)), "record without weights"),
        (4, &with(&lines[4], "check", json!("x".repeat(2_000))), "the name of the check is longer"),
        (4, &format!("{{\"reply\": {}", "[".repeat(100_000)), "line 5: EOF"),
    ] {
        let refused = changed(at, line);
        assert!(refused.contains(told), "{refused} does not say {told}");
    }
    fs::write(records.path("new"), "").unwrap();
    assert!(records.refused(&Alignment::default()).contains("it is empty"));
    // What was being written when the run was killed is dropped, as a run that goes on does.
    fs::write(records.path("new"), format!("{}\n{{\"check\": \"num", lines.join("\n"))).unwrap();
    assert_eq!(records.read(&Alignment::default()).unwrap().checks[0].pairs.len(), 10);
    fs::remove_file(records.path("new")).unwrap();
    assert!(records.refused(&Alignment::default()).contains("it cannot be read"));
}
