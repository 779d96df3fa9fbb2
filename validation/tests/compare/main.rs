//! A candidate beside its baseline: asked the same questions, recorded, judged, and in production.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod experiment;
mod logs;
mod pairs;
mod preference;
mod records;
#[path = "../subject/mod.rs"]
mod subject;

use tidegate_validation::{
    Agent, Finding, FnAgent, Reply, Run, Subject, Suite, Validator,
    dataset::{Dataset, Options},
};

fn close(actual: f64, golden: f64) {
    assert!((actual - golden).abs() < 1e-6, "{actual} is not {golden}");
}

/// `count` questions for the numbers from 0, each to be answered with its number.
fn numbers(count: usize) -> Dataset {
    let line = |n| {
        let assert = r#"[{"kind": "number", "which": "only"}]"#;
        format!("{{\"id\": \"case-{n}\", \"input\": \"{n}\", \"target\": \"{n}\", \"assert\": {assert}}}\n")
    };
    dataset(&(0..count).map(line).collect::<String>())
}

fn dataset(lines: &str) -> Dataset {
    Dataset::from_bytes("lines", lines, &Options::default()).unwrap()
}

/// Answers with the number that it is asked for, unless `wrong` holds of it.
fn agent(name: &str, wrong: fn(u64) -> bool) -> FnAgent {
    FnAgent::new(name, move |request| async move {
        let number: u64 = request.prompt().parse().unwrap();
        Ok(Reply::text(if wrong(number) { "no idea".to_owned() } else { number.to_string() }))
    })
}

/// What `check` finds of two agents.
async fn finding(check: impl Validator, candidate: &dyn Agent, baseline: &dyn Agent, run: &Run) -> Finding {
    let (store, manifest) = subject::publish().await;
    let subject = Subject::new(&manifest, &store).with_agent(candidate).with_baseline(baseline);
    Suite::new("s").with(check).run(&subject, run).await.findings.remove(0)
}
