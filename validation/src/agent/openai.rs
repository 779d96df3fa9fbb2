//! A model behind an OpenAI-compatible chat endpoint.

mod bearer;
mod retry;
mod wire;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap},
};
use tidegate_registry::Invalid;
use tokio::time::Instant;

use self::{
    bearer::Bearer,
    retry::{Backoff, asked_wait},
    wire::{Problem, parse},
};
pub use self::{retry::Retry, wire::TokenLimit};
use crate::{Agent, AgentError, AgentId, Call, Reply, Request, excerpt::excerpt};

/// A model behind `POST {base}/chat/completions`, the protocol of OpenAI that vLLM, llama.cpp, Ollama,
/// TGI and most gateways speak too.
///
/// TLS, proxies and extra headers are the business of the [`reqwest::Client`] that is passed in.
/// Failures to connect and the statuses 408, 425, 429 and 5xx are tried again, after the time that the server asks
/// for or a random one, as long as the call's time lasts.
///
/// ```no_run
/// use tidegate_validation::OpenAi;
///
/// # fn main() -> Result<(), tidegate_registry::Invalid> {
/// let client = reqwest::Client::new();
/// let agent = OpenAi::new(client, "http://127.0.0.1:8080/v1", "support-bot")?.bearer("secret")?;
/// # let _ = agent;
/// # Ok(())
/// # }
/// ```
pub struct OpenAi {
    client: reqwest::Client,
    url: Url,
    model: String,
    id: AgentId,
    bearer: Option<Bearer>,
    token_limit: TokenLimit,
    longest_body: usize,
    retry: Retry,
    calls: AtomicU64,
}

/// What came of one attempt.
enum Attempt {
    Answered(Reply),
    /// It may go better later, at the earliest after this time if the server said so.
    Later {
        why: String,
        wait: Option<Duration>,
        source: Option<reqwest::Error>,
    },
    Final(AgentError),
}

impl OpenAi {
    /// Longest answer that is read unless [`longest_body`](Self::longest_body) says otherwise, in bytes.
    pub const LONGEST_BODY: usize = 4 << 20;

