//! InfluxDB 2.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{annotated, credential};
use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{Failure, Flux, InvalidTemplate, Language, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks InfluxDB 2 in [Flux], over its [query API].
///
/// Flux takes points from `start` on and before `stop`, a [`Window`] those after its start and up to its end. The
/// difference is one nanosecond, InfluxDB's finest step, at both bounds: `{{start}}` and `{{end}}` are the window's
/// bounds and one nanosecond, so that `range(start: {{start}}, stop: {{end}})` takes exactly the window's points.
/// Ask when what is written late has been written.
///
/// A query must give one table with the numbers in `_value`: two, as each series gives one of its own, are refused
/// by their group keys; write `|> group()` before the aggregate. A row with a `_time` is of that time (what
/// `aggregateWindow` stamps with the end of the range is of the window's end), one row without is of the whole
/// window. A value that is null is no point. A query that breaks off is an answer in part.
///
/// ```
/// use reqwest::header::HeaderValue;
/// use tidegate_metrics::{InfluxDb, Metric, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let requests = r#"from(bucket: "models") |> range(start: {{start}}, stop: {{end}})
///     |> filter(fn: (r) => r._measurement == "requests" and r.version == "{{version}}" and r._field == "FIELD")
///     |> group() |> sum()"#;
/// let errors =
///     Query::proportion(requests.replace("FIELD", "errors").parse()?, requests.replace("FIELD", "total").parse()?);
/// # let token = String::from("secret");
/// let token = HeaderValue::from_str(&token)?;
/// let source = InfluxDb::new(reqwest::Client::new(), "http://localhost:8086", "ml", &token)?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "InfluxDB organisation ml at http://localhost:8086/");
/// # Ok(())
/// # }
/// ```
///
/// [Flux]: https://docs.influxdata.com/flux/
/// [query API]: https://docs.influxdata.com/influxdb/v2/api/#operation/PostQuery
pub type InfluxDb = Queried<InfluxDbApi>;

/// One organisation of an InfluxDB 2. Its token is sent, never printed.
#[derive(Clone, Debug)]
pub struct InfluxDbApi {
    http: Http,
    url: BaseUrl,
    organisation: String,
    authorization: HeaderValue,
}

/// A query in Flux with gaps for labels in strings, and for both bounds of the window.
///
/// Refused are comments, regular expressions with quotes in them, and `${`, by any of which a string could begin or
/// end elsewhere than it seems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FluxQuery(Template<Flux>);

impl InfluxDb {
    /// The organisation of this name at `base_url`, asked with an API token that may read. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(
        http: impl Into<Http>,
        base_url: &str,
        organisation: impl Into<String>,
        token: &HeaderValue,
    ) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "InfluxDB", "http://localhost:8086")?;
        let authorization = credential("Token", token);
        let organisation = organisation.into();
        Ok(Self::over(InfluxDbApi { http: http.into(), url, organisation, authorization }))
    }
}

#[async_trait]
impl QueryApi for InfluxDbApi {
    type Expression = FluxQuery;
    type Question = String;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<String, Unfilled> {
        let step = Duration::from_nanos(1);
        // Only the last window that there can be has no later one; nothing is stamped at its very end.
        let later = Window::new(window.start() + step, window.end() + step).unwrap_or(window);
        expression.0.fill(selector, later)
    }

    async fn ask(&self, query: &String, window: Window) -> Result<Points, Failure> {
        let question = json!({
            "query": query,
            "type": "flux",
            "dialect": {"header": true, "delimiter": ",", "annotations": ["datatype", "group", "default"]},
        });
        let mut url = self.url.join(["api", "v2", "query"]);
        url.query_pairs_mut().append_pair("org", &self.organisation);
        let answer = self
            .http
            .ask(|client| {
                client
                    .post(url.clone())
                    .header(AUTHORIZATION, self.authorization.clone())
                    .header(ACCEPT, "application/csv")
                    .json(&question)
            })
            .await?
            .successful()?;
        annotated::points(&answer.body, window)
    }
}

impl FromStr for FluxQuery {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem| InvalidTemplate { template: text.to_owned(), language: Flux::NAME, problem };
        match problem(text) {
            None => Ok(Self(text.parse()?)),
            Some(problem) => Err(invalid(problem)),
        }
    }
}

/// What in a query is not allowed.
fn problem(text: &str) -> Option<&'static str> {
    // A dollar takes what comes after it into the string, even a backslash before a quote.
    if text.contains("${") || text.contains("$\\") {
        return Some(
            "it holds `${` or `$\\`, by which a value could become an expression; write \\x24, or join strings by +",
        );
    }
    let gap = |name: &str| {
        text.split("{{")
            .skip(1)
            .any(|after| after.split("}}").next().is_some_and(|label| label.trim() == name))
    };
    if !(gap("start") && gap("end")) {
        return Some("it does not name the window; write range(start: {{start}}, stop: {{end}})");
    }
    let mut operand = true;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut length = next.len_utf8();
        match next {
            '"' => {
                length = quoted_length(rest);
                operand = false;
            }
            '/' if rest[1..].starts_with('/') => {
                return Some("it holds a comment, which could hide part of it; leave comments out");
            }
            // Where a value is expected, it begins a regular expression.
            '/' if operand => {
                length = quoted_length(rest);
                if rest[..length].contains(['"', '{']) {
                    return Some(
                        "a regular expression holds a quote or a brace; compare strings, or write \\x22, \\x7b",
                    );
                }
                operand = false;
            }
            c if c.is_alphanumeric() || c == '_' => {
                length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                operand = matches!(
                    &rest[..length],
                    "and" | "else" | "exists" | "if" | "in" | "not" | "or" | "return" | "then"
                );
            }
            ')' | ']' | '}' => operand = false,
            c if c.is_whitespace() => {}
            _ => operand = true,
        }
        rest = &rest[length..];
    }
    None
}

/// The length of what `text` begins with, up to where its first character stands again without a backslash.
fn quoted_length(text: &str) -> usize {
    let mark = text.chars().next();
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = Some(c) == mark && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

impl TryFrom<String> for FluxQuery {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FluxQuery> for String {
    fn from(query: FluxQuery) -> Self {
        query.0.into()
    }
}

impl fmt::Display for FluxQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InfluxDbApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfluxDB organisation {} at {}", self.organisation, self.url)
    }
}
