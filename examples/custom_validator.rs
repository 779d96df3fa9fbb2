//! A check of one's own: that answers are short. It is part of a suite like any other.
//!
//! `cargo run --example custom_validator`; `cargo test --example custom_validator` holds it against the contract.

use async_trait::async_trait;
use tidegate::{
    registry::{Content, Draft, InMemory, Manifest, ModelStore as _, Stamp},
    validation::{
        Case, Cost, Error, Finding, FnAgent, Freshness, Outcome, Reason, Reply, Request, Run, Subject, Suite,
        Unanswered, Validator, Verdict,
    },
};

/// No answer is longer than so many words.
#[derive(Debug)]
struct Brief {
    questions: Vec<&'static str>,
    words: usize,
}

const TOKENS: u32 = 128;

#[async_trait]
impl Validator for Brief {
    fn name(&self) -> &str {
        "brief"
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.questions.len() as u64, TOKENS)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let agent = subject.agent.ok_or_else(|| Error::NoAgent { check: self.name().to_owned() })?;
        let (mut verdicts, mut cases) = (Vec::new(), Vec::new());
        for question in &self.questions {
            let request = Request::user(*question).max_tokens(TOKENS);
            // By the run, so that its budget and its deadline hold.
            let (verdict, outcome) = match run.ask(agent, &request, 0, Freshness::Any).await {
                // An answer that says nothing is short, and no answer.
                Ok(reply) if reply.text.trim().is_empty() => {
                    (Verdict::Inconclusive(Reason::Silent), Outcome::Unknown)
                }
                Ok(reply) if reply.text.split_whitespace().count() > self.words => {
                    (Verdict::Fail, Outcome::Miss)
                }
                Ok(_) => (Verdict::Pass, Outcome::Hit),
                // Nobody's fault but that of whoever did not answer.
                Err(Unanswered::Lost(error)) => {
                    (Verdict::Inconclusive(Reason::infra(&error)), Outcome::Unknown)
                }
                Err(Unanswered::Short(left)) => {
                    (Verdict::Inconclusive(Reason::Budget(left)), Outcome::Unknown)
                }
            };
            cases.push(Case::new(question, outcome, verdict.word()));
            verdicts.push(verdict);
        }
        let claim = format!("no answer is longer than {} words", self.words);
        Ok(Finding::new(self.name(), Verdict::over(&verdicts), claim).with_cases(cases))
    }
}

fn brief() -> Brief {
    Brief { questions: vec!["Where is my parcel?", "May I send it back?"], words: 20 }
}

fn agent() -> FnAgent {
    FnAgent::new("support", async |_| Ok(Reply::text("It is on its way, and you may.")))
}

async fn published(registry: &InMemory) -> Result<Manifest, tidegate::registry::Error> {
    let draft = Draft::new("support@1.1.0".parse()?, Stamp::now("ada"));
    registry.publish(draft, Content::bytes([("weights".parse()?, "w".into())]), &()).await
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what it found")]
async fn main() -> anyhow::Result<()> {
    let (registry, agent) = (InMemory::new(), agent());
    let manifest = published(&registry).await?;
    let subject = Subject::new(&manifest, &registry).with_agent(&agent);
    println!("{}", Suite::new("support").with(brief()).run(&subject, &Run::new(7)).await);
    Ok(())
}

#[cfg(test)]
tidegate::validation::validator_conformance!(conformance, async || {
    let registry = InMemory::new();
    tidegate::validation::testkit::validator::Checked {
        validator: brief(),
        manifest: published(&registry).await.expect("it is published"),
        store: std::sync::Arc::new(registry),
        agent: std::sync::Arc::new(agent()),
    }
});
