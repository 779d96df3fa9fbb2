//! What was observed of a model in service, and what it means.
//!
//! A [`MetricsSource`] answers what a [`Metric`] was in one closed [`Window`] for one side of a rollout:
//! counts where there can be counts, and a reason where there is nothing. [`Evidence`] keeps those answers.
//! [`judge`] says what they mean for a [`Criterion`]: [`Pass`](Verdict::Pass), [`Fail`](Verdict::Fail), or
//! [`Inconclusive`](Verdict::Inconclusive) so far. Asking is asynchronous and may fail; judging is a pure
//! function.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use tidegate_metrics::{
//!     Criterion, Evidence, Metric, MetricsSource, Observation, Recorded, Selector, Verdict, Window, judge,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let candidate = Selector::default().with("version", "1.5.0");
//! let baseline = Selector::default().with("version", "1.4.0");
//! let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//!
//! // Somebody observes: here the program itself, elsewhere `Prometheus`.
//! let source = Recorded::new();
//! for minute in 0..5 {
//!     let at = noon + Duration::from_secs(60 * minute + 30);
//!     source.record(&Metric::errors(), &candidate, at, Observation::proportion(3, 80).unwrap())?;
//!     source.record(&Metric::errors(), &baseline, at, Observation::proportion(5, 720).unwrap())?;
//! }
//!
//! // No more errors than the version in service, looked at after every minute.
//! let criterion = Criterion::compare(Metric::errors());
//! let mut evidence = Evidence::new();
//! let mut judgement = judge(&criterion, &evidence);
//! for minute in 0..5 {
//!     let start = noon + Duration::from_secs(60 * minute);
//!     let window = Window::new(start, start + Duration::from_secs(60)).expect("a minute starts before it ends");
//!     let of_candidate = source.observe(&criterion.metric, &candidate, window).await?;
//!     let of_baseline = source.observe(&criterion.metric, &baseline, window).await?;
//!     evidence.add(window, of_candidate, Some(of_baseline));
//!     judgement = judge(&criterion, &evidence);
//!     if judgement.verdict != Verdict::Inconclusive {
//!         break;
//!     }
//! }
//! assert_eq!(judgement.verdict, Verdict::Fail);
//! let line = "errors 6 of 160 against 10 of 1440, odds ratio 5.57 (1.03 to 24.3): evidence for worse 22.4, needs 20: fail";
//! assert_eq!(judgement.to_string(), line);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Why it may be looked at often
//!
//! A test at 5 % that is repeated after every window calls a third of identical versions worse, since chance
//! gets a new try at every look. Here evidence is a bet against the hypothesis that all is well: it starts
//! with a capital of 1, each window multiplies it by a likelihood ratio, and while the hypothesis holds no
//! window is expected to multiply it by more than 1. By Ville's inequality the chance that such a capital
//! *ever* reaches 1/α is at most α, at however many looks and whatever decides when to look. So a rollout may
//! stop at the first look that suffices, and evidence that has once sufficed suffices for good.
//!
//! * [`Rule::Compare`]: in each window, given the requests of both sides and their errors together, the
//!   number of errors that fell to the candidate follows Fisher's noncentral hypergeometric distribution of
//!   the odds ratio alone. Drift, spikes and changes of the split move both sides or neither, and cannot be
//!   mistaken for a worse version. By [`Stratified`] strata, neither can another mix of routes or tenants.
//! * [`Rule::Limit`]: Bernoulli trials against a fixed rate; a quantile is a rate of values beyond the bound.
//! * [`Rule::CompareScores`], [`Rule::CompareMeans`]: confidence sequences of both means, for scores between two
//!   bounds and, asymptotically, for values without.
//! * [`Rule::CompareRanks`] may **not**: it decides at its declared looks and is silent in between.
//!
//! # Latency
//!
//! A mean hides the tail, and a percentile read off a histogram is no count of anything. [`Rule::Compare`] counts
//! the requests beyond a few edges near the baseline's quantiles, from the median to the 99th percentile. Each edge
//! is a comparison of its own, and the average of their evidence is evidence again, whatever the edges have to do
//! with each other. A pass needs it at every edge.
//!
//! # Bursts
//!
//! All this takes requests for independent. Errors that come in bursts (one client that retries, one poisoned
//! session) are not, and then a failure is reported more often than α: of versions that are the same, 46 % in the
//! simulation of bursts that this crate is tested with. Three ways out:
//!
//! * [`Method::Symmetric`] with a baseline of the candidate's size: exact for bursts of any kind, and twice as slow.
//! * [`calibrate()`] on the history of a service, in which both sides were the same version: it says which rate of
//!   false alarms is really reached, and by which [`dispersion`](Comparison::dispersion) to judge.
//! * Counting sessions or clients in place of requests.
//!
//! Before a rollout, [`plan()`] says how many windows and requests a regression takes to be seen.
//!
//! J. Ville, *Étude critique de la notion de collectif*, 1939. A. Ramdas, P. Grünwald, V. Vovk, G. Shafer,
//! *Game-theoretic statistics and safe anytime-valid inference*, Statistical Science 38(4), 2023. R. A.
//! Fisher, *The logic of inductive inference*, Journal of the Royal Statistical Society 98(1), 1935.
//!
//! # Nothing seen is not nothing wrong
//!
//! A source that cannot be asked, an empty answer, `NaN`, a value too old: each is a [`Missing`] and carries
//! no evidence. While the newest window is missing nothing passes, unless [`OnMissing`] says otherwise in so
//! many words.
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | asking | [`MetricsSource`], [`Metric`], [`Selector`], [`Window`], [`Error`] |
//! | answers | [`Measurement`], [`Observation`], [`Missing`] |
//! | judging | [`Criterion`], [`Evidence`], [`judge()`], [`Judge`], [`Judgement`], [`Verdict`] |
//! | rules | [`Rule`], with a table of which is for what |
//! | before and beside | [`plan()`], [`calibrate()`], [`statistics`] with the router's honesty, [`trajectory()`], `plot` |
//! | sources in the program | [`Recorded`], [`Stratified`] |
//! | sources over HTTP, each with its feature | `Prometheus`, `Scrape`, `CloudWatch`, `Datadog`, `Dynatrace`, `Elasticsearch`, `Graphite`, `InfluxDb`, `InfluxDb3`, `JsonApi`, `NewRelic` |
//! | LLM servers | `llm`: what a metric is called at each, and the right statistic (feature `prometheus`) |
//! | for tests | `testkit` with the feature `testkit`: conformance suite, `Flaky`, `Traffic`, a mock |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod calibration;
mod chance;
#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(feature = "datadog")]
pub mod datadog;
#[cfg(feature = "dynatrace")]
pub mod dynatrace;
#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
mod error;
mod forecast;
#[cfg(feature = "graphite")]
pub mod graphite;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "influxdb")]
pub mod influxdb;
#[cfg(feature = "json")]
pub mod json;
mod judge;
#[cfg(feature = "prometheus")]
pub mod llm;
#[cfg(feature = "newrelic")]
pub mod newrelic;
mod observation;
#[cfg(feature = "plot")]
pub mod plot;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "http")]
pub mod query;
mod recorded;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(feature = "scrape")]
pub mod scrape;
mod source;
pub mod statistics;
mod stratified;
#[cfg(any(feature = "http", feature = "telemetry"))]
mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod verdict;
mod window;

