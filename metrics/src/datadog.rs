//! Datadog's metrics.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::{BaseUrl, excerpt},
    query::{DatadogQuery, Failure, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks the [timeseries API] (v2) of Datadog for metrics.
///
/// Datadog sums what it holds by intervals that are aligned to the epoch and stamped with their beginning.
/// This source asks for intervals of one [step](Self::with_step), and takes those that begin in the window:
/// an event belongs to the window in which its interval begins, so that consecutive windows neither lose nor
/// double any. For that, **windows must begin and end at multiples of the step**, and have at most 1500 of
/// them, beyond which Datadog would choose longer intervals; other windows are refused, nothing sent. The
/// agent flushes every 10 s: ask for a window some flushes after its end.
///
/// Counts need `.as_count()` and the aggregation `sum`; without them Datadog answers rates, which are refused
/// unless they happen to be whole numbers. Of `.rollup(…)` leave out the interval, which is this source's to
/// choose. A query must give one series; several, as `by {…}` gives, are refused by name. An interval without
/// a value is no point.
///
/// ```
/// use reqwest::header::HeaderValue;
/// use tidegate_metrics::{Datadog, Metric, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (api_key, application_key) = ("a", "b");
/// let errors = Query::proportion(
///     "sum:model.requests{version:{{version}},status:error}.as_count()".parse()?,
///     "sum:model.requests{version:{{version}}}.as_count()".parse()?,
/// );
/// let keys = [HeaderValue::from_str(api_key)?, HeaderValue::from_str(application_key)?];
/// let source = Datadog::new(reqwest::Client::new(), "https://api.datadoghq.eu", keys)?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "Datadog at https://api.datadoghq.eu/");
/// # Ok(())
/// # }
/// ```
///
/// [timeseries API]: https://docs.datadoghq.com/api/latest/metrics/query-timeseries-data-across-multiple-products/
pub type Datadog = Queried<DatadogApi>;

/// The timeseries API of one site. Its keys are sent, never printed.
#[derive(Clone, Debug)]
pub struct DatadogApi {
    http: Http,
    url: BaseUrl,
    api_key: HeaderValue,
    application_key: HeaderValue,
    /// In milliseconds, a multiple of 1000.
    step: u64,
}

impl Datadog {
    /// The site at `base_url` (`https://api.datadoghq.com`, `https://api.us5.datadoghq.com`, …), asked with an
    /// API key and an application key, in this order. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(
        http: impl Into<Http>,
        base_url: &str,
        keys: [HeaderValue; 2],
    ) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "Datadog", "https://api.datadoghq.com")?;
        let [api_key, application_key] = keys.map(|mut key| {
            key.set_sensitive(true);
            key
        });
        Ok(Self::over(DatadogApi { http: http.into(), url, api_key, application_key, step: 10_000 }))
    }

    /// The interval by which to ask, rounded up to whole seconds; default 10 s, which is what the agent sends.
    /// It must divide the windows.
    #[must_use]
    pub fn with_step(self, step: Duration) -> Self {
        let seconds = u64::try_from(step.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        self.map_api(|api| DatadogApi { step: seconds.max(1).saturating_mul(1000), ..api })
    }
}

impl DatadogApi {
    /// The bounds of `window` in milliseconds, if its steps are Datadog's as well.
    fn bounds(&self, window: Window) -> Result<(u64, u64), Failure> {
        const MOST_POINTS: u64 = 1500;
        let aligned = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let millis = u64::try_from(since.as_millis()).ok()?;
            (since == Duration::from_millis(millis) && millis % self.step == 0).then_some(millis)
        };
        let step = Duration::from_millis(self.step);
        let (Some(start), Some(end)) = (aligned(window.start()), aligned(window.end())) else {
            return Err(Failure::malformed(format!(
                "nothing was asked: the window does not begin and end at multiples of the step, {step:?}; \
                 choose another window or, by with_step, another step"
            )));
        };
        let steps = (end - start) / self.step;
        if steps > MOST_POINTS {
            return Err(Failure::malformed(format!(
                "nothing was asked: the window has {steps} steps of {step:?}, and Datadog answers with at most \
                 {MOST_POINTS}; choose shorter windows or, by with_step, a longer step"
            )));
        }
        Ok((start, end))
    }
}

