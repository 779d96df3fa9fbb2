//! New Relic, over NerdGraph.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::{BaseUrl, excerpt},
    query::{Failure, InvalidTemplate, Language, Nrql, Points, Queried, QueryApi, Template, Unfilled},
};

/// Asks New Relic in [NRQL], over its GraphQL API.
///
/// Each query is asked for `SINCE` the window's start `UNTIL` its end, in milliseconds: windows of other
/// bounds are refused, nothing sent. New Relic takes events from the former on and before the latter, so that
/// one on the very edge belongs to the window after it. It widens the time of queries of rolled-up metrics to
/// whole minutes, or more; an answer for another time than the window is refused. Ask for events some minutes
/// after the window, since agents report by the minute.
///
/// A query must select one number: `count(*)`, `sum(…)`, or readings such as `percentile(duration, 95)`.
/// Several, as `FACET` gives, are refused by name. A number that is `null` is no point. A message that comes
/// with an answer is taken for a sign that it is not whole.
///
/// ```
/// use reqwest::header::HeaderValue;
/// use tidegate_metrics::{Metric, NewRelic, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let api_key = "NRAK-…".replace('…', "1");
/// let errors = Query::proportion(
///     "SELECT count(*) FROM Transaction WHERE version = '{{version}}' AND error IS TRUE".parse()?,
///     "SELECT count(*) FROM Transaction WHERE version = '{{version}}'".parse()?,
/// );
/// let (account, key) = (1_234_567, HeaderValue::from_str(&api_key)?);
/// let source = NewRelic::new(reqwest::Client::new(), "https://api.eu.newrelic.com", account, key)?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "New Relic account 1234567 at https://api.eu.newrelic.com/");
/// # Ok(())
/// # }
/// ```
///
/// [NRQL]: https://docs.newrelic.com/docs/nrql/nrql-syntax-clauses-functions/
pub type NewRelic = Queried<NewRelicApi>;

/// One account of New Relic. Its key is sent, never printed.
#[derive(Clone, Debug)]
pub struct NewRelicApi {
    http: Http,
    url: BaseUrl,
    account: u32,
    api_key: HeaderValue,
}

/// A query in NRQL with gaps for labels in strings, and without clauses that this source writes or that make
/// more than one number of it: `SINCE`, `UNTIL`, `TIMESERIES`, `FACET`, `COMPARE WITH`; nor `EXTRAPOLATE`, whose
/// counts are estimates, nor comments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NrqlQuery(Template<Nrql>);

impl NewRelic {
    /// The account of this number at `base_url` (`https://api.newrelic.com`, `https://api.eu.newrelic.com`),
    /// asked with a user key. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(
        http: impl Into<Http>,
        base_url: &str,
        account: u32,
        mut api_key: HeaderValue,
    ) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "New Relic", "https://api.newrelic.com")?;
        api_key.set_sensitive(true);
        Ok(Self::over(NewRelicApi { http: http.into(), url, account, api_key }))
    }
}

#[async_trait]
impl QueryApi for NewRelicApi {
    type Expression = NrqlQuery;
    type Question = String;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<String, Unfilled> {
        expression.0.fill(selector, window)
    }

    async fn ask(&self, query: &String, window: Window) -> Result<Points, Failure> {
        const QUESTION: &str = "query($account: Int!, $nrql: Nrql!, $timeout: Seconds) { actor { \
            account(id: $account) { nrql(query: $nrql, timeout: $timeout) { \
            results metadata { messages timeWindow { begin end } } } } } }";
        // What New Relic allows for a query.
        const LONGEST: u64 = 60;
        let (Some(since), Some(until)) = (millis(window.start()), millis(window.end())) else {
            return Err(Failure::malformed(
                "nothing was asked: the window does not begin and end at whole milliseconds",
            ));
        };
        let question = json!({"query": QUESTION, "variables": {
            "account": self.account,
            "nrql": format!("{query} SINCE {since} UNTIL {until}"),
            "timeout": self.http.timeout().as_secs().clamp(1, LONGEST),
        }});
        let url = self.url.join(["graphql"]);
        let answer: Answer = self
            .http
            .ask_json(|client| {
                client.post(url.clone()).header("API-Key", self.api_key.clone()).json(&question)
            })
            .await?;
        let result = answer.result()?;
        let Metadata { messages, time_window } = result.metadata.unwrap_or_default();
        let messages = messages.unwrap_or_default();
        if !messages.is_empty() {
            return Err(Failure::Partial(format!(
                "it answered with remarks: {}",
                excerpt(&messages.join("; "))
            )));
        }
        let TimeWindow { begin, end } = time_window.unwrap_or_default();
        if begin.is_some_and(|begin| begin != since) || end.is_some_and(|end| end != until) {
            return Err(Failure::malformed(format!(
                "it answered for the time from {begin:?} to {end:?}, not for the window from {since} to {until}; \
                 choose windows of whole minutes, or ask for events in place of metrics"
            )));
        }
        Ok(number(&result.results.unwrap_or_default())?
            .map_or_else(Points::none, |value| Points::of(window, value)))
    }
}

