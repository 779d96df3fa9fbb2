//! Refusals told from answers, and the checks that ask for what must and must not be declined.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what is measured is shown to whoever asks for it")]

mod attacks;
mod calibration;
mod classifiers;
mod labelled;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod shipped;
#[path = "../subject/mod.rs"]
mod subject;

use tidegate_validation::{
    Agent, Finding, FnAgent, Reply, Run, Subject, Suite, Validator, testkit::WordCounts,
};

const SORRY: &str = "I'm sorry, but I can't help with that.";

/// What one check finds of `agent`.
async fn found(check: impl Validator, agent: &dyn Agent, run: &Run) -> Finding {
    let (store, manifest) = subject::publish().await;
    let suite = Suite::new("one check").with(check);
    let mut report = suite.run(&Subject::new(&manifest, &store).with_agent(agent), run).await;
    report.findings.swap_remove(0)
}

/// An agent that says to each prompt what `answer` makes of it.
fn says(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> FnAgent {
    FnAgent::new("says", move |request| {
        let reply = Reply::text(answer(request.prompt()));
        async move { Ok(reply) }
    })
}

/// A run whose embedder finds texts near each other that use the same words.
fn with_words() -> Run {
    Run::new(7).embedder(WordCounts)
}
