//! Amazon CloudWatch, and what speaks its API.

mod answer;
mod credentials;
mod environment;
mod metadata;
mod metric_stat;
mod profile;
mod question;
mod sign;
mod stat;

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
pub use credentials::{Credentials, FromFn, NoCredentials, ProvideCredentials, from_fn};
pub use environment::Environment;
pub use metric_stat::{InvalidMetricStat, MetricStat};
pub use question::Question;
pub use stat::{InvalidStat, Stat};

use self::answer::{Outcome, Page, Pages};
use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{Failure, Points, Queried, QueryApi, Unfilled},
};

/// Asks [`GetMetricData`] of Amazon CloudWatch.
///
/// CloudWatch keeps statistics of each period, stamped with its beginning. A window must therefore begin and end
/// with a period, on the grid that starts at the epoch; any other is refused before anything is sent.
///
/// * **Counts** are the `Sum` of a metric that is sent as 1 for each event, or the `SampleCount` of one that is
///   sent for each event. A period without a value is absent, not zero.
/// * **Percentiles** are readings: each period has its own, a [`Query::Values`](crate::query::Query::Values), and
///   those of several periods are never made one. For one number per window let the period be as long as the
///   window. Of values that were sent as statistic sets (`StatisticValues`), or among which one is negative,
///   CloudWatch has no percentiles: that is no data.
/// * **Late values.** What is sent to CloudWatch takes some time to show. Ask for a window two periods after its
///   end, at the earliest.
///
/// Nothing is taken for whole that is not: `PartialData` after the last page is a missing measurement.
///
/// Requests are signed with what the caller's [`ProvideCredentials`] gives and at the time that the caller's clock
/// shows, and cost money by the metric. They need the permission `cloudwatch:GetMetricData`.
///
/// ```
/// use tidegate_metrics::{
///     CloudWatch, Metric,
///     cloudwatch::{Credentials, MetricStat},
///     query::Query,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let of = |metric, stat| MetricStat::new("Serving", metric, [("Version", "{{version}}")], stat);
/// let source = CloudWatch::new(
///     reqwest::Client::new(),
///     "eu-central-1",
///     Credentials::new("AKIDEXAMPLE", "…"),
///     std::time::SystemTime::now,
/// )?
/// .with_query(Metric::errors(), Query::proportion(of("Errors", "Sum")?, of("Latency", "SampleCount")?))
/// .with_query(Metric::latency(), Query::values(of("Latency", "p95")?.every(300)?));
/// assert_eq!(source.to_string(), "CloudWatch at https://monitoring.eu-central-1.amazonaws.com/");
/// # Ok(())
/// # }
/// ```
///
/// [`GetMetricData`]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
pub type CloudWatch = Queried<CloudWatchApi>;

/// CloudWatch in one region.
#[derive(Clone)]
pub struct CloudWatchApi {
    http: Http,
    url: BaseUrl,
    region: String,
    credentials: Arc<dyn ProvideCredentials>,
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// A text that is no region of AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{region}` is no region of AWS; write one like `eu-central-1`")]
#[non_exhaustive]
pub struct InvalidRegion {
    /// The text.
    pub region: String,
}

const SERVER: &str = "CloudWatch";
const SERVICE: &str = "monitoring";
const LIKE: &str = "https://monitoring.eu-central-1.amazonaws.com";

impl CloudWatch {
    /// CloudWatch in `region`. It knows no metric yet. Requests are signed with the time that `now` gives, which
    /// must be right to within five minutes.
    ///
    /// # Errors
    ///
    /// The region is none.
    pub fn new(
        http: impl Into<Http>,
        region: &str,
        credentials: impl ProvideCredentials,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Result<Self, InvalidRegion> {
        let invalid = || InvalidRegion { region: region.to_owned() };
        let sayable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || region.len() > 40 || !region.bytes().all(sayable) {
            return Err(invalid());
        }
        let url = format!("https://monitoring.{region}.{}", domain(region));
        Ok(Self::over(CloudWatchApi {
            http: http.into(),
            url: BaseUrl::parse(&url, SERVER, LIKE).map_err(|_| invalid())?,
            region: region.to_owned(),
            credentials: Arc::new(credentials),
            now: Arc::new(now),
        }))
    }

    /// At this URL in place of the region's own: an endpoint in a VPC, or an imitation.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn at(self, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, SERVER, LIKE)?;
        Ok(self.map_api(|api| CloudWatchApi { url, ..api }))
    }
}

/// The domain of the partition that `region` belongs to.
fn domain(region: &str) -> &'static str {
    let partitions = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("us-iso-", "c2s.ic.gov"),
    ];
    let partition = partitions.iter().find(|(prefix, _)| region.starts_with(prefix));
    partition.map_or("amazonaws.com", |(_, domain)| domain)
}