pub use calibration::{Calibration, CannotCalibrate, Dispersion, FalseAlarms, calibrate};
#[cfg(feature = "cloudwatch")]
pub use cloudwatch::CloudWatch;
#[cfg(feature = "datadog")]
pub use datadog::Datadog;
#[cfg(feature = "dynatrace")]
pub use dynatrace::Dynatrace;
#[cfg(feature = "elasticsearch")]
pub use elasticsearch::Elasticsearch;
pub use error::{BoxError, Error};
pub use forecast::{Decided, Forecast, InvalidScenario, Outlook, Scenario, Simulation, plan};
#[cfg(feature = "graphite")]
pub use graphite::Graphite;
#[cfg(feature = "http")]
pub use http::{Exchange, Http, InvalidBaseUrl};
#[cfg(feature = "influxdb")]
pub use influxdb::{InfluxDb, InfluxDb3};
#[cfg(feature = "json")]
pub use json::JsonApi;
pub use judge::{
    Better, Bound, Boundary, BurnRate, Comparison, Criterion, Effect, Evidence, Importance, InvalidCriterion,
    Judge, Judgement, Limit, MeanComparison, Measure, Method, OnMissing, Pair, Point, RankComparison,
    Reading, Readings, Rule, ScoreComparison, Statistic, Strength, Table, Tally, judge, trajectory,
};
#[cfg(feature = "newrelic")]
pub use newrelic::NewRelic;
pub use observation::{Measurement, Missing, Observation, ShapeMismatch};
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;
pub use recorded::Recorded;
#[cfg(feature = "scrape")]
pub use scrape::Scrape;
pub use source::{Metric, MetricsSource, Selector};
pub use stratified::Stratified;
#[cfg(feature = "telemetry")]
pub use telemetry::describe_metrics;
pub use verdict::Verdict;
pub use window::Window;
