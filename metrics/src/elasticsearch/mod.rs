//! Elasticsearch and OpenSearch.

mod answer;
mod search;

use std::fmt;

use answer::Answer;
use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Value, json};

pub use search::{Aggregation, InvalidSearch, Search};

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{Failure, Points, Queried, QueryApi, Unfilled},
};

/// Asks Elasticsearch or OpenSearch, over the [search API].
///
/// A [`Search`] is a query for documents, and what to make of them: their number, or an aggregation of a field. The
/// window is added to it, as a range of the time field after its start and up to its end, so that consecutive
/// windows neither lose nor double a document; it is written to the nanosecond, since Elasticsearch rounds what is
/// written shorter. Fields of the type `date` keep milliseconds. A document can be found a while after it was
/// written (`refresh_interval`, by default 1 s; on Elasticsearch Serverless longer), so ask that much later.
///
/// A search that timed out, or that shards or remote clusters did not answer, is
/// [partial](crate::Missing::SourceError). Percentiles are estimates (t-digest), and so readings.
///
/// Credentials (`Authorization: ApiKey …` or `Basic …`) are default headers of the caller's client.
///
/// ```
/// use serde_json::json;
/// use tidegate_metrics::{Elasticsearch, Metric, elasticsearch::Search, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let version = json!({"term": {"model.version": "{{version}}"}});
/// let errors = json!({"bool": {"filter": [version, {"range": {"status": {"gte": 500}}}]}});
/// let errors = Query::proportion(
///     Search::new("requests-*", errors.try_into()?)?,
///     Search::new("requests-*", version.try_into()?)?,
/// );
/// let source =
///     Elasticsearch::new(reqwest::Client::new(), "http://localhost:9200")?.with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "Elasticsearch at http://localhost:9200/");
/// # Ok(())
/// # }
/// ```
///
/// [search API]: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search
pub type Elasticsearch = Queried<ElasticsearchApi>;

/// One cluster.
#[derive(Clone, Debug)]
pub struct ElasticsearchApi {
    http: Http,
    url: BaseUrl,
    time_field: String,
}

/// What is searched for one side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchQuestion {
    index: String,
    query: Value,
    aggregation: Option<Aggregation>,
}

impl Elasticsearch {
    /// The cluster at `base_url`. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(http: impl Into<Http>, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "Elasticsearch", "http://localhost:9200")?;
        Ok(Self::over(ElasticsearchApi { http: http.into(), url, time_field: "@timestamp".to_owned() }))
    }

    /// The field of the type `date` or `date_nanos` that says when; default `@timestamp`.
    #[must_use]
    pub fn with_time_field(self, name: impl Into<String>) -> Self {
        self.map_api(|api| ElasticsearchApi { time_field: name.into(), ..api })
    }
}

impl ElasticsearchApi {
    fn url(&self, index: &str) -> Url {
        self.url.join([index, "_search"])
    }

    fn body(&self, question: &SearchQuestion, window: Window) -> Value {
        let [after, up_to] =
            [window.start(), window.end()].map(|at| humantime::format_rfc3339_nanos(at).to_string());
        let range = json!({"gt": after, "lte": up_to, "format": "strict_date_optional_time_nanos"});
        let mut body = json!({
            "size": 0,
            "track_total_hits": true,
            "timeout": format!("{}ms", self.http.timeout().as_millis().max(1)),
            "query": {"bool": {"filter": [{"range": {self.time_field.as_str(): range}}, question.query]}},
        });
        if let Some(aggregation) = &question.aggregation {
            body["aggs"] = json!({answer::NAME: aggregation.request()});
        }
        body
    }
}

#[async_trait]
impl QueryApi for ElasticsearchApi {
    type Expression = Search;
    type Question = SearchQuestion;

    fn fill(&self, search: &Search, selector: &Selector, window: Window) -> Result<SearchQuestion, Unfilled> {
        let (index, query) = search.fill(selector, window)?;
        Ok(SearchQuestion { index, query, aggregation: search.aggregation().cloned() })
    }

    async fn ask(&self, question: &SearchQuestion, window: Window) -> Result<Points, Failure> {
        let (url, body) = (self.url(&question.index), self.body(question, window));
        let answer: Answer = self.http.ask_json(|client| client.post(url.clone()).json(&body)).await?;
        let value = answer.value(question.aggregation.as_ref())?;
        Ok(value.map_or_else(Points::none, |value| Points::of(window, value)))
    }
}

impl fmt::Display for ElasticsearchApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Elasticsearch at {}", self.url)
    }
}
