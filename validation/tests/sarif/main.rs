//! What other scanners wrote, read by the check of kind `sarif`.

mod hostile;
mod incomplete;
mod joined;
mod real;
mod standing;
mod suites;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::{Value, json};
use tidegate_registry::{Content, Draft, InMemory, ModelStore as _, Stamp};
use tidegate_validation::{Finding, Report, Run, Subject, Suite, checks::Sarif};

/// When the runs of these tests are made.
fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-29T12:00:00Z").expect("a time")
}

/// What `suite` says about a version of one file.
async fn report(suite: &Suite, run: &Run) -> Report {
    let store = InMemory::new();
    let draft = Draft::new("m@1.0.0".parse().expect("a name"), Stamp::now("ada"));
    let files = Content::bytes([("a".parse().expect("a path"), "weights".into())]);
    let manifest = store.publish(draft, files, &()).await.expect("a version");
    suite.run(&Subject::new(&manifest, &store), run).await
}

/// What `check` finds in its files.
async fn found(check: Sarif) -> Finding {
    let report = report(&Suite::new("s").with(check), &Run::new(1).at(noon())).await;
    report.findings.into_iter().next().expect("one check")
}

/// What `check` finds in these bytes.
async fn found_in(check: Sarif, bytes: impl AsRef<[u8]>) -> Finding {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("scan.sarif");
    std::fs::write(&path, bytes).expect("a writable directory");
    found(Sarif { files: vec![path], ..check }).await
}

/// A whole log of one run.
fn log(rules: &Value, results: &Value) -> String {
    let run =
        json!({ "tool": { "driver": { "name": "T", "version": "1", "rules": rules } }, "results": results });
    json!({ "version": "2.1.0", "runs": [run] }).to_string()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sarif/data").join(name)
}