fn millis(at: SystemTime) -> Option<u64> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let millis = u64::try_from(since.as_millis()).ok()?;
    (since == Duration::from_millis(millis)).then_some(millis)
}

/// What NerdGraph answers with status 200: an error as well.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    errors: Option<Vec<GraphError>>,
}

#[derive(Deserialize)]
struct Data {
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    nrql: Option<QueryResult>,
}

#[derive(Deserialize)]
struct QueryResult {
    results: Option<Vec<Map<String, Value>>>,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    messages: Option<Vec<String>>,
    time_window: Option<TimeWindow>,
}

#[derive(Default, Deserialize)]
struct TimeWindow {
    begin: Option<u64>,
    end: Option<u64>,
}

#[derive(Deserialize)]
struct GraphError {
    #[serde(default)]
    message: String,
    extensions: Option<Extensions>,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(rename = "errorClass")]
    class: Option<String>,
    #[serde(rename = "error_code")]
    code: Option<String>,
}

impl Answer {
    fn result(self) -> Result<QueryResult, Failure> {
        let errors = self.errors.unwrap_or_default();
        if errors.is_empty() {
            let account = self.data.and_then(|data| data.actor).and_then(|actor| actor.account);
            return account.and_then(|account| account.nrql).ok_or_else(|| {
                Failure::malformed(
                    "it answered nothing for the account; check its number and the key's rights",
                )
            });
        }
        let kinds: Vec<_> = errors.iter().flat_map(GraphError::kinds).collect();
        let is_any = |of: &[&str]| kinds.iter().any(|kind| of.contains(kind));
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        let cause = excerpt(&format!("it answered {}: {}", kinds.join(", "), messages.join("; ")));
        Err(if is_any(&["BAD_API_KEY", "ACCESS_DENIED", "FORBIDDEN", "UNAUTHENTICATED", "UNAUTHORIZED"]) {
            Failure::Denied(cause.into())
        } else if is_any(&["INTERNAL_SERVER_ERROR", "SERVER_ERROR", "TIMEOUT", "TOO_MANY_REQUESTS"]) {
            Failure::Unavailable(cause.into())
        } else {
            Failure::Malformed(cause.into())
        })
    }
}

impl GraphError {
    fn kinds(&self) -> impl Iterator<Item = &str> {
        self.extensions
            .iter()
            .flat_map(|extensions| [&extensions.class, &extensions.code])
            .flatten()
            .map(String::as_str)
    }
}

/// The one number in the rows of a result: `[{"count": 12}]`, `[{"percentile.duration": {"95": 0.3}}]`.
fn number(rows: &[Map<String, Value>]) -> Result<Option<f64>, Failure> {
    let mut numbers = Vec::new();
    for row in rows {
        for (name, value) in row {
            match value {
                Value::Object(parts) => {
                    numbers.extend(parts.iter().map(|(part, value)| (format!("{name}.{part}"), value)));
                }
                value => numbers.push((name.clone(), value)),
            }
        }
    }
    match numbers.as_slice() {
        [] => Ok(None),
        [(_, Value::Null)] => Ok(None),
        [(name, value)] => match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(Failure::malformed(format!("`{name}` is no number: {value}"))),
        },
        several => {
            let names: Vec<_> = several.iter().take(5).map(|(name, _)| name.as_str()).collect();
            Err(Failure::malformed(format!(
                "the query gives {} values ({}, …) in {} rows; select one, without FACET",
                several.len(),
                names.join(", "),
                rows.len()
            )))
        }
    }
}

impl FromStr for NrqlQuery {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = text.parse()?;
        match problem(text) {
            None => Ok(Self(template)),
            Some(problem) => {
                Err(InvalidTemplate { template: text.to_owned(), language: Nrql::NAME, problem })
            }
        }
    }
}

/// What in a query, outside of its strings, is not allowed.
fn problem(text: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut outside = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(_) if c == '\\' => drop(chars.next()),
            Some(mark) if mark == c => quote = None,
            Some(_) => {}
            None if Nrql::QUOTES.contains(c) => {
                quote = Some(c);
                outside.push(' ');
            }
            None => outside.push(c.to_ascii_uppercase()),
        }
    }
    if ["--", "//", "/*"].iter().any(|comment| outside.contains(comment)) {
        return Some("it holds a comment, which could hide the window; leave comments out");
    }
    outside.split(|c: char| !(c.is_alphanumeric() || "_.".contains(c))).find_map(|word| match word {
        "SINCE" | "UNTIL" => {
            Some("it names a time itself; leave out SINCE and UNTIL, which are the window's")
        }
        "COMPARE" | "FACET" | "TIMESERIES" => {
            Some("it would give several numbers; leave out FACET, TIMESERIES and COMPARE WITH")
        }
        "EXTRAPOLATE" => Some("it would give estimates in place of counts; leave out EXTRAPOLATE"),
        _ => None,
    })
}

impl TryFrom<String> for NrqlQuery {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NrqlQuery> for String {
    fn from(query: NrqlQuery) -> Self {
        query.0.into()
    }
}

impl fmt::Display for NrqlQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NewRelicApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "New Relic account {} at {}", self.account, self.url)
    }
}
