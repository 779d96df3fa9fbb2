//! How sources ask servers: over the caller's client, within bounds of time, size and patience.

mod base_url;
mod exchange;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use base_url::BaseUrl;
pub use base_url::InvalidBaseUrl;
pub use exchange::Exchange;
use exchange::Question;

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::{query::Failure, telemetry};

/// How a source asks a server: a client that the caller has configured (TLS, credentials in its default
/// headers, proxy), and the bounds of every question.
///
/// A question that finds the server unreachable, overloaded (429) or broken (5xx) is put again, as long as its
/// time and its tries last. Questions only read, so that asking twice changes nothing.
///
/// The client should follow no redirects (`reqwest::redirect::Policy::none()`): of a redirect to another host it
/// holds back `Authorization` only, not the headers in which other keys are sent.
///
/// ```
/// # use std::time::Duration;
/// # use tidegate_metrics::Http;
/// let http = Http::new(reqwest::Client::new()).with_timeout(Duration::from_secs(3)).with_retries(1);
/// ```
#[derive(Clone)]
pub struct Http {
    client: Client,
    timeout: Duration,
    retries: u32,
    response_limit: usize,
    watch: Option<Arc<Watch>>,
}

/// What is told of every exchange.
type Watch = dyn Fn(&Exchange<'_>) + Send + Sync;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    #[allow(dead_code, reason = "JSON is told by its status; pages of text are not")]
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// Over `client`, with the default bounds.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client, timeout: Duration::from_secs(10), retries: 2, response_limit: 16 << 20, watch: None }
    }

    /// How long one question may take, all its tries and the body of the answer included; default 10 s.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a question may be put again; default 2.
    #[must_use]
    pub const fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How many bytes one answer may have; default 16 MiB.
    #[must_use]
    pub const fn with_response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// Tells `watch` of every answer that came, whatever its status: for showing the raw evidence, and for records
    /// to test with.
    #[must_use]
    pub fn watched_by(mut self, watch: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    #[allow(dead_code, reason = "not every source says it to its server")]
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    #[allow(dead_code, reason = "CloudWatch alone is busy with another status")]
    pub(crate) const fn retries(&self) -> u32 {
        self.retries
    }

    /// How long to wait after so many tries.
    pub(crate) const fn pause(tried: u32) -> Duration {
        let doublings = 2 * if tried < 4 { tried } else { 4 };
        Duration::from_millis(100 << doublings)
    }

    /// Puts the question that `request` makes of the client, and gives the answer of whatever status, except
    /// for those that mean "later" after all tries.
    pub(crate) async fn ask(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Send + Sync,
    ) -> Result<Answer, Failure> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut observed = telemetry::Request::begin();
        let span = observed.span.clone();
        let tries = async {
            let mut tried = 0;
            loop {
                let pause = match self.ask_once(request(&self.client)).await {
                    Err(Failed::Now(failure)) => return Err(failure),
                    Err(Failed::Later { failure, .. }) if tried >= self.retries => return Err(failure),
                    Err(Failed::Later { failure, after }) => {
                        let pause = after.unwrap_or_else(|| Self::pause(tried));
                        // What would end in a time-out is rather told by what the server said.
                        if tokio::time::Instant::now() + pause >= deadline {
                            return Err(failure);
                        }
                        pause
                    }
                    Ok(answer) => return Ok(answer),
                };
                tried += 1;
                tokio::time::sleep(pause).await;
                observed.retry();
            }
        };
        let answered = tokio::time::timeout(self.timeout, tries.instrument(span)).await;
        let answered = answered.unwrap_or_else(|_| {
            Err(Failure::Unavailable(format!("it did not answer within {:?}", self.timeout).into()))
        });
        observed.end(&answered);
        answered
    }

    /// Puts the question and reads the answer as JSON. Any status but 200 is a failure with the beginning of
    /// what the server said.
    #[allow(dead_code, reason = "not every source answers in JSON")]
    pub(crate) async fn ask_json<T: DeserializeOwned>(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Send + Sync,
    ) -> Result<T, Failure> {
        let answer = self.ask(request).await?.successful()?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::malformed(format!("it is not the expected JSON: {error}")))
    }

    async fn ask_once(&self, request: RequestBuilder) -> Result<Answer, Failed> {
        let (client, request) = request.build_split();
        let request = request?;
        let watched = self.watch.as_deref().map(|watch| (Question::of(&request), watch));
        let response = client.execute(request).await?;
        let status = response.status();
        let after = retry_after(&response);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let body = self.body(response).await?;
        if let Some((question, watch)) = watched {
            question.answered(status, &body, watch);
        }
        let answer = Answer { status, content_type, body };
        let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        if later || status.is_server_error() {
            return match answer.successful() {
                Err(failure) => Err(Failed::Later { failure, after }),
                Ok(answer) => Ok(answer),
            };
        }
        Ok(answer)
    }

    /// The whole body, but never more than the limit.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failed> {
        let limit = self.response_limit;
        // What the server says of the length is a hint, not a promise.
        let hint = response.content_length().unwrap_or_default().min(limit as u64);
        let mut body = Vec::with_capacity(hint as usize);
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(Failed::Now(Failure::malformed(format!(
                    "the answer is longer than {limit} bytes; ask for less or raise the limit"
                ))));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Answer {
    /// The answer, if its status says that it is one.
    pub(crate) fn successful(self) -> Result<Self, Failure> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        let text = excerpt(&String::from_utf8_lossy(&self.body));
        Err(Failure::by_status(self.status, format!("HTTP {}: {text}", self.status).into()))
    }
}

/// Why one try gave no answer.
enum Failed {
    Later { failure: Failure, after: Option<Duration> },
    Now(Failure),
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        let is_final = error.is_builder() || error.is_redirect();
        // The error around it names the server, without what the URL may hold besides.
        let failure = Failure::Unavailable(error.without_url().into());
        if is_final { Self::Now(failure) } else { Self::Later { failure, after: None } }
    }
}

/// `Retry-After` in seconds. Its other form, a date, would need a clock.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The beginning of what somebody else wrote, short enough for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 300;
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LENGTH).collect();
    if text.chars().nth(LENGTH).is_some() {
        short.push('…');
    }
    short
}

impl From<Client> for Http {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}

/// Without the client, whose default headers may hold credentials.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("response_limit", &self.response_limit)
            .finish_non_exhaustive()
    }
}