    /// The model called `model` at `base`, the URL below which `chat/completions` lies, usually
    /// ending in `/v1`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a `base` that is no HTTP URL, or holds a password or parameters.
    pub fn new(client: reqwest::Client, base: &str, model: impl Into<String>) -> Result<Self, Invalid> {
        // Passwords and parameters, which are often keys, are not repeated in the message.
        let plain = base.split(['?', '#']).next().unwrap_or_default();
        let shown = if base.contains('@') { "(hidden)" } else { plain };
        let invalid = |why: &str| Invalid::new("endpoint", shown, why);
        let mut url = Url::parse(base)
            .map_err(|error| invalid(&format!("{error}; write a URL such as http://127.0.0.1:8080/v1")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it holds credentials; pass the token apart from the URL"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must not have a `?` or `#` part; put fixed parameters into the client"));
        }
        let model = model.into();
        let id = AgentId::new(format!("{} at {}", excerpt(&model, 100), url.as_str().trim_end_matches('/')));
        url.path_segments_mut()
            .expect("an http URL has path segments")
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(Self {
            client,
            url,
            model,
            id,
            bearer: None,
            token_limit: TokenLimit::default(),
            longest_body: Self::LONGEST_BODY,
            retry: Retry::default(),
            calls: AtomicU64::new(0),
        })
    }

    /// This agent, authenticated by a bearer token. The token appears in no error and no `Debug`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a token that no HTTP header can hold, such as one with a line break at its end.
    pub fn bearer(mut self, token: impl Into<String>) -> Result<Self, Invalid> {
        self.bearer = Some(Bearer::new(token.into())?);
        Ok(self)
    }

    /// This agent, told the longest answer in this field.
    #[must_use]
    pub const fn token_limit(mut self, field: TokenLimit) -> Self {
        self.token_limit = field;
        self
    }

    /// This agent, retrying like this.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// This agent, reading answers of at most so many bytes.
    #[must_use]
    pub const fn longest_body(mut self, bytes: usize) -> Self {
        self.longest_body = bytes;
        self
    }

    /// One attempt within `left`.
    async fn attempt(&self, body: &wire::Body<'_>, left: Duration) -> Attempt {
        let start = Instant::now();
        let exchange = async {
            let mut request = self.client.post(self.url.clone()).json(body);
            if let Some(bearer) = &self.bearer {
                request = request.header(AUTHORIZATION, bearer.header());
            }
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read(response, self.longest_body).await?;
            Ok((status, headers, body))
        };
        match tokio::time::timeout(left, exchange).await {
            Err(_) => Attempt::Final(self.timed_out(start.elapsed())),
            Ok(Err(error)) => self.failed(error, start.elapsed()),
            Ok(Ok((status, headers, body))) => match self.judge(status, &headers, &body) {
                Attempt::Answered(reply) => Attempt::Answered(Reply { latency: start.elapsed(), ..reply }),
                other => other,
            },
        }
    }

    fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &Body) -> Attempt {
        if !status.is_success() {
            return self.refused(status, headers, &body.bytes);
        }
        let parsed = match body.whole {
            true => parse(&body.bytes),
            false => {
                Err(format!("it is longer than {} bytes; lower max_tokens or allow more", self.longest_body))
            }
        };
        parsed.map_or_else(|why| Attempt::Final(self.malformed(&why)), Attempt::Answered)
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Attempt {
        let problem = Problem::read(body);
        // Azure OpenAI answers 400 where others end the reply with the finish reason `content_filter`.
        if problem.code.as_deref() == Some("content_filter") {
            let reply = Reply::default().with_finish_reason("content_filter");
            return Attempt::Answered(reply.with_refusal(self.shown(&problem.message)));
        }
        let said = self.shown(&problem.message);
        let exhausted = problem.code.as_deref() == Some("insufficient_quota");
        let busy = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        if busy && !exhausted {
            let why = format!("status {}: {said}", status.as_u16());
            return Attempt::Later { why, wait: asked_wait(headers), source: None };
        }
        let remedy = match status.as_u16() {
            400 => problem.remedy(),
            300..=399 => "; give the URL that it redirects to",
            401 | 403 => "; check the token",
            404 => {
                "; check the model's name, and that the URL ends where chat/completions begins, often in /v1"
            }
            413 => "; shorten the prompt",
            429 => "; the quota is used up",
            _ => "",
        };
        let why = format!("{said}{remedy}");
        Attempt::Final(AgentError::Refused { agent: self.id.clone(), status: status.as_u16(), why })
    }

    fn failed(&self, error: reqwest::Error, waited: Duration) -> Attempt {
        if error.is_timeout() && !error.is_connect() {
            return Attempt::Final(self.timed_out(waited));
        }
        // The URL may hold what a proxy or a caller put there.
        let (connecting, error) = (error.is_connect(), error.without_url());
        if error.is_builder() {
            let agent = self.id.clone();
            return Attempt::Final(AgentError::Misconfigured { agent, source: error.into() });
        }
        if error.is_redirect() {
            let why = "it redirects without end; give the URL that answers itself";
            return Attempt::Final(self.malformed(why));
        }
        let why = if connecting { "cannot connect" } else { "the connection broke" };
        Attempt::Later { why: why.to_owned(), wait: None, source: Some(error) }
    }

    fn timed_out(&self, waited: Duration) -> AgentError {
        AgentError::TimedOut { agent: self.id.clone(), waited }
    }

    fn malformed(&self, why: &str) -> AgentError {
        AgentError::Malformed { agent: self.id.clone(), why: self.shown(why) }
    }

    /// What the server said, fit to be shown: without the token, and not too much of it.
    fn shown(&self, text: &str) -> String {
        const LONGEST: usize = 250;
        match &self.bearer {
            Some(bearer) => excerpt(&bearer.hide(text), LONGEST),
            None => excerpt(text, LONGEST),
        }
    }
}

#[async_trait]
impl Agent for OpenAi {
    fn fingerprint(&self) -> AgentId {
        self.id.clone()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let start = Instant::now();
        let left = || call.timeout.saturating_sub(start.elapsed());
        let body = wire::Body::new(&self.model, request, self.token_limit);
        let mut backoff = Backoff::new(self.retry, self.calls.fetch_add(1, Ordering::Relaxed));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (why, wait, source) = match self.attempt(&body, left()).await {
                Attempt::Answered(reply) => return Ok(Reply { retries: attempts - 1, ..reply }),
                Attempt::Final(error) => return Err(error),
                Attempt::Later { why, wait, source } => (why, wait, source),
            };
            let next = backoff.next().map(|random| wait.unwrap_or(random));
            match next.filter(|&next| next < left()) {
                Some(next) => tokio::time::sleep(next).await,
                None => {
                    let agent = self.id.clone();
                    let source = source.map(Into::into);
                    return Err(AgentError::Unavailable { agent, why, attempts, source });
                }
            }
        }
    }
}

/// As much of a body as may be kept, and whether that is all of it.
struct Body {
    bytes: Vec<u8>,
    whole: bool,
}

async fn read(mut response: reqwest::Response, longest: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = longest - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(Body { bytes, whole: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, whole: true })
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("url", &self.url.as_str())
            .field("model", &self.model)
            .field("bearer", &self.bearer)
            .field("token_limit", &self.token_limit)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
