//! What is sent where, how often, and what must hold; and sending it.

use std::{num::NonZeroUsize, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::{Client, Url, redirect::Policy};
use serde_json::json;
use tidegate::{
    registry::Digest,
    validation::{
        Agent, Finding, OpenAi, Retry, Run, Sampling, TokenLimit, checks,
        load::{
            Abort, Arrivals, Destination, Limit, Measured, Plain, Plan, Prompts, Quantity, Stage, Target,
            drive,
        },
    },
};
use tokio::{runtime::Builder, sync::oneshot};

use super::live::Live;
use crate::{Session, arguments::span, failure::Failure, secret};

#[derive(Clone, Debug, Args)]
pub(crate) struct Sending {
    /// Where the model is served, up to and including /v1: an OpenAI-compatible API; several take turns
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// The name of the model there
    #[arg(long, value_name = "NAME", default_value = "default")]
    model: String,
    /// Ask this; several take turns [default: a question about the capital of France]
    #[arg(long = "prompt", value_name = "TEXT", conflicts_with = "plain")]
    prompts: Vec<String>,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_tokens: u32,
    /// Say the longest answer in the field max_completion_tokens, not max_tokens
    #[arg(long)]
    max_completion_tokens: bool,
    /// The environment variable that holds the key of the API
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// Send a plain GET to the URL itself, which need be no model
    #[arg(long)]
    plain: bool,
    /// With --plain: POST this JSON instead
    #[arg(long, value_name = "JSON", requires = "plain")]
    body: Option<String>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    rate: f64,
    /// How long it is measured
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span)]
    duration: Duration,
    /// A rate for a time, in place of --rate and --duration; several follow each other: 5:1m, or 1..20:2m for a ramp
    #[arg(long = "stage", value_name = "RATE:TIME", value_parser = stage, conflicts_with_all = ["rate", "duration"])]
    stages: Vec<Stage>,
    /// At equal distances, not by chance
    #[arg(long)]
    constant: bool,
    /// Send so long before, at the first rate, without measuring
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    warmup: Duration,
    /// So many under way at once; what is due beyond that is dropped and counted
    #[arg(long, value_name = "N", default_value = "1024")]
    in_flight: NonZeroUsize,
    /// The longest that a quantile may be: p99=8s of the latency, or ttft.p95=500ms, itl.p95=…, tpot.p95=…
    /// [default: p95=5s and p99=10s]
    #[arg(long = "limit", value_name = "QUANTILE=TIME", value_parser = limit)]
    limits: Vec<Limit>,
    /// The greatest share of requests that may fail
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    max_errors: f64,
    /// The least share of requests that must be answered within all limits
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    goodput: f64,
    /// Stop once more than this share of the last 100 requests failed
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    abort_errors: f64,
    /// Stop once more than one of the last 100 requests took longer
    #[arg(long, value_name = "TIME", value_parser = span)]
    abort_p99: Option<Duration>,
    /// How long a request may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    timeout: Duration,
    /// A host besides this machine that may be sent load: it is yours, and its owners know
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
    /// Decides what is left to chance, so that a load can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
}

/// What came of a load.
pub(crate) struct Driven {
    pub(crate) measured: Measured,
    pub(crate) finding: Finding,
    /// Of all that decides what is sent and what must hold.
    pub(crate) settings: Digest,
    /// Where it was sent.
    pub(crate) host: String,
    /// The paths of the URLs there, in their order.
    pub(crate) paths: Vec<String>,
}

/// Whom it is sent to.
enum Receivers {
    Agents(Vec<OpenAi>),
    Plain(Vec<Plain>),
}

impl Sending {
    /// Sends it all, and shows how it goes.
    pub(crate) async fn drive(self, session: &Session) -> Result<Driven> {
        let check = self.check();
        if let Some(problem) = check.problem() {
            return Err(Failure::Misused(problem).into());
        }
        let mut destinations = Vec::new();
        for url in &self.urls {
            let found = check.destinations().find(url).await;
            destinations.push(found.map_err(|forbidden| misused(&forbidden))?);
        }
        let receivers = self.receivers(&destinations)?;
        let urls = self.urls.iter().map(|url| Url::parse(url)).collect::<Result<Vec<_>, _>>()?;
        let paths = urls.iter().map(|url| url.path().to_owned()).collect();
        let live = Live::new(&check.plan(self.seed), !session.json);
        let (settings, seed, timeout) = (self.settings(&check, &urls), self.seed, self.timeout);
        let measured = alone(move || {
            let mut live = live;
            let check = check;
            async move {
                let requests = check.requests(seed);
                let run = Run::new(seed).deadline(Duration::MAX).call_timeout(timeout);
                let plan = check.plan(seed);
                let measured = match &receivers {
                    Receivers::Plain(plain) => measure(&plan, plain, &mut live).await,
                    Receivers::Agents(agents) => {
                        let prompts: Vec<_> = agents
                            .iter()
                            .map(|agent| Prompts::new("load", agent as &dyn Agent, &requests, &run))
                            .collect();
                        measure(&plan, &prompts, &mut live).await
                    }
                };
                live.end();
                (check.judge(&measured), measured)
            }
        });
        let (finding, measured) = measured.await?;
        let here = destinations.iter().all(Destination::is_here);
        let hosts: Vec<_> = destinations.into_iter().map(|destination| destination.host).collect();
        let host = if here { "this machine".to_owned() } else { hosts.join(", ") };
        Ok(Driven { measured, finding, settings, host, paths })
    }

