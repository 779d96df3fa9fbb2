//! A catalogue for LLM serving: what a metric is called at each server, and which statistic is right for it.
//!
//! A plan says `ttft`; [`queries`] says how a server is asked for it, and [`criterion`] how it is judged.
//!
//! ```
//! use tidegate_metrics::{Criterion, Metric, Prometheus, Rule, llm};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Every metric that vLLM has, for the pods of one version.
//! let source = Prometheus::new(reqwest::Client::new(), "http://localhost:9090")?
//!     .with_queries(llm::queries(llm::Server::Vllm, r#"version="{{version}}""#)?);
//! let criterion = llm::criterion_at(llm::Server::Vllm, llm::TTFT).expect("vLLM has time to first token");
//! assert!(matches!(criterion.rule, Rule::Compare(_)));
//! # Ok(())
//! # }
//! ```
//!
//! | metric | what | statistic |
//! |---|---|---|
//! | [`TTFT`] | time to first token, seconds | odds of exceeding edges near the baseline's quantiles |
//! | [`TPOT`] | time per output token of a request, seconds | the same; the mean where a server has no histogram |
//! | [`LATENCY`] | whole requests, seconds | the same |
//! | [`QUEUE_TIME`] | time before a request is begun, seconds | the same |
//! | [`QUEUE`], [`RUNNING`], [`KV_CACHE`] | waiting and running requests; how full the cache is, 0 to 1 | readings: k of n windows, a heuristic |
//! | [`OUTPUT_TOKENS`] | tokens of an answer | mean; cheaper and shorter are not the same |
//! | [`ERRORS`], [`ABORTS`], [`REFUSALS`], [`GUARDRAIL_HITS`], [`TOOL_FAILURES`], [`TRUNCATED`] | shares of requests | odds ratio of counts |
//! | [`COST`] | of a request, in the currency of the source | mean |
//!
//! Throughput in tokens per second is left out on purpose: it says how much was asked, not how well it was
//! answered. Judge [`TPOT`].
//!
//! # What servers do not say
//!
//! * **Refusals** in the text of a good answer are on no server's page. Count them where answers are read, and
//!   name the counter in a query of your own.
//! * **Errors** of vLLM and SGLang are those of their HTTP servers. An error in the middle of a stream has the
//!   status 200 there, and clients that gave up are counted nowhere at vLLM: its latencies are those of the
//!   requests that were finished.
//! * **Guardrail hits** come from NeMo Guardrails, **cost** from Kong (LiteLLM counts spending and requests under
//!   different labels, so that the two cannot be told to be of one process), **tool-call failures** from the
//!   instrumentation of an agent (`gen_ai.execute_tool`).
//! * **Ollama** (up to 0.33) has no page of metrics at all; its answers have timings, see [`OllamaTimings`].
//! * Tokens of one answer are not independent of each other, so time per token is that of requests where a server
//!   has it, and a distribution over tokens only where it has not.

mod catalogue;
mod ollama;

use catalogue::{Entry, Shape};
pub use ollama::OllamaTimings;

use crate::{
    Better, Comparison, Criterion, MeanComparison, Metric, Rule,
    prometheus::{Aggregate, Query},
    query::InvalidTemplate,
};

/// The share of requests that the client gave up.
pub const ABORTS: &str = "aborts";
/// What a request costs, in the currency of the source.
pub const COST: &str = "cost";
/// The share of requests that failed.
pub const ERRORS: &str = Metric::ERRORS;
/// The share of requests that a guardrail stopped.
pub const GUARDRAIL_HITS: &str = "guardrail_hits";
/// How full the cache of keys and values is, from 0 to 1.
pub const KV_CACHE: &str = "kv_cache";
/// How long whole requests took, in seconds.
pub const LATENCY: &str = Metric::LATENCY;
/// How long whole requests took, in milliseconds, at servers that say it so.
pub const LATENCY_MS: &str = "latency_ms";
/// How long whole requests took, in microseconds, at servers that say it so.
pub const LATENCY_US: &str = "latency_us";
/// Tokens of an answer.
pub const OUTPUT_TOKENS: &str = "output_tokens";
/// Tokens of a prompt.
pub const PROMPT_TOKENS: &str = "prompt_tokens";
/// Requests that wait.
pub const QUEUE: &str = "queue";
/// How long requests waited before they were begun, in seconds.
pub const QUEUE_TIME: &str = "queue_time";
/// How long requests waited before they were begun, in microseconds, at servers that say it so.
pub const QUEUE_TIME_US: &str = "queue_time_us";
/// The share of requests that the model refused.
pub const REFUSALS: &str = "refusals";
/// Requests that are being answered.
pub const RUNNING: &str = "running";
/// The share of tool calls that failed.
pub const TOOL_FAILURES: &str = "tool_failures";
/// Time per output token after the first, in seconds.
pub const TPOT: &str = "tpot";
/// The share of answers that ended at their longest length.
pub const TRUNCATED: &str = "truncated";
/// Time to the first token, in seconds.
pub const TTFT: &str = Metric::TTFT;

