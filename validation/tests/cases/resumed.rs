use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde_json::Value;
use tidegate_validation::{
    AgentError, AgentId, FnAgent, Keep, Reason, Record, Reply, Report, Run, Suite, Verdict, checks::Cases,
};

use crate::{answer, check, counting, numbers, report};

const QUESTIONS: usize = 12;

fn suite() -> Suite {
    Suite::new("s").with(Cases { repeats: 2, ..check(numbers(QUESTIONS)) })
}

fn run(path: &Path) -> Run {
    Run::new(7).record(Record::at(path))
}

/// The trials of a record, in its order.
fn trials(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("case").is_some()).collect()
}

/// Why nothing was checked.
fn refused(report: &Report) -> String {
    match &report.findings[0].verdict {
        Verdict::Inconclusive(Reason::Infra { what }) => what.clone(),
        other => panic!("the record should not be gone on with: {other:?}"),
    }
}

#[tokio::test]
async fn each_trial_is_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    drop(report(&suite(), &counting(&Arc::default()), &run(&path)).await);
    let trials = trials(&path);
    assert_eq!(trials.len(), 2 * QUESTIONS);
    let of = |case: &str| trials.iter().filter(|line| line["case"] == case).collect::<Vec<_>>();
    let hit = of("case-1");
    assert_eq!(
        (&hit[0]["check"], &hit[0]["trial"], &hit[1]["trial"]),
        (&"numbers".into(), &0.into(), &1.into())
    );
    assert_eq!(
        (&hit[0]["outcome"], &hit[0]["score"], &hit[0]["reply"]["text"]),
        (&"hit".into(), &1.0.into(), &"It is 1.".into())
    );
    assert_eq!(
        (&hit[0]["reply"]["usage"]["output_tokens"], hit[0]["reply"]["latency"].is_f64()),
        (&9.into(), true)
    );
    assert_eq!((&of("case-3")[0]["outcome"], &of("case-3")[0]["score"]), (&"miss".into(), &0.0.into()));
}

#[tokio::test]
async fn replies_are_kept_as_long_as_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let long = FnAgent::new("long", |_| async { Ok(Reply::text("1\n".repeat(1_000))) });
    let kept = async |keep| {
        let path = directory.path().join(format!("{keep:?}"));
        let run = Run::new(7).record(Record::at(&path).keep(keep));
        drop(report(&Suite::new("s").with(check(numbers(1))), &long, &run).await);
        trials(&path)[0]["reply"]["text"].as_str().unwrap().chars().count()
    };
    assert_eq!((kept(Keep::Excerpt).await, kept(Keep::Whole).await), (301, 2_000));
}

/// Wherever a record ends, the run that goes on from it asks only what is missing and reports the same.
#[tokio::test]
async fn a_record_cut_at_any_byte_is_gone_on_from() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let suite = || Suite::new("s").with(check(numbers(4)));
    let whole_report = report(&suite(), &counting(&Arc::default()), &run(&path)).await;
    let whole = fs::read(&path).unwrap();
    let all = trials(&path).len();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length].split_inclusive(|&byte| byte == b'\n');
        let complete = lines.filter(|line| line.ends_with(b"\n") && line.starts_with(br#"{"check""#)).count();
        let asked = Arc::default();
        let resumed = report(&suite(), &counting(&asked), &run(&path)).await;
        assert_eq!(resumed.findings, whole_report.findings, "cut at {length}");
        assert_eq!(asked.lock().unwrap().len(), all - complete, "cut at {length}");
        let mut keys = BTreeMap::new();
        for trial in trials(&path) {
            *keys.entry((trial["case"].to_string(), trial["trial"].to_string())).or_insert(0) += 1;
        }
        assert!(keys.len() == all && keys.values().all(|&times| times == 1), "cut at {length}: {keys:?}");
    }
}

