//! Graphite, and what speaks its render API (go-carbon, VictoriaMetrics).

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{Failure, GraphiteTarget, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks the [render API] of Graphite.
///
/// Graphite keeps one number for each step of its retention, stamped with the step's beginning and fuzzy in
/// how steps of different length meet: ask for windows that are multiples of the finest step, and late enough
/// that the last step is complete. A step without a value is no point. Counters are those that the sender
/// resets (`statsd`), so that a step's number is what happened in it.
///
/// A target must give one series: two, as a wildcard gives, are refused by name; wrap it in `sumSeries(…)`.
///
/// ```
/// use tidegate_metrics::{Graphite, Metric, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let errors = Query::proportion(
///     r#"sumSeries(stats_counts.model.{{version}}.errors)"#.parse()?,
///     r#"sumSeries(stats_counts.model.{{version}}.requests)"#.parse()?,
/// );
/// let source = Graphite::new(reqwest::Client::new(), "http://localhost:8080")?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "Graphite at http://localhost:8080/");
/// # Ok(())
/// # }
/// ```
///
/// [render API]: https://graphite.readthedocs.io/en/latest/render_api.html
pub type Graphite = Queried<GraphiteApi>;

/// The render API of one server.
#[derive(Clone, Debug)]
pub struct GraphiteApi {
    http: Http,
    url: BaseUrl,
}

impl Graphite {
    /// The server at `base_url`. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(http: impl Into<Http>, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "Graphite", "http://localhost:8080")?;
        Ok(Self::over(GraphiteApi { http: http.into(), url }))
    }
}

#[async_trait]
impl QueryApi for GraphiteApi {
    type Expression = Template<GraphiteTarget>;
    type Question = String;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<String, Unfilled> {
        expression.fill(selector, window)
    }

    async fn ask(&self, target: &String, window: Window) -> Result<Points, Failure> {
        let [from, until] = [window.start(), window.end()].map(|at| seconds(at).to_string());
        let form = [
            ("target", target.as_str()),
            ("from", &from),
            ("until", &until),
            ("format", "json"),
            ("noNullPoints", "true"),
        ];
        let url = self.url.join(["render"]);
        let series: Vec<Series> = self.http.ask_json(|client| client.post(url.clone()).form(&form)).await?;
        match series.as_slice() {
            [] => Ok(Points::none()),
            [one] => one.points(),
            many => {
                let names: Vec<_> = many.iter().take(3).map(|series| series.target.as_str()).collect();
                Err(Failure::malformed(format!(
                    "the target gives {} series ({}, …); wrap it in sumSeries() or name one",
                    many.len(),
                    names.join(", ")
                )))
            }
        }
    }
}

/// One series of an answer.
#[derive(Debug, Deserialize)]
struct Series {
    target: String,
    datapoints: Vec<(Option<f64>, u64)>,
}

impl Series {
    fn points(&self) -> Result<Points, Failure> {
        let points = self.datapoints.iter().filter_map(|&(value, second)| Some((second, value?)));
        points
            .map(|(second, value)| {
                let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(second));
                at.map(|at| (at, value))
                    .ok_or_else(|| Failure::malformed(format!("{second} is no time in seconds")))
            })
            .collect()
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Display for GraphiteApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graphite at {}", self.url)
    }
}
