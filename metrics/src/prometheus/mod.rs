//! Counters and classic histograms of a Prometheus server, or of anything that speaks its HTTP API.

mod answer;
mod counter;
mod query;
mod template;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use answer::{NoAnswer, Series, excerpt};
use async_trait::async_trait;
use counter::Span;
pub use query::Query;
use query::Reading;
use reqwest::{Response, StatusCode, Url};
pub use template::{InvalidTemplate, Template};

use crate::{BoxError, Error, Measurement, Metric, MetricsSource, Missing, Selector, Window};

/// Asks a Prometheus server, over a client that the caller has configured (TLS, credentials, proxy).
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
/// * `NaN` or `Inf`: [`Missing::NotANumber`].
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
#[derive(Clone)]
pub struct Prometheus {
    client: reqwest::Client,
    url: Url,
    queries: BTreeMap<Metric, Query>,
    lookback: Duration,
    staleness: Duration,
    timeout: Duration,
    response_limit: usize,
}

/// The base URL of a Prometheus server cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the base URL of Prometheus must be absolute http or https, like http://localhost:9090")]
#[non_exhaustive]
pub struct InvalidBaseUrl {
    /// What is wrong with it, if it is no URL at all.
    pub source: Option<BoxError>,
}

impl Prometheus {
    /// The server at `base_url`, which may have a path that its API lies under. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`. It is not repeated in the error, since it may hold a
    /// password.
    pub fn new(client: reqwest::Client, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let mut url = Url::parse(base_url).map_err(|error| InvalidBaseUrl { source: Some(error.into()) })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl { source: None });
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self {
            client,
            url,
            queries: BTreeMap::new(),
            lookback: Duration::from_secs(5 * 60),
            staleness: Duration::from_secs(2 * 60),
            timeout: Duration::from_secs(10),
            response_limit: 16 << 20,
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

    /// How long one request may take, body included; default 10 s.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes one answer may have; default 16 MiB.
    #[must_use]
    pub const fn with_response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    async fn series(&self, selector: &str, span: Span) -> Result<Vec<Series>, Failure> {
        let range = (span.end - span.start).saturating_add_unsigned(millis(self.lookback));
        let mut url = self.url.clone();
        // A URL of scheme http(s) always has a path to extend.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "query"]);
        }
        let form = [
            ("query", format!("{selector}[{range}ms]")),
            ("time", format!("{}.{:03}", span.end / 1000, span.end % 1000)),
            ("timeout", format!("{}ms", millis(self.timeout))),
        ];
        let response = self.client.post(url).timeout(self.timeout).form(&form).send().await?;
        let status = response.status();
        let body = self.body(response).await?;
        match answer::parse(&body) {
            Err(NoAnswer::Partial(warnings)) => {
                Err(Failure::Partial(NoAnswer::Partial(warnings).to_string()))
            }
            Err(refused @ NoAnswer::Refused { .. }) => Err(Failure::by_status(status, refused.into())),
            parsed if status == StatusCode::OK => parsed.map_err(|error| Failure::Malformed(error.into())),
            _ => {
                let text = excerpt(&String::from_utf8_lossy(&body));
                Err(Failure::by_status(status, format!("HTTP {status}: {text}").into()))
            }
        }
    }

    /// The whole body, but never more than the limit.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.response_limit {
                let limit = self.response_limit;
                let text = format!(
                    "the answer is longer than {limit} bytes; select fewer series or raise the limit"
                );
                return Err(Failure::Malformed(text.into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unknown(&self, metric: &Metric) -> Error {
        let known: Vec<_> = self.queries.keys().map(Metric::as_str).collect();
        Error::UnknownMetric {
            source_name: self.to_string(),
            metric: metric.to_string(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
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
        let query = self.queries.get(metric).ok_or_else(|| self.unknown(metric))?;
        let mut questions = Vec::new();
        for template in query.templates() {
            let question = template.fill(selector).map_err(|label| Error::MissingLabel {
                source_name: self.to_string(),
                metric: metric.to_string(),
                label: label.to_owned(),
            })?;
            questions.push(question);
        }
        let span = Span { start: since_1970(window.start()), end: since_1970(window.end()) };
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
        match query.read(&answers, span, self.staleness) {
            Reading::Measured(measurement) => Ok(measurement),
            Reading::Malformed(cause) => {
                Err(Failure::Malformed(cause.into()).into_error(self.to_string(), metric.to_string()))
            }
        }
    }
}

/// Why there is no answer to one request, sorted by what the caller can do.
#[derive(Debug)]
enum Failure {
    Denied(BoxError),
    Malformed(BoxError),
    Partial(String),
    Unavailable(BoxError),
}

impl Failure {
    fn by_status(status: StatusCode, cause: BoxError) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied(cause),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Unavailable(cause),
            status if status.is_server_error() => Self::Unavailable(cause),
            _ => Self::Malformed(cause),
        }
    }

    fn into_error(self, source_name: String, metric: String) -> Error {
        match self {
            Self::Denied(source) => Error::Denied { source_name, metric, source },
            Self::Malformed(source) => Error::Malformed { source_name, metric, source },
            Self::Partial(cause) => Error::Unavailable { source_name, metric, source: cause.into() },
            Self::Unavailable(source) => Error::Unavailable { source_name, metric, source },
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The error around it names the server, without what the URL may hold besides.
        Self::Unavailable(error.without_url().into())
    }
}

impl fmt::Display for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        // Both fail only for URLs without a host, which http(s) URLs have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        write!(f, "Prometheus at {url}")
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus")
            .field("server", &format_args!("{self}"))
            .field("queries", &self.queries)
            .finish_non_exhaustive()
    }
}

fn since_1970(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