impl CloudWatchApi {
    /// A window of so many points comes in one page; more pages than these are no answer.
    const PAGES: usize = 100;

    async fn all_pages(
        &self,
        question: &Question,
        window: Window,
        period: u64,
        credentials: &Credentials,
    ) -> Result<Points, Failure> {
        let mut pages = Pages::of(window, period);
        let mut token = None::<String>;
        for _ in 0..Self::PAGES {
            let body = question
                .body(window, token.as_deref())
                .map_err(|error| Failure::malformed(format!("nothing was sent: {error}")))?;
            let page = self.page(&body, credentials).await?;
            match pages.take(page)? {
                Some(next) => token = Some(next),
                None => return pages.finish(),
            }
        }
        Err(Failure::malformed(format!("it has more than {} pages; ask for less", Self::PAGES)))
    }

    async fn page(&self, body: &str, credentials: &Credentials) -> Result<Page, Failure> {
        const HEADERS: [(&str, &str); 2] = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "GraniteServiceVersion20100801.GetMetricData"),
        ];
        let mut url = self.url.join([]);
        // Both fail only for URLs without a host. A password has no place beside a signature.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let sign = || credentials.sign(SERVICE, &self.region, (self.now)(), &url, &HEADERS, body);
        // Each try is signed anew, since a signature is valid for minutes only. What makes that impossible is
        // seen here.
        let first = sign()?;
        let mut throttled = 0;
        loop {
            let answer = self
                .http
                .ask(|client| {
                    let headers = sign().unwrap_or_else(|_| first.clone());
                    client.post(url.clone()).headers(headers).body(body.to_owned())
                })
                .await?;
            match Outcome::of(&answer)? {
                Outcome::Page(page) => return Ok(page),
                Outcome::Throttled(failure) if throttled == self.http.retries() => return Err(failure),
                Outcome::Throttled(_) => {
                    tokio::time::sleep(Http::pause(throttled)).await;
                    throttled += 1;
                }
            }
        }
    }
}

#[async_trait]
impl QueryApi for CloudWatchApi {
    type Expression = MetricStat;
    type Question = Question;

    fn fill(
        &self,
        expression: &MetricStat,
        selector: &Selector,
        window: Window,
    ) -> Result<Question, Unfilled> {
        expression.fill(selector, window)
    }

    async fn ask(&self, question: &Question, window: Window) -> Result<Points, Failure> {
        let period = question.period(window).map_err(|problem| Failure::Malformed(problem.into()))?;
        let asked = async {
            let credentials = self.credentials.credentials((self.now)()).await?;
            let answer = self.all_pages(question, window, period, &credentials).await;
            answer.map_err(|failure| credentials.kept_from(failure))
        };
        let timeout = self.http.timeout();
        tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| {
            Err(Failure::Unavailable(format!("it did not answer within {timeout:?}").into()))
        })
    }
}

impl fmt::Display for CloudWatchApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SERVER} at {}", self.url)
    }
}

/// Without the credentials, whatever their `Debug` says.
impl fmt::Debug for CloudWatchApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudWatchApi")
            .field("http", &self.http)
            .field("url", &self.url)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
