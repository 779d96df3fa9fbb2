//! Counters, gauges and histograms of a Prometheus server, or of anything that speaks its HTTP API.

mod answer;
mod canonical;
mod classic;
mod counter;
mod gauge;
mod native;
mod query;
mod series;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use answer::NoAnswer;
use async_trait::async_trait;
pub(crate) use counter::{FirstSeen, Span};
pub use gauge::Aggregate;
pub use native::Edges;
pub use query::Query;
pub(crate) use query::Unread;
use reqwest::StatusCode;
pub(crate) use series::Series;
#[cfg(feature = "scrape")]
pub(crate) use {
    canonical::number,
    series::{Labels, Sample},
};

use crate::{
    Error, Http, InvalidBaseUrl, Measurement, Metric, MetricsSource, Missing, Selector, Window,
    http::BaseUrl,
    query::{Failure, PromQl},
};

/// A series selector of PromQL with gaps for labels.
pub type Template = crate::query::Template<PromQl>;

/// Asks a Prometheus server, over a client that the caller has configured (TLS, credentials, proxy). Basic
/// authentication may also stand in the URL.
///
/// For each window it asks for the **raw samples** of the counters, with their true times, and counts from
/// those: whole numbers, restarts recognised, and consecutive windows that neither lose nor double a request.
/// Which sample belongs where: growth in `(start, end]` runs from a series' last sample up to `start` to its
/// last up to `end`; to find the former, the question reaches back [`lookback`](Self::with_lookback) further.
/// Growth is summed over all series that the template selects. A series born in the window rose from zero if
/// its `job` and `instance` had been scraped before, otherwise from its first sample.
///
/// Ask for a window once its last scrape has been stored: a scrape timeout (10 s by default) after its end.
///
/// * Nothing selected, or no growth: [`Missing::NoData`].
/// * Newest sample older than the window or than [`staleness`](Self::with_staleness): [`Missing::Stale`].
/// * `NaN`: [`Missing::NotANumber`]. An infinite gauge or sum: [`Missing::Infinite`]; a counter that is infinite
///   is no number either.
/// * An answer with warnings is partial: [`Missing::SourceError`].
///
/// ```
/// use tidegate_metrics::{Metric, Prometheus, prometheus::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let errors = Query::proportion(
///     r#"http_requests_total{version="{{version}}",code=~"5.."}"#.parse()?,
///     r#"http_requests_total{version="{{version}}"}"#.parse()?,
/// );
/// let latency = Query::histogram(r#"http_request_seconds_bucket{version="{{version}}"}"#.parse()?);
/// let source = Prometheus::new(reqwest::Client::new(), "http://localhost:9090")?
///     .with_query(Metric::errors(), errors)
///     .with_query(Metric::latency(), latency);
/// assert_eq!(source.to_string(), "Prometheus at http://localhost:9090/");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Prometheus {
    http: Http,
    url: BaseUrl,
    queries: BTreeMap<Metric, Query>,
    lookback: Duration,
    staleness: Duration,
}

impl Prometheus {
    /// The server at `base_url`, which may have a path that its API lies under. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`. It is not repeated in the error, since it may hold a
    /// password.
    pub fn new(http: impl Into<Http>, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        Ok(Self {
            http: http.into(),
            url: BaseUrl::parse(base_url, "Prometheus", "http://localhost:9090")?,
            queries: BTreeMap::new(),
            lookback: Duration::from_secs(5 * 60),
            staleness: Duration::from_secs(2 * 60),
        })
    }

    /// Answers `metric` by `query`.
    #[must_use]
    pub fn with_query(mut self, metric: Metric, query: Query) -> Self {
        self.queries.insert(metric, query);
        self
    }

    /// Answers each of these metrics by its query, as read from a file.
    #[must_use]
    pub fn with_queries(mut self, queries: impl IntoIterator<Item = (Metric, Query)>) -> Self {
        self.queries.extend(queries);
        self
    }

    /// Every metric that it knows, with its query.
    pub fn queries(&self) -> impl Iterator<Item = (&Metric, &Query)> {
        self.queries.iter()
    }

    /// How far before a window the sample that it starts from may lie; default 5 minutes. At least a few
    /// scrapes.
    #[must_use]
    pub const fn with_lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// How much older than the window's end the newest sample may be; default 2 minutes. At least two
    /// scrapes.
    #[must_use]
    pub const fn with_staleness(mut self, staleness: Duration) -> Self {
        self.staleness = staleness;
        self
    }

    async fn series(&self, selector: &str, span: Span) -> Result<Vec<Series>, Failure> {
        let range = (span.end - span.start).saturating_add_unsigned(millis(self.lookback));
        let url = self.url.join(["api", "v1", "query"]);
        let form = [
            ("query", format!("{selector}[{range}ms]")),
            ("time", format!("{}.{:03}", span.end / 1000, span.end % 1000)),
            ("timeout", format!("{}ms", millis(self.http.timeout()))),
        ];
        let answer = self.http.ask(|client| client.post(url.clone()).form(&form)).await?;
        match answer::parse(&answer.body) {
            Err(partial @ NoAnswer::Partial(_)) => Err(Failure::Partial(partial.to_string())),
            Err(refused @ NoAnswer::Refused { .. }) => Err(Failure::by_status(answer.status, refused.into())),
            parsed if answer.status == StatusCode::OK => {
                parsed.map_err(|error| Failure::Malformed(error.into()))
            }
            _ => answer.successful().and(Ok(Vec::new())),
        }
    }
}

#[async_trait]
impl MetricsSource for Prometheus {
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
        let questions: Vec<_> = query
            .templates()
            .into_iter()
            .map(|template| template.fill(selector, window))
            .collect::<Result<_, _>>()
            .map_err(|unfilled| unfilled.into_error(self.to_string(), metric.to_string()))?;
        let span = Span::from(window);
        let mut answers = Vec::new();
        // One after the other: hits first, so that a scrape that arrives in between can only add trials.
        for question in questions {
            match self.series(&question, span).await {
                Ok(series) => answers.push(series),
                Err(Failure::Partial(cause)) => {
                    return Ok(Missing::SourceError { cause, retryable: true }.into());
                }
                Err(failure) => return Err(failure.into_error(self.to_string(), metric.to_string())),
            }
        }
        tracing::debug!(%metric, series = answers.iter().map(Vec::len).sum::<usize>(), "prometheus answered");
        match query.read(&answers, span, self.staleness, FirstSeen::new()) {
            Ok(observation) => Ok(observation.into()),
            Err(Unread::Missing(missing)) => Ok(missing.into()),
            Err(Unread::Malformed(cause)) => {
                Err(Failure::malformed(cause).into_error(self.to_string(), metric.to_string()))
            }
        }
    }
}

impl fmt::Display for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus at {}", self.url)
    }
}

pub(crate) fn millis_since_1970(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
