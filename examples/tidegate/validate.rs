//! `tidegate validate --suite FILE SELECTOR --endpoint URL`

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use serde_json::json;
use tidegate::{
    registry::{ModelStore as _, Selector},
    validation::{Event, OpenAi, Report, Run, Subject, Suite, TokenLimit, Verdict},
};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::span,
    document::{Document, Format},
    failure::{self, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// The checks to make: a .toml or .json file
    #[arg(long, value_name = "FILE")]
    suite: PathBuf,
    /// Where that version is being served, up to and including /v1: an OpenAI-compatible API
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// The environment variable that holds the key of the API
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// The name of the model at the endpoint [default: the version's own, NAME@VERSION]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Say the longest answer in the field max_completion_tokens, not max_tokens: some models of OpenAI
    /// demand it
    #[arg(long)]
    max_completion_tokens: bool,
    /// The longest time for all checks together
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = span)]
    deadline: Duration,
    /// Decides what is left to chance, so that a run can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// Record the report in the registry, whatever it says
    #[arg(long)]
    attest: bool,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Validate {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let suite = read_suite(&self.suite)?;
        let key = self.api_key_env.as_deref().map(read_key).transpose()?;
        let location = session.location()?;
        let registry = location.open().await?;
        if self.attest {
            location.expect_writable().await?;
        }
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;

        let client = client()?;
        let name = self.model.unwrap_or_else(|| model.to_string());
        let mut agent = OpenAi::new(client.clone(), &self.endpoint, name)?;
        if let Some(key) = key {
            agent = agent.bearer(key)?;
        }
        if self.max_completion_tokens {
            agent = agent.token_limit(TokenLimit::MaxCompletionTokens);
        }
        expect_answer(&client, &self.endpoint).await?;

        let subject = Subject::new(&manifest, &registry.store).with_agent(&agent);
        let run = watched(Run::new(self.seed).deadline(self.deadline), suite.estimate(&subject).calls);
        let report = suite.run(&subject, &run).await;
        drop(run);
        let mut answer = answer(&report);
        if self.attest {
            let attestation = report.attestation(session.stamp());
            let recorded = registry.attestations.attest(&model, attestation).await;
            say_recorded(&mut answer, recorded.map_err(anyhow::Error::from));
        }
        Ok(answer)
    }
}

fn answer(report: &Report) -> Answer {
    let status = match report.verdict() {
        _ if report.accepted() => Status::Done,
        Verdict::Fail => Status::Refused,
        _ => Status::Inconclusive,
    };
    let json = json!({
        "accepted": report.accepted(),
        "verdict": report.verdict().word(),
        "attested": false,
        "report": report,
    });
    Answer { text: report.to_string(), json, status }
}

/// Whether the report was recorded. It is answered in either case: it may have taken hours to make.
fn say_recorded(answer: &mut Answer, recorded: Result<()>) {
    let Err(error) = recorded else {
        answer.text.push_str("\nrecorded in the registry");
        answer.json["attested"] = true.into();
        return;
    };
    let (status, problem) = failure::describe(&error);
    answer.text.push_str(&format!("\nnot recorded in the registry: {error:#}"));
    answer.json["attestError"] = problem;
    answer.status = status;
}

fn read_suite(path: &Path) -> Result<Suite> {
    let Document { text, format } = Document::read("suite", path)?;
    let suite = match format {
        Format::Json => Suite::from_json(&text),
        Format::Toml => Suite::from_toml(&text),
    };
    suite.with_context(|| format!("suite `{}` cannot be used", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key on the command line would be seen by everybody on the machine"
)]
fn read_key(variable: &str) -> Result<String> {
    let misused = |_| {
        Failure::Misused(format!("environment variable `{variable}` of --api-key-env is not set; export it"))
    };
    // A key read from a file or a secret often has a line break at its end.
    let key = std::env::var(variable).map_err(misused)?.trim().to_owned();
    if key.is_empty() {
        let why = format!("environment variable `{variable}` of --api-key-env is empty; put the key there");
        return Err(Failure::Misused(why).into());
    }
    Ok(key)
}

fn client() -> Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .context("cannot set up HTTP; are the system's certificates readable?")
}

/// Whether anybody answers at all: an unreachable server is no evidence about a model.
async fn expect_answer(client: &Client, endpoint: &str) -> Result<(), Failure> {
    let asked = client.get(endpoint).timeout(2 * CONNECT_TIMEOUT).send().await;
    asked
        .map(drop)
        .map_err(|source| Failure::NoServer { url: endpoint.to_string(), source: source.without_url() })
}

/// Shows the calls made of at most `calls`, on standard error if that is a terminal.
fn watched(run: Run, calls: u64) -> Run {
    let style = "{prefix} {bar:30} {pos} of at most {len} calls, {elapsed} {wide_msg}";
    let style = ProgressStyle::with_template(style).expect("the template is a constant and valid");
    let bar = ProgressBar::new(calls).with_style(style).with_prefix("validating");
    run.watch(move |event| match event {
        Event::Started { check, .. } => bar.set_message(check.to_owned()),
        Event::Called { .. } => bar.inc(1),
        _ => {}
    })
}
