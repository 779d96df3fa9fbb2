//! A check of one's own: that an answer is short. It is part of a suite like any other.
//!
//! `cargo run --example custom_validator`; `cargo test --example custom_validator` holds it against the contract.

use async_trait::async_trait;
use tidegate::{
    registry::{Content, Draft, InMemory, Manifest, ModelStore as _, Stamp},
    validation::{
        Cost, Error, Finding, FnAgent, Freshness, Reason, Reply, Request, Run, Subject, Suite, Unanswered,
        Validator, Verdict,
    },
};

/// The answer is not longer than so many words.
#[derive(Debug)]
struct Brief(usize);

const TOKENS: u32 = 128;

#[async_trait]
impl Validator for Brief {
    fn name(&self) -> &str {
        "brief"
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(1, TOKENS)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let agent = subject.agent.ok_or_else(|| Error::NoAgent { check: self.name().to_owned() })?;
        let request = Request::user("Where is my parcel?").max_tokens(TOKENS);
        // By the run, so that its budget and its deadline hold.
        let verdict = match run.ask(agent, &request, 0, Freshness::Any).await {
            // An answer that says nothing is short, and no answer.
            Ok(reply) if reply.text.trim().is_empty() => Verdict::Inconclusive(Reason::Silent),
            Ok(reply) if reply.text.split_whitespace().count() > self.0 => Verdict::Fail,
            Ok(_) => Verdict::Pass,
            // Nobody's fault but that of whoever did not answer.
            Err(Unanswered::Lost(error)) => Verdict::Inconclusive(Reason::infra(&error)),
            Err(Unanswered::Short(left)) => Verdict::Inconclusive(Reason::Budget(left)),
        };
        Ok(Finding::new(self.name(), verdict, format!("the answer is at most {} words long", self.0)))
    }
}

fn agent() -> FnAgent {
    FnAgent::new("support", async |_| Ok(Reply::text("It is on its way.")))
}

async fn published(registry: &InMemory) -> anyhow::Result<Manifest> {
    let draft = Draft::new("support@1.1.0".parse()?, Stamp::now("ada"));
    Ok(registry.publish(draft, Content::bytes([("weights".parse()?, "w".into())]), &()).await?)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what it found")]
async fn main() -> anyhow::Result<()> {
    let (registry, agent) = (InMemory::new(), agent());
    let manifest = published(&registry).await?;
    let subject = Subject::new(&manifest, &registry).with_agent(&agent);
    println!("{}", Suite::new("support").with(Brief(20)).run(&subject, &Run::new(7)).await);
    Ok(())
}

#[cfg(test)]
tidegate::validation::validator_conformance!(conformance, async || {
    let registry = InMemory::new();
    tidegate::validation::testkit::validator::Checked {
        validator: Brief(20),
        manifest: published(&registry).await.expect("it is published"),
        store: std::sync::Arc::new(registry),
        agent: std::sync::Arc::new(agent()),
    }
});