    fn check(&self) -> checks::Load {
        let defaults = checks::Load::default();
        let prompts = match self.prompts.is_empty() {
            true => vec!["What is the capital of France?".to_owned()],
            false => self.prompts.clone(),
        };
        checks::Load {
            prompts,
            arrivals: if self.constant { Arrivals::Constant } else { Arrivals::Poisson },
            rate: self.rate,
            duration: self.duration,
            stages: self.stages.clone(),
            warmup: self.warmup,
            in_flight: self.in_flight,
            limits: if self.limits.is_empty() { defaults.limits } else { self.limits.clone() },
            max_errors: self.max_errors,
            goodput: self.goodput,
            abort: Abort { errors: Some(self.abort_errors), p99: self.abort_p99 },
            allow_hosts: self.allow_hosts.iter().cloned().collect(),
            request: Sampling { max_tokens: self.max_tokens, ..Sampling::default() },
            ..checks::Load::default()
        }
    }

    /// What two loads must have in common to be compared.
    fn settings(&self, check: &checks::Load, urls: &[Url]) -> Digest {
        // Where the paths are on hosts that may differ; what follows a `?` may be a key, and is shown nowhere else.
        let paths: Vec<_> = urls.iter().map(|url| (url.path(), url.query())).collect();
        let settings = json!({
            "load": check,
            "paths": paths,
            "plain": self.plain,
            "body": self.body,
            "timeout": self.timeout.as_secs_f64(),
        });
        Digest::of(settings.to_string())
    }

    fn receivers(&self, destinations: &[Destination]) -> Result<Receivers> {
        if self.plain {
            let plain = destinations.iter().map(|destination| {
                let plain = Plain::get(destination)?.timeout(self.timeout);
                Ok(match &self.body {
                    Some(body) => plain.post(body.clone()),
                    None => plain,
                })
            });
            return Ok(Receivers::Plain(plain.collect::<Result<_>>()?));
        }
        let key = secret::key("api", self.api_key_env.as_deref(), None)?;
        let agents = self.urls.iter().zip(destinations).map(|(url, destination)| {
            let mut agent = OpenAi::new(client(url, destination)?, url, self.model.as_str())?;
            if let Some(key) = &key {
                agent = agent.bearer(key.as_str())?;
            }
            if self.max_completion_tokens {
                agent = agent.token_limit(TokenLimit::MaxCompletionTokens);
            }
            // What is tried again is another request than the one that was due.
            Ok(agent.streaming().retry(Retry { retries: 0, ..Retry::default() }))
        });
        Ok(Receivers::Agents(agents.collect::<Result<_>>()?))
    }
}

async fn measure(plan: &Plan, target: &dyn Target, live: &mut Live) -> Measured {
    drive(plan, target, Duration::MAX, &mut |picture| live.show(picture)).await
}

/// A client that is led nowhere but to the addresses that were found.
pub(crate) fn client(url: &str, destination: &Destination) -> Result<Client> {
    let url = Url::parse(url)?;
    // As the URL has it, which may end in a dot.
    let host = url.host_str().unwrap_or(&destination.host);
    Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(Policy::none())
        .no_proxy()
        .resolve_to_addrs(host, &destination.addresses)
        .build()
        .context("cannot set up HTTP; are the system's certificates readable?")
}

/// Does `work` on a thread of its own, where nothing else delays it. It ends when nobody waits for it.
async fn alone<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (_waiting, gone) = oneshot::channel::<()>();
    let done = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a thread")?;
        runtime.block_on(async {
            tokio::select! {
                done = work() => Ok(done),
                _ = gone => Err(Failure::Interrupted.into()),
            }
        })
    });
    done.await?
}

pub(crate) fn misused(error: &dyn std::error::Error) -> Failure {
    Failure::Misused(error.to_string().replace("`allow_hosts`", "--allow-host"))
}

/// `p99=8s`, `ttft.p95=500ms`.
fn limit(text: &str) -> Result<Limit, String> {
    let hint = "write a quantile and a time, for example p99=8s, or ttft.p95=500ms";
    let (what, max) = text.split_once('=').ok_or(hint)?;
    let (of, quantile) =
        what.split_once('.').filter(|(of, _)| !of.starts_with('p')).unwrap_or(("latency", what));
    let of = Quantity::ALL.into_iter().find(|quantity| quantity.word() == of);
    let of = of.ok_or("there are limits of latency, ttft, itl and tpot")?;
    let percent = quantile.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok()).ok_or(hint)?;

    let quantile = percent / 100.0;
    Ok(Limit { of, quantile, max: span(max)? })
}

/// `5:1m`, `1..20:2m`.
fn stage(text: &str) -> Result<Stage, String> {
    let hint = "write requests a second and a time, for example 5:1m, or 1..20:2m for a ramp";
    let (rates, duration) = text.split_once(':').ok_or(hint)?;
    let (rate, to) = match rates.split_once("..") {
        Some((rate, to)) => (rate, Some(to)),
        None => (rates, None),
    };
    let rate = rate.parse().map_err(|_| hint)?;
    let to = to.map(str::parse).transpose().map_err(|_| hint)?;
    Ok(Stage { rate, to, duration: span(duration)? })
}
