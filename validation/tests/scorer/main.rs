//! Scorers: what each takes for a good answer, beside values of other programs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod composed;
mod judge;
mod meaning;
mod text;
mod trajectory;

use serde_json::{Value, json};
use tidegate_validation::{
    Reply, Run,
    dataset::Question,
    scorer::{Assertion, Score, ScoreError, Scorer as _},
};

fn assertion(settings: Value) -> Assertion {
    serde_json::from_value(settings).unwrap()
}

fn question() -> Question {
    Question::new("q", "What is the capital of France?")
}

/// The score of `said` with the target `target`.
async fn against(settings: Value, target: &str, said: &str) -> Score {
    let question = question().with_target(target);
    assertion(settings).score(&question, &Reply::text(said), &Run::new(7)).await.unwrap()
}

/// Whether `said` is good by an assertion that needs no target.
async fn holds(settings: Value, said: &str) -> bool {
    score(settings, said, &Run::new(7)).await.unwrap().passed
}

async fn score(settings: Value, said: &str, run: &Run) -> Result<Score, ScoreError> {
    assertion(settings).score(&question(), &Reply::text(said), run).await
}

fn kind(kind: &str) -> Value {
    json!({ "kind": kind })
}
