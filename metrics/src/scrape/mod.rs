//! Metrics without a server that stores them: both sides' own `/metrics` pages, read once in an interval.

mod exposition;
mod kept;
mod matching;
mod target;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use exposition::{Exposed, Format};
use kept::{Bounds, Kept};
use matching::Matching;
use reqwest::header::ACCEPT;
pub use target::Target;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::Instrument as _;

use crate::{
    Error, Http, Measurement, Metric, MetricsSource, Missing, Selector, Window,
    prometheus::{Labels, Query, Sample, Span, Template, Unread, millis, millis_since_1970},
    query::Failure,
    telemetry,
};

/// How far ahead of the caller's clock a page's own times may be, in milliseconds.
const AHEAD: i64 = 60_000;

/// Reads the `/metrics` pages of both sides itself, for those without a Prometheus server, and answers from what
/// it has read as [`Prometheus`](crate::Prometheus) does: by the same queries, counted in the same way.
///
/// The caller says when: [`scrape`](Self::scrape) once in an interval, or [`run`](Self::run) beside the rollout.
/// A window should be several intervals long and is asked for after the scrape that follows its end. Pages may
/// be OpenMetrics 1.0 or the text format of Prometheus.
///
/// Only series that a query can select are kept, in memory, for [`retention`](Self::with_retention) and within
/// the bounds of [`with_series_limit`](Self::with_series_limit) and
/// [`with_sample_limit`](Self::with_sample_limit). Counters start from what the first scrape has shown, so begin
/// to scrape before the rollout does.
///
/// # What is not there
///
/// A selector is about the targets whose own labels it fits, if it names one of those, or else about those that
/// have shown such series or nothing yet. Each of them must have been scraped in the window, not longer than
/// [`staleness`](Self::with_staleness) before its end, and, unless it is new, not longer than
/// [`lookback`](Self::with_lookback) before its start. Otherwise nothing is counted of the others either:
///
/// * The scrape failed: [`Missing::SourceError`] with its failure.
/// * Nobody scraped: [`Missing::Stale`], or [`Missing::NoData`] if there has been no scrape at all.
/// * The window begins before what is kept: [`Missing::SourceError`].
///
/// ```
/// use tidegate_metrics::{Metric, Scrape, prometheus::Query, scrape::Target};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let errors = Query::proportion(
///     r#"http_requests_total{slot="{{slot}}",code=~"5.."}"#.parse()?,
///     r#"http_requests_total{slot="{{slot}}"}"#.parse()?,
/// );
/// let targets = [
///     Target::new("http://10.0.0.7:8080/metrics")?.with("slot", "candidate"),
///     Target::new("http://10.0.0.8:8080/metrics")?.with("slot", "stable"),
/// ];
/// let source = Scrape::new(reqwest::Client::new(), targets).with_query(Metric::errors(), errors)?;
/// assert_eq!(source.to_string(), "scrapes of 2 targets");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scrape {
    http: Http,
    targets: Vec<Arc<Target>>,
    queries: BTreeMap<Metric, Query>,
    /// Which names of metrics a query can select.
    names: Arc<Names>,
    lookback: Duration,
    staleness: Duration,
    kept: Mutex<Kept>,
}

/// A query that nothing can answer which was scraped. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{selector}` cannot be read off scrapes: {problem}")]
#[non_exhaustive]
pub struct Unscrapable {
    /// The selector.
    pub selector: String,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Clone, Debug, Default)]
struct Names {
    /// Whether the name of a metric depends on the side that is asked for.
    any: bool,
    known: Vec<Matching>,
}

impl Names {
    fn select(&self, name: &str) -> bool {
        self.any || self.known.iter().any(|matching| matching.matches_name(name))
    }
}

impl Scrape {
    /// Of these targets. It knows no metric yet.
    #[must_use]
    pub fn new(http: impl Into<Http>, targets: impl IntoIterator<Item = Target>) -> Self {
        let targets: Vec<_> = targets.into_iter().map(Arc::new).collect();
        let bounds = Bounds { retention: 3_600_000, samples: 2_000_000, series: 50_000 };
        Self {
            http: http.into(),
            kept: Mutex::new(Kept::new(targets.len(), bounds)),
            targets,
            queries: BTreeMap::new(),
            names: Arc::default(),
            lookback: Duration::from_secs(5 * 60),
            staleness: Duration::from_secs(2 * 60),
        }
    }

