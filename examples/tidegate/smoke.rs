//! `tidegate smoke URL…`

use std::{convert::Infallible, str::FromStr, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::validation::{
    OpenAi, Outcome, Run, Verdict,
    checks::{self, SmokeCase},
};

use crate::{answer::Answer, arguments::span, load, secret, words::plain};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Smoke {
    /// Where the model is served, up to and including /v1: an OpenAI-compatible API; each is looked at
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Ask this; with ` => ANSWER`, the answer must contain that
    #[arg(long = "ask", value_name = "QUESTION", default_value = "Say hello.")]
    cases: Vec<Question>,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span)]
    within: Duration,
    /// The name of the model there
    #[arg(long, value_name = "NAME", default_value = "default")]
    model: String,
    /// The environment variable that holds the key of the API
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// A host besides this machine that may be asked: it is yours, and its owners know
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
}

const EXAMPLES: &str = "\
Example:
  tidegate smoke http://127.0.0.1:8000/v1 --ask 'What is 2+2? => 4' --ask 'Who wrote Faust? => Goethe'

Exit status: 0 every question was answered in time, as expected; 1 one was not; 3 it is not known: the server gave errors.
Other hosts than this one are asked only if --allow-host names them.";

/// `QUESTION`, or `QUESTION => ANSWER`.
#[derive(Clone, Debug)]
struct Question(SmokeCase);

impl Smoke {
    pub(crate) async fn run(self) -> Result<Answer> {
        let key = secret::key("api", self.api_key_env.as_deref(), None)?;
        let check = checks::Smoke {
            cases: self.cases.into_iter().map(|Question(case)| case).collect(),
            within: self.within,
            allow_hosts: self.allow_hosts.into_iter().collect(),
            ..checks::Smoke::default()
        };
        let (mut looks, mut verdicts, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for url in &self.urls {
            let found =
                check.destinations().find(url).await.map_err(|forbidden| load::misused(&forbidden))?;
            let mut agent = OpenAi::new(load::client(url, &found)?, url, self.model.as_str())?;
            if let Some(key) = &key {
                agent = agent.bearer(key.as_str())?;
            }
            let finding = check.look(&agent, &Run::new(0)).await?;
            lines.push(format!("{}: {} by {}", finding.verdict.word(), finding.claim, plain(url)));
            lines.extend(finding.cases.iter().map(|case| {
                let mark = match case.outcome {
                    Outcome::Hit => "ok",
                    Outcome::Miss => "failed",
                    Outcome::Unknown => "unknown",
                };
                format!("  {mark:<8} {} → {}", plain(&case.input), plain(&case.detail))
            }));
            looks.push(json!({ "url": url, "finding": finding }));
            verdicts.push(finding.verdict);
        }
        let verdict = Verdict::over(&verdicts);
        let json = json!({ "verdict": verdict.word(), "looks": looks });
        Ok(Answer { text: lines.join("\n"), json, status: load::status(&verdict) })
    }
}

impl FromStr for Question {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (input, target) = match text.split_once("=>") {
            Some((input, target)) => (input.trim(), Some(target.trim().to_owned())),
            None => (text.trim(), None),
        };
        Ok(Self(SmokeCase { input: input.to_owned(), target }))
    }
}
