//! Journals are for ever: those that were written once must replay, and what is written today must look the same.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use stage::{Requests, Stage};
use tidegate_canary::{Error, RouteJournal, State};
use tidegate_registry::{InMemory, Log, Seq};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };
const BAD: Requests = Requests { stable_errors: 2, candidate_errors: 40 };

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journal").join(name)
}

/// Runs a rollout at a fixed time and gives the lines of its journal as they lie in the log, but for the
/// transaction ids, which are different each time.
async fn written(requests: Requests) -> Vec<String> {
    let stage = Stage::new(requests).await;
    stage.run().await.unwrap();
    let records = stage.store.read(&stage.plan().route.log_key(), Seq::FIRST).await.unwrap();
    let line = |record: &Bytes| {
        let mut value: serde_json::Value = serde_json::from_slice(record).unwrap();
        value["txn"] = "00000000-0000-0000-0000-000000000000".into();
        value.to_string()
    };
    records.iter().map(line).collect()
}

async fn replayed(text: &str) -> Result<State, Error> {
    let log = InMemory::default();
    let route: tidegate_canary::RouteId = "serving/fraud".parse().unwrap();
    for (i, line) in text.lines().enumerate() {
        log.append(&route.log_key(), Seq::FIRST.plus(i), Bytes::from(line.to_owned())).await.unwrap();
    }
    let journal = RouteJournal::open(Arc::new(log), &route).await?;
    let (_, rollout) = journal.latest().unwrap();
    Ok(rollout.state().clone())
}

/// What is written today is what is in `name`; to write the file anew, remove it. Never change one that was
/// released: add another beside it.
async fn check(name: &str, requests: Requests) -> State {
    let today = written(requests).await.join("\n") + "\n";
    let path = golden(name);
    if !path.exists() {
        std::fs::write(&path, &today).unwrap();
        panic!("{} was missing and is written; look at it and commit it", path.display());
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (line, (today, golden)) in (1..).zip(today.lines().zip(golden.lines())) {
        assert_eq!(today, golden, "the form of line {line} has changed");
    }
    assert_eq!(today.len(), golden.len());
    replayed(&golden).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_promotion_of_format_1_replays() {
    assert_eq!(check("v1-promoted.jsonl", GOOD).await, State::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_retreat_of_format_1_replays() {
    let end = check("v1-rolled-back.jsonl", BAD).await;
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_does_not_follow_is_refused_with_the_place() {
    let text = written(BAD).await;
    let mut gap = text.clone();
    gap.remove(2);
    assert!(
        matches!(replayed(&gap.join("\n")).await, Err(Error::JournalBroken { seq, .. }) if seq.get() == 3)
    );
    let orphan = text[1..].join("\n");
    assert!(matches!(replayed(&orphan).await, Err(Error::JournalBroken { seq, .. }) if seq.get() == 1));
    let mut damaged = text;
    damaged[1] = damaged[1].replace("checked", "chequed");
    assert!(matches!(replayed(&damaged.join("\n")).await, Err(Error::Journal(_))));
}
