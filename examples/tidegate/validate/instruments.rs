//! Who answers, who judges, who looks for harm, what turns texts into vectors, and what all of it may take.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Client;
use tidegate::validation::{
    Agent as _, AgentId, Budget, Embedder as _, Money, OpenAi, OpenAiEmbeddings, Price, Run, TokenLimit,
    safety::{Classifier as _, Guard, Moderation},
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

/// What the version is compared with, who judges, who looks for harm, and what turns texts into vectors, for suites that
/// say so.
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
    /// Where a guard model is, which says `safe` or `unsafe` of an answer as Llama Guard does, for safety checks whose
    /// `undecided` is "classifier": an OpenAI-compatible API
    #[arg(long, value_name = "URL", requires = "guard_model", conflicts_with = "moderation")]
    guard: Option<String>,
    /// The name of the guard model there
    #[arg(long, value_name = "NAME", requires = "guard")]
    guard_model: Option<String>,
    /// The environment variable that holds the key of the guard model
    #[arg(long, value_name = "NAME", requires = "guard", conflicts_with = "guard_key_file")]
    guard_key_env: Option<String>,
    /// The file that holds the key of the guard model
    #[arg(long, value_name = "FILE", requires = "guard")]
    guard_key_file: Option<PathBuf>,
    /// Where answers are moderated, for the same checks, in place of a guard model: the URL below which
    /// `moderations` of an OpenAI-compatible API lies
    #[arg(long, value_name = "URL", requires = "moderation_model")]
    moderation: Option<String>,
    /// The name of the model for moderation there
    #[arg(long, value_name = "NAME", requires = "moderation")]
    moderation_model: Option<String>,
    /// The environment variable that holds the key of the moderation
    #[arg(long, value_name = "NAME", requires = "moderation", conflicts_with = "moderation_key_file")]
    moderation_key_env: Option<String>,
    /// The file that holds the key of the moderation
    #[arg(long, value_name = "FILE", requires = "moderation")]
    moderation_key_file: Option<PathBuf>,
}

/// A model that answers beside the version: where it is, what it is called there, and where its key is.
struct Beside<'a> {
    /// What its options begin with.
    whose: &'static str,
    url: &'a str,
    model: &'a str,
    key_env: Option<&'a str>,
    key_file: Option<&'a PathBuf>,
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
    /// The same of the guard model
    #[arg(long, value_name = "IN:OUT", value_parser = price, requires = "guard")]
    guard_price: Option<Price>,
    /// The same of the moderation, which answers no tokens: 0:0 where it is free
    #[arg(long, value_name = "IN:OUT", value_parser = price, requires = "moderation")]
    moderation_price: Option<Price>,
}

/// Who is asked, and may cost money.
pub(super) struct Asked {
    pub(super) agent: AgentId,
    pub(super) baseline: Option<AgentId>,
    pub(super) given: Given,
}

/// Who judges, who turns texts into vectors, and who looks for harm.
#[derive(Default)]
pub(super) struct Given {
    judge: Option<AgentId>,
    embedder: Option<AgentId>,
    guard: Option<AgentId>,
    moderation: Option<AgentId>,
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

impl Beside<'_> {
    fn key(&self) -> Result<Option<String>, Failure> {
        secret::key(self.whose, self.key_env, self.key_file)
    }

    /// It as a model to talk to.
    fn chat(&self, client: &Client) -> Result<OpenAi> {
        let agent = OpenAi::new(client.clone(), self.url, self.model)?;
        Ok(match self.key()? {
            Some(key) => agent.bearer(key)?,
            None => agent,
        })
    }
}

impl Instruments {
    /// The version in service, if it is to be asked.
    pub(super) fn baseline(&self, client: &Client) -> Result<Option<OpenAi>> {
        let there = beside(
            "baseline",
            [&self.baseline, &self.baseline_model, &self.baseline_key_env],
            &self.baseline_key_file,
        );
        there.map(|there| there.chat(client)).transpose()
    }

    /// Where the models are that answer beside the version.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &String> {
        let all = [&self.baseline, &self.judge, &self.embedder, &self.guard, &self.moderation];
        all.into_iter().flatten()
    }

    /// `run` with them, and who they are.
    pub(super) fn give(&self, client: &Client, mut run: Run) -> Result<(Run, Given)> {
        let mut given = Given::default();
        let judge =
            beside("judge", [&self.judge, &self.judge_model, &self.judge_key_env], &self.judge_key_file);
        if let Some(there) = judge {
            let agent = there.chat(client)?;
            given.judge = Some(agent.fingerprint());
            run = run.judge(Judge::new(agent));
        }
        let embedder = beside(
            "embedder",
            [&self.embedder, &self.embedder_model, &self.embedder_key_env],
            &self.embedder_key_file,
        );
        if let Some(there) = embedder {
            let mut embedder = OpenAiEmbeddings::new(client.clone(), there.url, there.model)?;
            if let Some(key) = there.key()? {
                embedder = embedder.bearer(key)?;
            }
            given.embedder = Some(embedder.fingerprint());
            run = run.embedder(embedder);
        }
        let guard =
            beside("guard", [&self.guard, &self.guard_model, &self.guard_key_env], &self.guard_key_file);
        if let Some(there) = guard {
            let agent = there.chat(client)?;
            given.guard = Some(agent.fingerprint());
            run = run.classifier(Guard::new(agent));
        }
        let moderation = beside(
            "moderation",
            [&self.moderation, &self.moderation_model, &self.moderation_key_env],
            &self.moderation_key_file,
        );
        if let Some(there) = moderation {
            let mut moderation = Moderation::new(client.clone(), there.url, there.model)?;
            if let Some(key) = there.key()? {
                moderation = moderation.bearer(key)?;
            }
            given.moderation = Some(moderation.fingerprint());
            run = run.classifier(moderation);
        }
        Ok((run, given))
    }
}

/// Whom the options that begin with `whose` name, if they name anybody: where, what it is called, and where its key is.
fn beside<'a>(
    whose: &'static str,
    [url, model, key_env]: [&'a Option<String>; 3],
    key_file: &'a Option<PathBuf>,
) -> Option<Beside<'a>> {
    let (url, model) = (url.as_deref()?, model.as_deref()?);
    Some(Beside { whose, url, model, key_env: key_env.as_deref(), key_file: key_file.as_ref() })
}

impl Limits {
    /// `run` within them; prices are those of who is asked.
    pub(super) fn hold(&self, run: Run, asked: Asked) -> Result<Run, Failure> {
        let Asked { agent, baseline, given: Given { judge, embedder, guard, moderation } } = asked;
        let mut budget = Budget::default();
        budget = self.max_calls.into_iter().fold(budget, Budget::calls);
        budget = self.max_tokens.into_iter().fold(budget, Budget::tokens);
        budget = self.max_money.into_iter().fold(budget, Budget::money);
        if let Some(price) = self.price {
            budget = budget.price_of(agent, price);
        }
        let others = [
            ("the judge", "--judge-price", judge, self.judge_price),
            ("the version in service", "--baseline-price", baseline, self.baseline_price),
            ("the embedder", "--embedder-price", embedder, self.embedder_price),
            ("the guard model", "--guard-price", guard, self.guard_price),
            ("the moderation", "--moderation-price", moderation, self.moderation_price),
        ];
        for (whom, option, who, price) in others {
            match (who, price) {
                (Some(who), Some(price)) => budget = budget.price_of(who, price),
                (Some(_), None) if self.max_money.is_some() => {
                    let why = format!("--max-money counts what {whom} costs, too; say it with {option}");
                    return Err(Failure::Misused(why));
                }
                _ => {}
            }
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
