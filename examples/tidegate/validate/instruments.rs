//! Who answers, who judges, what turns texts into vectors, and what all of it may take.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Client;
use tidegate::validation::{
    Agent as _, AgentId, Budget, Embedder as _, Money, OpenAi, OpenAiEmbeddings, Price, Run, TokenLimit,
    scorer::Judge,
};

use crate::{failure::Failure, secret};

/// The model that is validated.
#[derive(Debug, Args)]
pub(super) struct Served {
    /// Where the version is being served, up to and including /v1: an OpenAI-compatible API
    #[arg(long, value_name = "URL", required_unless_present = "merge")]
    pub(super) endpoint: Option<String>,
    /// The environment variable that holds the key of the API
    #[arg(long, value_name = "NAME", conflicts_with = "api_key_file")]
    api_key_env: Option<String>,
    /// The file that holds the key of the API
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// The name of the model at the endpoint [default: the version's own, NAME@VERSION]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Say the longest answer in the field max_completion_tokens, not max_tokens: some models of OpenAI
    /// demand it
    #[arg(long)]
    max_completion_tokens: bool,
    /// Have answers sent in parts as the model makes them
    #[arg(long)]
    stream: bool,
}

/// What the version is compared with, who judges, and what turns texts into vectors, for suites that say so.
#[derive(Debug, Args)]
pub(super) struct Instruments {
    /// Where the version in service is being served, for checks that compare with it: an OpenAI-compatible API
    #[arg(long, value_name = "URL", requires = "baseline_model")]
    baseline: Option<String>,
    /// The name of the version in service there
    #[arg(long, value_name = "NAME", requires = "baseline")]
    baseline_model: Option<String>,
    /// The environment variable that holds the key of the version in service
    #[arg(long, value_name = "NAME", requires = "baseline", conflicts_with = "baseline_key_file")]
    baseline_key_env: Option<String>,
    /// The file that holds the key of the version in service
    #[arg(long, value_name = "FILE", requires = "baseline")]
    baseline_key_file: Option<PathBuf>,
    /// Where the judge is, for assertions that ask one: an OpenAI-compatible API
    #[arg(long, value_name = "URL", requires = "judge_model")]
    judge: Option<String>,
    /// The name of the judge there
    #[arg(long, value_name = "NAME", requires = "judge")]
    judge_model: Option<String>,
    /// The environment variable that holds the key of the judge
    #[arg(long, value_name = "NAME", requires = "judge", conflicts_with = "judge_key_file")]
    judge_key_env: Option<String>,
    /// The file that holds the key of the judge
    #[arg(long, value_name = "FILE", requires = "judge")]
    judge_key_file: Option<PathBuf>,
    /// Where texts are turned into vectors, for assertions that compare meanings: an OpenAI-compatible API
    #[arg(long, value_name = "URL", requires = "embedder_model")]
    embedder: Option<String>,
    /// The name of the model for vectors there
    #[arg(long, value_name = "NAME", requires = "embedder")]
    embedder_model: Option<String>,
    /// The environment variable that holds the key of the embedder
    #[arg(long, value_name = "NAME", requires = "embedder", conflicts_with = "embedder_key_file")]
    embedder_key_env: Option<String>,
    /// The file that holds the key of the embedder
    #[arg(long, value_name = "FILE", requires = "embedder")]
    embedder_key_file: Option<PathBuf>,
}

/// What a run may take.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// At most so many calls; what they do not suffice for stays undecided
    #[arg(long, value_name = "N")]
    pub(super) max_calls: Option<u64>,
    /// At most so many tokens, those of questions and of answers together
    #[arg(long, value_name = "N")]
    pub(super) max_tokens: Option<u64>,
    /// At most so much money, in the currency of the prices
    #[arg(long, value_name = "AMOUNT", requires = "price")]
    pub(super) max_money: Option<Money>,
    /// What a million tokens cost, of questions and of answers: 0.15:0.60
    #[arg(long, value_name = "IN:OUT", value_parser = price)]
    price: Option<Price>,
    /// The same of the version in service
    #[arg(long, value_name = "IN:OUT", value_parser = price, requires = "baseline")]
    baseline_price: Option<Price>,
    /// The same of the judge
    #[arg(long, value_name = "IN:OUT", value_parser = price, requires = "judge")]
    judge_price: Option<Price>,
    /// The same of the embedder, which answers no tokens: 0.02:0
    #[arg(long, value_name = "IN:OUT", value_parser = price, requires = "embedder")]
    embedder_price: Option<Price>,
}

/// Who is asked, and may cost money.
pub(super) struct Asked {
    pub(super) agent: AgentId,
    pub(super) baseline: Option<AgentId>,
    pub(super) judge: Option<AgentId>,
    pub(super) embedder: Option<AgentId>,
}

