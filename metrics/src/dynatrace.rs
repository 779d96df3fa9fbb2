//! Dynatrace's metrics.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::{BaseUrl, excerpt},
    query::{DynatraceSelector, Failure, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks the [metrics API] (v2) of Dynatrace.
///
/// Dynatrace keeps metrics by the minute, stamps a minute with its end, and widens other times to whole
/// minutes. So **windows must begin and end at whole minutes**, and have at most 10 080 of them (a week),
/// beyond which Dynatrace would choose longer slots; other windows are refused, nothing sent. Minutes are kept
/// for two weeks. Ask for a window some minutes after its end; how late a metric may be is its `latency`.
///
/// A selector must give one series; several, as a metric with dimensions gives, are refused by name: end it in
/// `:splitBy():sum`. Leave out `:fold` and `:default`: minutes are summed here, and one without a value is no
/// point. An answer with warnings is partial.
///
/// ```
/// use reqwest::header::HeaderValue;
/// use tidegate_metrics::{Dynatrace, Metric, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let token = "dt0c01.a.b";
/// let errors = Query::proportion(
///     r#"model.errors:filter(eq("version","{{version}}")):splitBy():sum"#.parse()?,
///     r#"model.requests:filter(eq("version","{{version}}")):splitBy():sum"#.parse()?,
/// );
/// let authorization = HeaderValue::from_str(&format!("Api-Token {token}"))?;
/// let source = Dynatrace::new(reqwest::Client::new(), "https://abc.live.dynatrace.com", authorization)?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "Dynatrace at https://abc.live.dynatrace.com/");
/// # Ok(())
/// # }
/// ```
///
/// [metrics API]: https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2/get-data-points
pub type Dynatrace = Queried<DynatraceApi>;

/// The metrics API of one environment. Its token is sent, never printed.
#[derive(Clone, Debug)]
pub struct DynatraceApi {
    http: Http,
    url: BaseUrl,
    authorization: HeaderValue,
}

impl Dynatrace {
    /// The environment at `base_url` (`https://{environment}.live.dynatrace.com`, or
    /// `https://{domain}/e/{environment}`), asked with this value of the header `Authorization`, `Api-Token …`;
    /// the token needs the scope `metrics.read`. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(
        http: impl Into<Http>,
        base_url: &str,
        mut authorization: HeaderValue,
    ) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "Dynatrace", "https://abc.live.dynatrace.com")?;
        authorization.set_sensitive(true);
        Ok(Self::over(DynatraceApi { http: http.into(), url, authorization }))
    }
}

#[async_trait]
impl QueryApi for DynatraceApi {
    type Expression = Template<DynatraceSelector>;
    type Question = String;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<String, Unfilled> {
        expression.fill(selector, window)
    }

    async fn ask(&self, selector: &String, window: Window) -> Result<Points, Failure> {
        let (from, to) = bounds(window)?;
        let mut url = self.url.join(["api", "v2", "metrics", "query"]);
        url.query_pairs_mut()
            .append_pair("metricSelector", selector)
            .append_pair("from", &from.to_string())
            .append_pair("to", &to.to_string())
            .append_pair("resolution", RESOLUTION);
        let answer: Answer = self
            .http
            .ask_json(|client| client.get(url.clone()).header(AUTHORIZATION, self.authorization.clone()))
            .await?;
        answer.points()
    }
}

const RESOLUTION: &str = "1m";

/// The bounds of `window` in milliseconds, if it is of whole minutes.
fn bounds(window: Window) -> Result<(u64, u64), Failure> {
    const MINUTE: u64 = 60_000;
    const MOST_POINTS: u64 = 10_080;
    let aligned = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let millis = u64::try_from(since.as_millis()).ok()?;
        (since == Duration::from_millis(millis) && millis % MINUTE == 0).then_some(millis)
    };
    let (Some(from), Some(to)) = (aligned(window.start()), aligned(window.end())) else {
        return Err(Failure::malformed(
            "nothing was asked: the window does not begin and end at whole minutes, by which Dynatrace keeps \
             metrics",
        ));
    };
    if (to - from) / MINUTE > MOST_POINTS {
        return Err(Failure::malformed(format!(
            "nothing was asked: the window is longer than the {MOST_POINTS} minutes for which Dynatrace answers \
             by the minute; choose shorter windows"
        )));
    }
    Ok((from, to))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    resolution: Option<String>,
    next_page_key: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    result: Vec<Collection>,
}

/// What one metric of the selector gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collection {
    metric_id: String,
    data: Vec<Series>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    #[serde(default)]
    dimension_map: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    dimensions: Option<Vec<Option<String>>>,
    /// The ends of slots, in milliseconds.
    timestamps: Vec<u64>,
    values: Vec<Option<f64>>,
}

impl Answer {
    fn points(self) -> Result<Points, Failure> {
        let warnings: Vec<_> =
            self.warnings.iter().chain(self.result.iter().flat_map(|metric| &metric.warnings)).collect();
        if let Some(first) = warnings.first() {
            return Err(Failure::Partial(format!(
                "it answered with {} warnings: {}",
                warnings.len(),
                excerpt(first)
            )));
        }
        // Documented as always null; if it is not, the rest is missing.
        if self.next_page_key.is_some() {
            return Err(Failure::Partial("it answered with the first of several pages".to_owned()));
        }
        let series: Vec<_> = self
            .result
            .iter()
            .flat_map(|metric| metric.data.iter().map(move |series| (metric, series)))
            .collect();
        let one = match series.as_slice() {
            [] => return Ok(Points::none()),
            [(_, one)] => one,
            several => {
                let names: Vec<_> =
                    several.iter().take(3).map(|(metric, series)| series.name(&metric.metric_id)).collect();
                return Err(Failure::malformed(format!(
                    "the selector gives {} series ({}, …); end it in :splitBy():sum or name one",
                    several.len(),
                    names.join("; ")
                )));
            }
        };
        if let Some(other) = self.resolution.filter(|resolution| resolution != RESOLUTION) {
            return Err(Failure::malformed(format!(
                "it answered by slots of {other} in place of {RESOLUTION}, which may reach beyond the window; \
                 minutes are kept for two weeks"
            )));
        }
        one.points()
    }
}

impl Series {
    fn points(&self) -> Result<Points, Failure> {
        if self.timestamps.len() != self.values.len() {
            return Err(Failure::malformed(format!(
                "it answered {} values at {} times",
                self.values.len(),
                self.timestamps.len()
            )));
        }
        let points = self.timestamps.iter().zip(&self.values).filter_map(|(at, value)| Some((at, (*value)?)));
        points
            .map(|(&at, value)| {
                let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at));
                end.map(|end| (end, value))
                    .ok_or_else(|| Failure::malformed(format!("{at} is no time in milliseconds")))
            })
            .collect()
    }

    /// The metric and what tells this series from others.
    fn name(&self, metric: &str) -> String {
        let or_rest = |value: &Option<String>| value.clone().unwrap_or_else(|| "the remainder".to_owned());
        let dimensions: Vec<_> = match (&self.dimension_map, &self.dimensions) {
            (Some(map), _) if !map.is_empty() => {
                map.iter().map(|(name, value)| format!("{name}={}", or_rest(value))).collect()
            }
            (_, Some(values)) => values.iter().map(or_rest).collect(),
            _ => Vec::new(),
        };
        format!("{metric} {}", dimensions.join(","))
    }
}

impl fmt::Display for DynatraceApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dynatrace at {}", self.url)
    }
}
