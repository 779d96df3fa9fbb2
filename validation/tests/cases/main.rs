//! The check of kind `cases`: what it asks, what it shows, and how it goes on after it was killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod decided;
mod hostile;
mod judged;
mod killed;
mod listed;
mod merged;
mod resumed;
mod sequential;
mod spent;
mod verdicts;

use std::sync::{Arc, Mutex};

use tidegate_registry::{Content, Draft, InMemory, Manifest, ModelStore as _, Stamp};
use tidegate_validation::{
    Agent, FnAgent, Reply, Report, Rule, Run, Subject, Suite,
    checks::Cases,
    dataset::{Dataset, Options, Shard},
};

/// `count` questions for the numbers from 0, each to be answered with its number.
fn numbers(count: usize) -> Dataset {
    numbers_of(count, Shard::ALL)
}

/// One share of them.
fn numbers_of(count: usize, shard: Shard) -> Dataset {
    let line = |n| {
        let assert = r#"[{"kind": "number", "which": "only"}]"#;
        format!("{{\"id\": \"case-{n}\", \"input\": \"{n}\", \"target\": \"{n}\", \"assert\": {assert}}}\n")
    };
    let lines: String = (0..count).map(line).collect();
    Dataset::from_bytes("numbers", lines, &Options { shard, ..Options::default() }).unwrap()
}

fn check(dataset: Dataset) -> Cases {
    Cases { name: "numbers".to_owned(), floor: 0.5, rule: Rule::Point, ..Cases::new(dataset) }
}

/// Answers with the number it was asked for, but for every seventh; `asked` has all prompts in order.
fn counting(asked: &Arc<Mutex<Vec<String>>>) -> FnAgent {
    let asked = Arc::clone(asked);
    FnAgent::new("counting", move |request| {
        let prompt = request.prompt().to_owned();
        asked.lock().unwrap().push(prompt.clone());
        async move { Ok(answer(&prompt)) }
    })
}

fn answer(prompt: &str) -> Reply {
    let number: u32 = prompt.parse().unwrap();
    match number % 7 {
        3 => Reply::text("no idea").with_usage(3, 9),
        _ => Reply::text(format!("It is {number}.")).with_usage(3, 9),
    }
}

async fn published() -> (InMemory, Manifest) {
    let store = InMemory::new();
    let draft = Draft::new(
        "support-bot@1.0.0".parse().unwrap(),
        Stamp { by: "test".into(), at: std::time::UNIX_EPOCH },
    );
    let content = Content::bytes([("model.bin".parse().unwrap(), "weights".into())]);
    let manifest = store.publish(draft, content, &()).await.unwrap();
    (store, manifest)
}

async fn report(suite: &Suite, agent: &FnAgent, run: &Run) -> Report {
    reported(suite, agent, run).await
}

async fn reported(suite: &Suite, agent: &dyn Agent, run: &Run) -> Report {
    let (store, manifest) = published().await;
    suite.run(&Subject::new(&manifest, &store).with_agent(agent), run).await
}