    /// Answers `metric` by `query`, from the next scrape on.
    ///
    /// # Errors
    ///
    /// Pages of text hold no native histograms, and a selector must be one.
    pub fn with_query(mut self, metric: Metric, query: Query) -> Result<Self, Unscrapable> {
        let names = Arc::make_mut(&mut self.names);
        for template in query.templates() {
            let unscrapable = |problem: String| Unscrapable { selector: template.to_string(), problem };
            if matches!(query, Query::NativeHistogram { .. }) {
                let problem = "pages of text hold no native histograms; ask for the classic buckets";
                return Err(unscrapable(problem.to_owned()));
            }
            let [one, other] = [filled(template, "x"), filled(template, "y")];
            let (one, other) = (one.map_err(unscrapable)?, other.map_err(unscrapable)?);
            names.any |= one.of_names() != other.of_names();
            names.known.push(one);
        }
        self.queries.insert(metric, query);
        Ok(self)
    }

    /// Answers each of these metrics by its query, as read from a file.
    ///
    /// # Errors
    ///
    /// As [`Self::with_query`].
    pub fn with_queries(
        self,
        queries: impl IntoIterator<Item = (Metric, Query)>,
    ) -> Result<Self, Unscrapable> {
        queries.into_iter().try_fold(self, |source, (metric, query)| source.with_query(metric, query))
    }

    /// Every metric that it knows, with its query.
    pub fn queries(&self) -> impl Iterator<Item = (&Metric, &Query)> {
        self.queries.iter()
    }

    /// How far before a window the scrape that it starts from may lie; default 5 minutes. At least a few
    /// intervals.
    #[must_use]
    pub const fn with_lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// How much older than the window's end its newest scrape may be; default 2 minutes. At least two
    /// intervals.
    #[must_use]
    pub const fn with_staleness(mut self, staleness: Duration) -> Self {
        self.staleness = staleness;
        self
    }

    /// How long scrapes are kept; default 1 hour. At least a window and the lookback.
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        self.lock().bounds().retention = i64::try_from(millis(retention)).unwrap_or(i64::MAX);
        self
    }

    /// How many samples are kept of all targets together, 16 bytes each; default 2 million. The oldest scrapes
    /// are forgotten for the newest.
    #[must_use]
    pub fn with_sample_limit(self, samples: usize) -> Self {
        self.lock().bounds().samples = samples;
        self
    }

    /// How many series are kept of all targets together; default 50,000. A scrape with more of them fails.
    #[must_use]
    pub fn with_series_limit(self, series: usize) -> Self {
        self.lock().bounds().series = series;
        self
    }

    /// Scrapes every target once, at the time `at`, which must be later than the last. Gives what went wrong with
    /// those that failed; that is kept as well, as a gap.
    ///
    /// If it is cancelled, targets that have not answered by then have no scrape at that time.
    pub async fn scrape(&self, at: SystemTime) -> Vec<Error> {
        let failed = tracing::field::Empty;
        let targets = self.targets.len();
        let span = tracing::debug_span!(
            "tidegate.source.scrape",
            tidegate.targets = targets,
            tidegate.failed = failed
        );
        let errors = self.scrape_all(at).instrument(span.clone()).await;
        span.record("tidegate.failed", errors.len());
        errors
    }

    async fn scrape_all(&self, at: SystemTime) -> Vec<Error> {
        let at = millis_since_1970(at);
        let series = self.lock().bounds().series;
        let mut pages = JoinSet::new();
        for (i, target) in self.targets.iter().enumerate() {
            let (http, target, names) = (self.http.clone(), Arc::clone(target), Arc::clone(&self.names));
            let page = async move { (i, page(&http, &target, &names, at, series).await) };
            pages.spawn(page.in_current_span());
        }
        let mut errors = Vec::new();
        while let Some(page) = pages.join_next().await {
            let (i, page) = page.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
            let error =
                |failure: Failure| failure.into_error(self.targets[i].to_string(), "metrics".to_owned());
            let page = page.map_err(error);
            let kept = page.as_ref().map_err(Missing::from).cloned();
            let kept = self.lock().add(i, at, kept);
            let failed = page.err().or_else(|| kept.err().map(|problem| error(Failure::malformed(problem))));
            if let Some(failed) = failed {
                tracing::warn!(target = %self.targets[i], error = %Missing::from(&failed), "a scrape failed");
                telemetry::scrape_failed();
                errors.push(failed);
            } else {
                telemetry::scraped();
            }
        }
        errors
    }

    /// Scrapes every target now and after each `interval`, until it is dropped. What fails is kept and traced.
    pub async fn run(&self, now: impl Fn() -> SystemTime + Send + Sync, every: Duration) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        // Two scrapes in a row would tell nothing that one does not.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.scrape(now()).await;
        }
    }

    /// What is missing of the targets that `matching` is about.
    fn gap(&self, kept: &Kept, matching: &Matching, span: Span) -> Option<Missing> {
        let (lookback, staleness) = (self.lookback_millis(), signed(self.staleness));
        self.targets
            .iter()
            .enumerate()
            .filter(|(i, target)| {
                matching.may_match(|label| target.label(label))
                    && (matching.names(|label| target.label(label).is_some())
                        || kept.has(*i, matching)
                        || !kept.has_answered(*i))
            })
            .find_map(|(i, _)| kept.gap(i, span, lookback, staleness))
    }

    fn lookback_millis(&self) -> i64 {
        signed(self.lookback)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole after each change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MetricsSource for Scrape {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let query = self
            .queries
            .get(metric)
            .ok_or_else(|| Error::unknown_metric(self.to_string(), metric, self.queries.keys()))?;
        let malformed =
            |problem: String| Failure::malformed(problem).into_error(self.to_string(), metric.to_string());
        let matchings = query
            .templates()
            .into_iter()
            .map(|template| {
                let text = template
                    .fill(selector, window)
                    .map_err(|unfilled| unfilled.into_error(self.to_string(), metric.to_string()))?;
                text.parse().map_err(malformed)
            })
            .collect::<Result<Vec<Matching>, _>>()?;
        let span = Span::from(window);
        let from = span.start.saturating_sub(self.lookback_millis());
        let kept = self.lock();
        if let Some(missing) = matchings.last().and_then(|matching| self.gap(&kept, matching, span)) {
            return Ok(missing.into());
        }
        let answers: Vec<_> =
            matchings.iter().map(|matching| kept.select(matching, from, span.end)).collect();
        let seen = kept.first_seen(from, |i| self.targets[i].id());
        drop(kept);
        match query.read(&answers, span, self.staleness, seen) {
            Ok(observation) => Ok(observation.into()),
            Err(Unread::Missing(missing)) => Ok(missing.into()),
            Err(Unread::Malformed(problem)) => Err(malformed(problem)),
        }
    }
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scrapes of {} targets", self.targets.len())
    }
}