/// A kind of server, by what its page of metrics looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Server {
    /// Envoy AI Gateway 1.1.
    EnvoyAi,
    /// Kong 3.10 with `ai_metrics`.
    Kong,
    /// The proxy of LiteLLM 1.110.
    LiteLlm,
    /// The server of llama.cpp, started with `--metrics`.
    LlamaCpp,
    /// NeMo Guardrails 0.24, by the Prometheus exporter of OpenTelemetry.
    NemoGuardrails,
    /// Ollama, which has no page of metrics: there are no queries.
    Ollama,
    /// Anything instrumented by the `gen_ai` conventions of OpenTelemetry 1.41, by a Prometheus exporter.
    OpenTelemetry,
    /// SGLang 0.5, started with `--enable-metrics`.
    SgLang,
    /// Text Generation Inference 3.
    Tgi,
    /// NVIDIA Triton, its core metrics: latencies are sums.
    Triton,
    /// NVIDIA Triton with its vLLM backend, which reports under other names and edges than vLLM itself.
    TritonVllm,
    /// vLLM 0.11 and later.
    Vllm,
    /// vLLM before 0.11.
    VllmBefore011,
}

impl Server {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::EnvoyAi,
        Self::Kong,
        Self::LiteLlm,
        Self::LlamaCpp,
        Self::NemoGuardrails,
        Self::Ollama,
        Self::OpenTelemetry,
        Self::SgLang,
        Self::Tgi,
        Self::Triton,
        Self::TritonVllm,
        Self::Vllm,
        Self::VllmBefore011,
    ];

    /// Its name in plans and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EnvoyAi => "envoy-ai",
            Self::Kong => "kong",
            Self::LiteLlm => "litellm",
            Self::LlamaCpp => "llama.cpp",
            Self::NemoGuardrails => "nemo-guardrails",
            Self::Ollama => "ollama",
            Self::OpenTelemetry => "opentelemetry",
            Self::SgLang => "sglang",
            Self::Tgi => "tgi",
            Self::Triton => "triton",
            Self::TritonVllm => "triton-vllm",
            Self::Vllm => "vllm",
            Self::VllmBefore011 => "vllm-before-0.11",
        }
    }
}

/// The queries for every metric that `server` has. `matchers` is what tells one side from the other, as PromQL
/// writes it between braces: `version="{{version}}"`, `namespace="ml",pod=~"{{slot}}-.*"`.
///
/// # Errors
///
/// `matchers` is no list of matchers with a gap in it.
pub fn queries(server: Server, matchers: &str) -> Result<Vec<(Metric, Query)>, InvalidTemplate> {
    catalogue::of(server)
        .iter()
        .map(|entry| Ok((Metric::new(entry.metric), entry.query(matchers)?)))
        .collect()
}

/// How `metric` of this catalogue is judged by default: compared with the baseline over the same windows, since no
/// fixed limit suits every model. `None` for gauges, which need a bound ([`Rule::Readings`]), and for metrics that
/// are not in it. Some servers have sums where others have histograms: [`criterion_at`] knows.
#[must_use]
pub fn criterion(metric: &str) -> Option<Criterion> {
    let rule = match metric {
        LATENCY_MS | ABORTS | ERRORS | GUARDRAIL_HITS | REFUSALS | TOOL_FAILURES | TRUNCATED | LATENCY
        | QUEUE_TIME | TPOT | TTFT => Rule::Compare(Comparison::default()),
        COST | LATENCY_US | OUTPUT_TOKENS | PROMPT_TOKENS | QUEUE_TIME_US => {
            Rule::CompareMeans(MeanComparison { better: Better::Lower, ..MeanComparison::default() })
        }
        _ => return None,
    };
    Some(Criterion::new(Metric::new(metric), rule))
}

/// How `metric` of `server` is judged by default: as [`criterion`] says, but by its mean where that server has no
/// more than sums.
#[must_use]
pub fn criterion_at(server: Server, metric: &str) -> Option<Criterion> {
    let entry = catalogue::of(server).iter().find(|entry| entry.metric == metric)?;
    let criterion = criterion(metric)?;
    Some(match entry.shape {
        Shape::Total { .. } => {
            Criterion::new(Metric::new(metric), Rule::CompareMeans(MeanComparison::default()))
        }
        _ => criterion,
    })
}

impl Entry {
    fn query(&self, matchers: &str) -> Result<Query, InvalidTemplate> {
        let select = |series: &str| {
            let (name, own) =
                series.split_once('{').map_or((series, ""), |(name, own)| (name, own.trim_end_matches('}')));
            let comma = if own.is_empty() { "" } else { "," };
            format!("{name}{{{matchers}{comma}{own}}}").parse()
        };
        Ok(match self.shape {
            Shape::Gauge { series, aggregate } => match aggregate {
                None => Query::gauge(select(series)?),
                Some(aggregate) => Query::gauges(select(series)?, aggregate),
            },
            Shape::Histogram { buckets } => Query::histogram(select(buckets)?),
            Shape::Proportion { hits, trials } => Query::proportion(select(hits)?, select(trials)?),
            Shape::Total { sum, count } => Query::total(select(sum)?, select(count)?),
        })
    }
}

/// What several ranks or replicas of one side are together.
const TOGETHER: Option<Aggregate> = Some(Aggregate::Sum);
