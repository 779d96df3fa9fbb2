//! Graphite, and what speaks its render API (go-carbon, VictoriaMetrics).

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::{BaseUrl, excerpt},
    query::{Failure, GraphiteTarget, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks the [render API] of Graphite.
///
/// Graphite keeps one number for each step of its retention, under a stamp in whole seconds. A number belongs
/// to the window in which its stamp lies, after the start and up to the end, which is how Graphite itself
/// understands `from` and `until`: consecutive windows of any length neither lose nor double one. A sender
/// such as statsd stamps a count when it flushes; the count is of the time before, and kept under the
/// beginning of the step. So windows are exact to one step, and should be many. A window without a whole
/// second in it is refused, nothing sent.
///
/// Counters are those that the sender resets (`statsd`), so that a step's number is what happened in it; keep
/// them with the aggregation `sum`, and ask within the finest retention.
///
/// A step without a value is idle, lost, or not there yet, and Graphite does not say which: a window is
/// [partial](crate::Missing::SourceError) if one follows a value, see [`with_gaps`](Self::with_gaps). Ask some
/// steps after a window's end.
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
    gaps: Gaps,
}

/// What a step without a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gaps {
    /// Nothing happened: the sender is silent then, as statsd is with `deleteIdleStats`. A step that is lost or
    /// not there yet looks the same.
    Idle,
    /// Before the first value nothing happened; after it the step is lost or not there yet, and the window is
    /// partial. The sender sends zeros, as statsd does by default.
    #[default]
    Partial,
}

impl Graphite {
    /// The server at `base_url`. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(http: impl Into<Http>, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "Graphite", "http://localhost:8080")?;
        Ok(Self::over(GraphiteApi { http: http.into(), url, gaps: Gaps::default() }))
    }

    /// What a step without a value means; default [`Gaps::Partial`].
    #[must_use]
    pub fn with_gaps(self, gaps: Gaps) -> Self {
        self.map_api(|api| GraphiteApi { gaps, ..api })
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
        // Stamps are whole seconds: one is after the start if it is after the start's second, and up to the end
        // if it is up to the end's second.
        let [from, until] = [window.start(), window.end()].map(seconds);
        if from == until {
            return Err(Failure::malformed(
                "nothing was asked: there is no whole second in the window, and Graphite knows no others",
            ));
        }
        let form = [
            ("target", target.as_str()),
            ("from", &from.to_string()),
            ("until", &until.to_string()),
            ("format", "json"),
            // Or it repeats for a minute what it answered before the last steps were there.
            ("noCache", "true"),
        ];
        let url = self.url.join(["render"]);
        let series: Vec<Series> = self.http.ask_json(|client| client.post(url.clone()).form(&form)).await?;
        let one = match series.as_slice() {
            [] => return Ok(Points::none()),
            [one] => one,
            many => {
                let names: Vec<_> = many.iter().take(3).map(|series| series.target.as_str()).collect();
                return Err(Failure::malformed(format!(
                    "the target gives {} series ({}, …); wrap it in sumSeries() or name one",
                    many.len(),
                    names.join(", ")
                )));
            }
        };
        match one.gap(from, until).filter(|_| self.gaps == Gaps::Partial) {
            None => one.points(),
            Some(second) => Err(Failure::Partial(format!(
                "{} has no value at {second}; ask later or, if its sender is silent when idle, say so by \
                 Gaps::Idle",
                excerpt(&one.target)
            ))),
        }
    }
}

/// One series of an answer: values with their stamps, ascending and a step apart.
#[derive(Debug, Deserialize)]
struct Series {
    target: String,
    datapoints: Vec<(Option<f64>, u64)>,
}

impl Series {
    /// The first step after `from` and up to `until` that has no value although one before it has.
    fn gap(&self, from: u64, until: u64) -> Option<u64> {
        let inside = self.datapoints.iter().filter(|(_, second)| (from + 1..=until).contains(second));
        let mut since_first = inside.skip_while(|(value, _)| value.is_none()).peekable();
        since_first.peek()?;
        if let Some((_, second)) = since_first.find(|(value, _)| value.is_none()) {
            return Some(*second);
        }
        // Steps that are cut off at the end: of the future, or lost where steps of several lengths meet.
        let [.., (_, before), (_, last)] = self.datapoints.as_slice() else { return None };
        last.checked_add(last.checked_sub(*before)?).filter(|next| *next <= until && last > before)
    }

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