/// What `template` selects of a side all of whose labels have this value.
fn filled(template: &Template, value: &str) -> Result<Matching, String> {
    let side = template.labels().fold(Selector::default(), |side, label| side.with(label, value));
    let any = Window::ending(SystemTime::UNIX_EPOCH + Duration::from_secs(1), Duration::from_secs(1));
    let window = any.ok_or("there is no such window")?;
    template.fill(&side, window).map_err(|unfilled| unfilled.to_string())?.parse()
}

/// The samples of a page that are to be kept, at most `most`.
async fn page(
    http: &Http,
    target: &Target,
    names: &Names,
    at: i64,
    most: usize,
) -> Result<Vec<(Labels, Sample)>, Failure> {
    let url = target.url();
    let answer =
        http.ask(|client| client.get(url.clone()).header(ACCEPT, Format::ACCEPT)).await?.successful()?;
    let format = Format::of(answer.content_type.as_deref()).map_err(Failure::malformed)?;
    let mut samples = BTreeMap::new();
    let take = |exposed: Exposed<'_>| {
        if !names.select(exposed.name) {
            return Ok(());
        }
        let sample = Sample { at: exposed.at.unwrap_or(at), value: exposed.value };
        if sample.at > at.saturating_add(AHEAD) {
            return Err("its time is more than a minute ahead".to_owned());
        }
        let labels = labelled(target, &exposed)?;
        if samples.len() >= most {
            return Err(format!(
                "it is one of more than {most} series; narrow the queries or raise the limit"
            ));
        }
        match samples.insert(labels, sample) {
            None => Ok(()),
            Some(_) => Err("the page has had this series before".to_owned()),
        }
    };
    format.read(&answer.body, take).map_err(|error| Failure::malformed(error.to_string()))?;
    Ok(samples.into_iter().collect())
}

/// The labels of a series, with those of its target.
fn labelled(target: &Target, exposed: &Exposed<'_>) -> Result<Labels, String> {
    let mut pairs: Vec<(String, String)> = vec![(Labels::NAME.to_owned(), exposed.name.to_owned())];
    pairs.extend(target.labels().map(|(label, value)| (label.to_owned(), value.to_owned())));
    for (label, value) in exposed.labels.iter().filter(|(_, value)| !value.is_empty()) {
        let label =
            if target.label(label).is_some() { format!("exported_{label}") } else { (*label).to_owned() };
        pairs.push((label, value.to_string()));
    }
    Labels::new(&mut pairs)
}

fn signed(duration: Duration) -> i64 {
    i64::try_from(millis(duration)).unwrap_or(i64::MAX)
}