#[async_trait]
impl QueryApi for DatadogApi {
    type Expression = Template<DatadogQuery>;
    type Question = String;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<String, Unfilled> {
        expression.fill(selector, window)
    }

    async fn ask(&self, query: &String, window: Window) -> Result<Points, Failure> {
        let (from, to) = self.bounds(window)?;
        if names_interval(query) {
            return Err(Failure::malformed(
                "nothing was asked: the query names an interval in rollup(); leave it out, since intervals must \
                 fit the windows",
            ));
        }
        let question = json!({"data": {"type": "timeseries_request", "attributes": {
            "formulas": [{"formula": "a"}],
            "queries": [{"data_source": "metrics", "name": "a", "query": query}],
            "from": from,
            "to": to,
            "interval": self.step,
        }}});
        let url = self.url.join(["api", "v2", "query", "timeseries"]);
        let answer: Answer = self
            .http
            .ask_json(|client| {
                client
                    .post(url.clone())
                    .header("DD-API-KEY", self.api_key.clone())
                    .header("DD-APPLICATION-KEY", self.application_key.clone())
                    .json(&question)
            })
            .await?;
        answer.points(from, to, self.step)
    }
}

/// Whether the query has a `rollup` of two arguments.
fn names_interval(query: &str) -> bool {
    query.split("rollup(").skip(1).any(|after| {
        let arguments = after.split(')').next().unwrap_or_default();
        arguments.contains(',') || arguments.contains(|c: char| c.is_ascii_digit())
    })
}

/// What Datadog answers with status 200.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    errors: Option<Errors>,
}

/// The documentation says one, other endpoints give several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Errors {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Data {
    attributes: Attributes,
}

/// One array of values to each series, one value to each time.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    series: Vec<Series>,
    times: Vec<u64>,
    values: Vec<Vec<Option<f64>>>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    group_tags: Vec<String>,
}

impl Answer {
    /// The numbers of the intervals of `step` that begin in `from..to`, each at its end; all in milliseconds.
    fn points(self, from: u64, to: u64, step: u64) -> Result<Points, Failure> {
        let errors = match self.errors {
            Some(Errors::One(error)) => error,
            Some(Errors::Several(errors)) => errors.join("; "),
            None => String::new(),
        };
        let Attributes { series, times, values } = match self.data {
            Some(_) if !errors.is_empty() => {
                return Err(Failure::Partial(format!("it answered in part: {}", excerpt(&errors))));
            }
            Some(data) => data.attributes,
            None if errors.is_empty() => {
                return Err(Failure::malformed("it answered neither data nor errors"));
            }
            None => return Err(Failure::malformed(format!("it answered errors: {errors}"))),
        };
        let values = match values.as_slice() {
            [] => return Ok(Points::none()),
            [values] => values,
            several => {
                let groups: Vec<_> =
                    series.iter().take(3).map(|series| series.group_tags.join(",")).collect();
                return Err(Failure::malformed(format!(
                    "the query gives {} series ({}, …); leave out `by {{…}}` or name one",
                    several.len(),
                    groups.join("; ")
                )));
            }
        };
        if values.len() != times.len() {
            return Err(Failure::malformed(format!(
                "it answered {} values at {} times",
                values.len(),
                times.len()
            )));
        }
        // Longer intervals than those asked for would reach beyond the window.
        if let Some(odd) = times.iter().find(|&&at| at < from || at % step != 0) {
            return Err(Failure::malformed(format!(
                "it answered by other intervals than the {step} ms asked for: one begins at {odd} ms"
            )));
        }
        let inside = times.iter().zip(values).filter(|&(&at, _)| at < to);
        Ok(inside
            .filter_map(|(at, value)| {
                let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at + step))?;
                Some((end, (*value)?))
            })
            .collect())
    }
}

impl fmt::Display for DatadogApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datadog at {}", self.url)
    }
}