impl Served {
    /// The agent; `version` is what it is called there if nothing else was said.
    pub(super) fn agent(&self, client: &Client, version: &str) -> Result<OpenAi> {
        let endpoint = self.endpoint.as_deref().context("--endpoint is missing; say where it is served")?;
        let name = self.model.as_deref().unwrap_or(version);
        let mut agent = OpenAi::new(client.clone(), endpoint, name)?;
        if let Some(key) = secret::key("api", self.api_key_env.as_deref(), self.api_key_file.as_ref())? {
            agent = agent.bearer(key)?;
        }
        if self.max_completion_tokens {
            agent = agent.token_limit(TokenLimit::MaxCompletionTokens);
        }
        Ok(if self.stream { agent.streaming() } else { agent })
    }
}

impl Instruments {
    /// The version in service, if it is to be asked.
    pub(super) fn baseline(&self, client: &Client) -> Result<Option<OpenAi>> {
        let (Some(url), Some(model)) = (&self.baseline, &self.baseline_model) else { return Ok(None) };
        let agent = OpenAi::new(client.clone(), url, model)?;
        let key = secret::key("baseline", self.baseline_key_env.as_deref(), self.baseline_key_file.as_ref())?;
        Ok(Some(match key {
            Some(key) => agent.bearer(key)?,
            None => agent,
        }))
    }

    /// Where the models are that answer beside the version.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &String> {
        self.baseline.iter().chain(&self.judge).chain(&self.embedder)
    }

    /// `run` with them, who judges, and who turns texts into vectors.
    pub(super) fn give(&self, client: &Client, mut run: Run) -> Result<(Run, [Option<AgentId>; 2])> {
        let (mut judge, mut by) = (None, None);
        if let (Some(url), Some(model)) = (&self.judge, &self.judge_model) {
            let mut agent = OpenAi::new(client.clone(), url, model)?;
            if let Some(key) =
                secret::key("judge", self.judge_key_env.as_deref(), self.judge_key_file.as_ref())?
            {
                agent = agent.bearer(key)?;
            }
            judge = Some(agent.fingerprint());
            run = run.judge(Judge::new(agent));
        }
        if let (Some(url), Some(model)) = (&self.embedder, &self.embedder_model) {
            let mut embedder = OpenAiEmbeddings::new(client.clone(), url, model)?;
            let key =
                secret::key("embedder", self.embedder_key_env.as_deref(), self.embedder_key_file.as_ref())?;
            if let Some(key) = key {
                embedder = embedder.bearer(key)?;
            }
            by = Some(embedder.fingerprint());
            run = run.embedder(embedder);
        }
        Ok((run, [judge, by]))
    }
}

impl Limits {
    /// `run` within them; prices are those of who is asked.
    pub(super) fn hold(&self, run: Run, asked: Asked) -> Result<Run, Failure> {
        let Asked { agent, baseline, judge, embedder } = asked;
        let mut budget = Budget::default();
        budget = self.max_calls.into_iter().fold(budget, Budget::calls);
        budget = self.max_tokens.into_iter().fold(budget, Budget::tokens);
        budget = self.max_money.into_iter().fold(budget, Budget::money);
        if self.max_money.is_some() && judge.is_some() && self.judge_price.is_none() {
            let why = "--max-money counts what the judge costs, too; say it with --judge-price";
            return Err(Failure::Misused(why.to_owned()));
        }
        if self.max_money.is_some() && baseline.is_some() && self.baseline_price.is_none() {
            let why =
                "--max-money counts what the version in service costs, too; say it with --baseline-price";
            return Err(Failure::Misused(why.to_owned()));
        }
        if self.max_money.is_some() && embedder.is_some() && self.embedder_price.is_none() {
            let why = "--max-money counts what the embedder costs, too; say it with --embedder-price";
            return Err(Failure::Misused(why.to_owned()));
        }
        let prices = [
            (Some(agent), self.price),
            (baseline, self.baseline_price),
            (judge, self.judge_price),
            (embedder, self.embedder_price),
        ];
        for (who, price) in prices.into_iter().filter_map(|(who, price)| who.zip(price)) {
            budget = budget.price_of(who, price);
        }
        Ok(run.budget(budget))
    }
}

/// `IN:OUT`.
fn price(text: &str) -> Result<Price, String> {
    let parsed = text
        .split_once(':')
        .and_then(|(input, output)| Some(Price::per_million(input.parse().ok()?, output.parse().ok()?)));
    parsed
        .ok_or_else(|| "write what a million tokens cost, of questions and of answers: 0.15:0.60".to_owned())
}
