//! Numbers in any JSON that comes over HTTP.

mod numbers;
mod path;
mod request;

use std::fmt;

use async_trait::async_trait;
pub use path::{InvalidJsonPath, JsonPath};
pub use request::{InvalidRequest, JsonQuestion, JsonRequest, TimeUnit, Times};
use reqwest::{Url, header::ACCEPT};

use crate::{
    Http, InvalidBaseUrl, Selector, Window,
    http::BaseUrl,
    query::{Failure, Points, Queried, QueryApi, Unfilled},
};

/// Asks any server that answers with JSON, and finds the numbers by JSONPath ([RFC 9535]).
///
/// A [`JsonRequest`] says where to ask and where the numbers are. It names the window, in the URL or the body, or
/// the answer has times: what a server says of "now" or of "the last five minutes" is of no window. Whether bounds
/// belong to the window is up to the server: it should count what is after the start and up to the end. If it counts
/// from the start on and before the end, windows still neither lose nor double anything.
///
/// * Numbers may be written as strings, `"NaN"` and `"+Inf"` as well. Anything else that a path finds is refused.
/// * A path that finds nothing, or `null`: no point.
/// * Any status but 200 is an error, by what it means.
///
/// A path takes time in proportion to the answer, not more: it may have one `..`, no `$` in a filter, a few
/// brackets in brackets and selectors at once; answers may have 200 000 values. The functions `match` and
/// `search` are not there.
///
/// Credentials are default headers of the caller's client.
///
/// ```
/// use tidegate_metrics::{JsonApi, Metric, json::JsonRequest, query::Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let counts = "/counts?version={{version}}&after={{start_ms}}&until={{end_ms}}";
/// let errors =
///     Query::proportion(JsonRequest::get(counts, "$.errors")?, JsonRequest::get(counts, "$.requests")?);
/// let source =
///     JsonApi::new(reqwest::Client::new(), "http://localhost:3000/api")?.with_query(Metric::errors(), errors);
/// assert_eq!(source.to_string(), "JSON API at http://localhost:3000/api");
/// # Ok(())
/// # }
/// ```
///
/// [RFC 9535]: https://www.rfc-editor.org/rfc/rfc9535
pub type JsonApi = Queried<JsonServer>;

/// One server.
#[derive(Clone, Debug)]
pub struct JsonServer {
    http: Http,
    url: BaseUrl,
}

impl JsonApi {
    /// The server at `base_url`, below which its requests go. It knows no metric yet.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(http: impl Into<Http>, base_url: &str) -> Result<Self, InvalidBaseUrl> {
        let url = BaseUrl::parse(base_url, "the JSON API", "http://localhost:3000/api")?;
        Ok(Self::over(JsonServer { http: http.into(), url }))
    }
}

impl JsonServer {
    /// The URL of `target`, a path and a query that are percent-encoded already.
    fn url(&self, target: &str) -> Url {
        let mut url = self.url.join([]);
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(query);
        url
    }
}

#[async_trait]
impl QueryApi for JsonServer {
    type Expression = JsonRequest;
    type Question = JsonQuestion;

    fn fill(
        &self,
        request: &JsonRequest,
        selector: &Selector,
        window: Window,
    ) -> Result<JsonQuestion, Unfilled> {
        request.fill(selector, window)
    }

    async fn ask(&self, question: &JsonQuestion, window: Window) -> Result<Points, Failure> {
        let url = self.url(&question.target);
        let answer = self
            .http
            .ask(|client| {
                let request = match &question.body {
                    None => client.get(url.clone()),
                    Some(body) => client.post(url.clone()).json(body),
                };
                request.header(ACCEPT, "application/json")
            })
            .await?
            .successful()?;
        numbers::points(&answer.body, &question.look, window)
    }
}

impl fmt::Display for JsonServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON API at {}", self.url)
    }
}
