//! InfluxDB 3.

use std::{collections::BTreeMap, fmt, str::FromStr};

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{credential, rows};
use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{
        Escape, Failure, InvalidTemplate, Language, Place, Points, Queried, QueryApi, Template, Unfilled,
    },
};

/// Asks InfluxDB 3 in SQL, over its [query API].
///
/// Values of labels are [parameters] of the query, never part of its text: gaps stand where a value stands, without
/// quotes, and in `WHERE` alone, where InfluxDB takes parameters. `{{start}}` and `{{end}}` are the window's bounds;
/// a query holds to the window by `time > {{start}} AND time <= {{end}}`. Ask when what is written late has been
/// written.
///
/// A query must give one column of numbers, with `time` beside it unless it has one row: several are refused by
/// name. Times without a zone are UTC, as InfluxDB writes them. A value that is null is no point; one that is not
/// finite, which InfluxDB writes as `null` in so many letters, is [not a number](crate::Missing::NotANumber).
///
/// ```
/// use reqwest::header::HeaderValue;
/// use tidegate_metrics::{InfluxDb3, Metric, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let of = "FROM requests WHERE version = {{version}} AND time > {{start}} AND time <= {{end}}";
/// let errors = Query::proportion(
///     format!("SELECT sum(errors) AS n {of}").parse()?,
///     format!("SELECT sum(total) AS n {of}").parse()?,
/// );
/// # let token = String::from("secret");
/// let token = HeaderValue::from_str(&token)?;
/// let source = InfluxDb3::new(reqwest::Client::new(), "http://localhost:8181", "models", &token)?
///     .with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "InfluxDB 3 database models at http://localhost:8181/");
/// # Ok(())
/// # }
/// ```
///
/// [query API]: https://docs.influxdata.com/influxdb3/core/query-data/execute-queries/influxdb-v3-api/
/// [parameters]: https://docs.influxdata.com/influxdb3/core/query-data/sql/parameterized-queries/
pub type InfluxDb3 = Queried<InfluxDb3Api>;

/// One database of an InfluxDB 3. Its token is sent, never printed.
#[derive(Clone, Debug)]
pub struct InfluxDb3Api {
    http: Http,
    url: BaseUrl,
    database: String,
    authorization: HeaderValue,
}

/// A query in SQL with gaps, outside of quotes, for labels and for both bounds of the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SqlQuery(Template<Parameters>);

/// SQL whose gaps are filled with the names of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parameters;

/// A query and what its parameters are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SqlQuestion {
    query: String,
    parameters: BTreeMap<String, String>,
}

impl Language for Parameters {
    const NAME: &'static str = "SQL";
    const QUOTES: &'static str = "'\"";
    const BACKSLASH: bool = false;

    fn escape(place: Place<'_>) -> Result<Escape, &'static str> {
        match place.quote {
            None => Ok(Escape::Verbatim),
            Some(_) => Err("{{label}} stands for a whole value; write it without quotes around it"),
        }
    }
}

impl InfluxDb3 {
    /// The database of this name at `base_url`, asked with a token that may read it. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(
        http: impl Into<Http>,
        base_url: &str,
        database: impl Into<String>,
        token: &HeaderValue,
    ) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "InfluxDB", "http://localhost:8181")?;
        let (authorization, database) = (credential("Bearer", token), database.into());
        Ok(Self::over(InfluxDb3Api { http: http.into(), url, database, authorization }))
    }
}

impl SqlQuery {
    fn fill(&self, selector: &Selector, window: Window) -> Result<SqlQuestion, Unfilled> {
        let mut parameters = BTreeMap::new();
        let mut names = Selector::default();
        for (index, label) in self.0.labels().enumerate() {
            let bound = match label {
                "start" => Some(window.start()),
                "end" => Some(window.end()),
                _ => None,
            };
            if let Some(at) = bound {
                // In the query itself: a parameter would be a string, and compared as one.
                names = names.with(label, format!("'{}'", humantime::format_rfc3339_nanos(at)));
            } else if names.get(label).is_none() {
                let value =
                    selector.get(label).ok_or_else(|| Unfilled::Missing { label: label.to_owned() })?;
                let name = format!("label{index}");
                names = names.with(label, format!("${name}"));
                parameters.insert(name, value.to_owned());
            }
        }
        Ok(SqlQuestion { query: self.0.fill(&names, window)?, parameters })
    }
}

#[async_trait]
impl QueryApi for InfluxDb3Api {
    type Expression = SqlQuery;
    type Question = SqlQuestion;

    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<SqlQuestion, Unfilled> {
        expression.fill(selector, window)
    }

    async fn ask(&self, question: &SqlQuestion, window: Window) -> Result<Points, Failure> {
        let SqlQuestion { query, parameters } = question;
        let question = json!({"db": self.database, "q": query, "params": parameters, "format": "json"});
        let url = self.url.join(["api", "v3", "query_sql"]);
        let answer: Vec<Map<String, Value>> = self
            .http
            .ask_json(|client| {
                client
                    .post(url.clone())
                    .header(AUTHORIZATION, self.authorization.clone())
                    .header(ACCEPT, "application/json")
                    .json(&question)
            })
            .await?;
        rows::points(&answer, window)
    }
}

impl FromStr for SqlQuery {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid =
            |problem| InvalidTemplate { template: text.to_owned(), language: Parameters::NAME, problem };
        let template: Template<Parameters> = text.parse()?;
        let names = |name| template.labels().any(|label| label == name);
        if !(names("start") && names("end")) {
            return Err(invalid("it does not name the window; write time > {{start}} AND time <= {{end}}"));
        }
        if template.labels().all(|label| matches!(label, "start" | "end")) {
            return Err(invalid(
                "it names no label, so every side would get the same answer; write {{label}}",
            ));
        }
        Ok(Self(template))
    }
}

impl TryFrom<String> for SqlQuery {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SqlQuery> for String {
    fn from(query: SqlQuery) -> Self {
        query.0.into()
    }
}

impl fmt::Display for SqlQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InfluxDb3Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfluxDB 3 database {} at {}", self.database, self.url)
    }
}