#[tokio::test]
async fn a_whole_record_asks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let first = report(&suite(), &counting(&Arc::default()), &run(&path)).await;
    let before = fs::read(&path).unwrap();
    let asked = Arc::default();
    let again = report(&suite(), &counting(&asked), &run(&path)).await;
    assert_eq!((again.findings, asked.lock().unwrap().len()), (first.findings, 0));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_got_no_answer_is_asked_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let flaky = FnAgent::new("counting", |request| async move {
        let prompt = request.prompt();
        match prompt {
            "5" => Err(AgentError::Unavailable {
                agent: AgentId::new("counting"),
                why: "busy".into(),
                attempts: 1,
                source: None,
            }),
            prompt => Ok(answer(prompt)),
        }
    });
    let first = report(&suite(), &flaky, &run(&path)).await;
    assert_eq!(first.findings[0].evidence[0].unknown, 2);
    let asked = Arc::default();
    let again = report(&suite(), &counting(&asked), &run(&path)).await;
    assert_eq!(again.findings[0].evidence[0].unknown, 0);
    assert_eq!(*asked.lock().unwrap(), ["5", "5"]);
}

#[tokio::test]
async fn a_record_of_another_run_is_refused_and_says_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let agent = counting(&Arc::default());
    drop(report(&suite(), &agent, &run(&path)).await);
    let before = fs::read(&path).unwrap();

    let says = |report: Report, what: &str| {
        let told = refused(&report);
        assert!(told.contains(what) && told.contains("record.jsonl"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), before, "a record that is refused is left alone");
    };
    let seed = Run::new(8).record(Record::at(&path));
    says(report(&suite(), &agent, &seed).await, "the seed was 7 and is 8");
    let other = FnAgent::new("other", |_| async { Ok(Reply::text("x")) });
    says(report(&suite(), &other, &run(&path)).await, "the agent was counting and is other");
    let named = Suite::new("t").with(check(numbers(QUESTIONS)));
    says(report(&named, &agent, &run(&path)).await, "the suite was s and is t");
    for cases in [check(numbers(QUESTIONS)), Cases { repeats: 2, ..check(numbers(QUESTIONS + 1)) }] {
        let suite = Suite::new("s").with(cases);
        says(report(&suite, &agent, &run(&path)).await, "what check `numbers` asks");
    }
    let text = "checks = [{ kind = \"cases\", cases = [{ input = \"1\" }], assert = [{ kind = \"refusal\" }] }]\nname = \"s\"";
    says(
        report(&Suite::from_toml(text).unwrap(), &agent, &run(&path)).await,
        "the digest of the suite was none and is sha256:",
    );
}

#[tokio::test]
async fn what_is_no_record_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    for text in ["milk", "milk\neggs\n", "{\"a\": 1}\n", "{\"rec", "{}\n"] {
        fs::write(&path, text).unwrap();
        let told = report(&suite(), &counting(&Arc::default()), &run(&path)).await;
        if text == "{\"rec" {
            // As much of a record as one that was killed at once may be.
            assert!(fs::read_to_string(&path).unwrap().starts_with("{\"record\":\"tidegate:trials/v1\""));
            continue;
        }
        assert!(refused(&told).contains("line 1 of record"), "{text}: {}", refused(&told));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let folder = report(&suite(), &counting(&Arc::default()), &run(directory.path())).await;
    assert!(refused(&folder).contains("could not be read or written"), "{}", refused(&folder));
}

#[tokio::test]
async fn a_damaged_line_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    drop(report(&suite(), &counting(&Arc::default()), &run(&path)).await);
    let text = fs::read_to_string(&path).unwrap();
    let damaged: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(i, line)| if i == 4 { &line[..line.len() / 2] } else { line })
        .collect();
    fs::write(&path, damaged.join("\n") + "\n").unwrap();
    let told = refused(&report(&suite(), &counting(&Arc::default()), &run(&path)).await);
    assert!(told.contains("line 5 of record"), "{told}");
}

#[tokio::test]
async fn two_runs_do_not_share_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    drop(report(&suite(), &counting(&Arc::default()), &run(&path)).await);
    let held = fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let told = refused(&report(&suite(), &counting(&Arc::default()), &run(&path)).await);
    assert!(told.contains("written by another run"), "{told}");
}
