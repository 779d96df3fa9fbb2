//! One URL that is asked, again if need be, and what each way of failing means.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap},
};
use tidegate_registry::{Digest, Invalid};
use tokio::time::Instant;

use super::{
    Body, Problem, Retry,
    bearer::Bearer,
    retry::{Backoff, asked_wait},
};
use crate::{
    AgentError, AgentId, Attempts, Call, Experience, Limiter, Permit, budget, excerpt::excerpt, telemetry,
};

/// What is said over an [`Endpoint`], and how its answers are read.
#[async_trait]
pub(crate) trait Exchange: Send + Sync {
    type Answer: Send;

    /// The request, but for the token.
    fn request(&self, client: &Client, url: &Url) -> RequestBuilder;

    /// The most tokens that it may take, for limits of the rate.
    fn tokens(&self) -> u64;

    /// The answer in a successful response to what was sent at `sent`.
    async fn read(&self, response: Response, sent: Instant) -> Result<Self::Answer, Fault>;

    /// The answer that an error really is, if it is one, in words fit to be shown.
    fn answer_in(&self, problem: &Problem, said: &str) -> Option<Self::Answer>;
}

/// Why a successful response holds no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection broke.
    Broken(reqwest::Error),
    /// The server gave up after a part of the answer.
    Interrupted(String),
    /// The server gave up before it answered anything.
    Later(String),
    /// It is no answer.
    Malformed(String),
}

/// An answer, and what it took.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) answer: T,
    pub(crate) latency: Duration,
    pub(crate) retries: u32,
}

/// A URL and the manners in which it is asked.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    id: AgentId,
    bearer: Option<Bearer>,
    calls: AtomicU64,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) longest_body: usize,
    pub(crate) retry: Retry,
}

/// What came of one attempt.
enum Attempt<T> {
    Answered(T, Duration),
    /// It may go better later, at the earliest after this time if the server said so.
    Later {
        why: String,
        wait: Option<Duration>,
        source: Option<reqwest::Error>,
        experience: Experience,
        /// Whether the server may have worked on an answer all the same, and may ask to be paid for it.
        may_cost: bool,
    },
    Final(AgentError),
}

impl Endpoint {
    /// Longest answer that is read unless told otherwise, in bytes.
    pub(crate) const LONGEST_BODY: usize = 4 << 20;

    pub(crate) fn new(client: Client, url: Url, id: AgentId) -> Self {
        Self {
            client,
            url,
            id,
            bearer: None,
            calls: AtomicU64::new(0),
            limiter: None,
            longest_body: Self::LONGEST_BODY,
            retry: Retry::default(),
        }
    }

    /// `text` as a URL that can be asked and shown.
    pub(crate) fn url(text: &str) -> Result<Url, Invalid> {
        // Passwords and parameters, which are often keys, are not repeated in the message.
        let plain = text.split(['?', '#']).next().unwrap_or_default();
        let shown = if text.contains('@') { "(hidden)" } else { plain };
        let invalid = |why: &str| Invalid::new("endpoint", shown, why);
        let url = Url::parse(text)
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
        Ok(url)
    }

    pub(crate) fn id(&self) -> &AgentId {
        &self.id
    }

    pub(crate) fn set_id(&mut self, id: AgentId) {
        self.id = id;
    }

    pub(crate) fn url_asked(&self) -> &Url {
        &self.url
    }

    pub(crate) fn set_bearer(&mut self, token: String) -> Result<(), Invalid> {
        self.bearer = Some(Bearer::new(token)?);
        Ok(())
    }

    /// The answer to `exchange`, however many attempts of those that the call allows it takes within its time.
    pub(crate) async fn ask<E: Exchange>(
        &self,
        exchange: &E,
        call: &Call,
    ) -> Result<Answered<E::Answer>, AgentError> {
        let start = Instant::now();
        let left = || call.timeout.saturating_sub(start.elapsed());
        let retry = match call.attempts {
            Attempts::AsSet => self.retry,
            Attempts::One => Retry { retries: 0, ..self.retry },
        };
        let mut backoff = Backoff::new(retry, self.calls.fetch_add(1, Ordering::Relaxed));
        let mut attempts = 0;
        loop {
            let permit = self.permit(exchange.tokens(), left(), attempts).await?;
            attempts += 1;
            let attempt = self.attempt(exchange, left()).await;
            if let Some(permit) = permit {
                permit.end(attempt.experience());
            }
            let (mut why, wait, source) = match attempt {
                Attempt::Answered(answer, latency) => {
                    return Ok(Answered { answer, latency, retries: attempts - 1 });
                }
                Attempt::Final(error) => return Err(error),
                Attempt::Later { why, wait, source, may_cost, .. } => {
                    if may_cost {
                        budget::failed();
                    }
                    (why, wait, source)
                }
            };
            let next = backoff.next().map(|random| wait.unwrap_or(random));
            if let Some(next) = next.filter(|&next| next < left()) {
                tokio::time::sleep(next).await;
                match tokio::time::timeout(left(), budget::again()).await {
                    Ok(Ok(())) => {
                        telemetry::retried();
                        continue;
                    }
                    Ok(Err(shortage)) => why.push_str(&format!(", and for another attempt {shortage}")),
                    Err(_) => why.push_str(", and the budget left no room for another attempt in time"),
                }
            }
            let (agent, source) = (self.id.clone(), source.map(Into::into));
            return Err(AgentError::Unavailable { agent, why, attempts, source });
        }
    }

    async fn permit(&self, tokens: u64, left: Duration, attempts: u32) -> Result<Option<Permit>, AgentError> {
        let Some(limiter) = &self.limiter else { return Ok(None) };
        let permit = tokio::time::timeout(left, limiter.acquire(tokens)).await;
        permit.map(Some).map_err(|_| {
            let why =
                "its own limits left no room for the call in time; allow more, or a longer call timeout";
            AgentError::Unavailable { agent: self.id.clone(), why: why.to_owned(), attempts, source: None }
        })
    }

    /// One attempt within `left`.
    async fn attempt<E: Exchange>(&self, exchange: &E, left: Duration) -> Attempt<E::Answer> {
        let start = Instant::now();
        let attempt = async {
            let mut request = exchange.request(&self.client, &self.url);
            if let Some(bearer) = &self.bearer {
                request = request.header(AUTHORIZATION, bearer.header());
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return self.unsent(error, start.elapsed()),
            };
            if response.url().origin() != self.url.origin() {
                return Attempt::Final(self.malformed(
                    "it redirects to another server; give the URL that answers itself, and a client that follows none",
                ));
            }
            if !response.status().is_success() {
                return self.refused(exchange, response, start).await;
            }
            match exchange.read(response, start).await {
                Ok(answer) => Attempt::Answered(answer, start.elapsed()),
                Err(fault) => self.faulted(fault, start.elapsed()),
            }
        };
        match tokio::time::timeout(left, attempt).await {
            Ok(attempt) => attempt,
            Err(_) => Attempt::Final(self.timed_out(start.elapsed())),
        }
    }

    async fn refused<E: Exchange>(
        &self,
        exchange: &E,
        response: Response,
        start: Instant,
    ) -> Attempt<E::Answer> {
        let (status, headers) = (response.status(), response.headers().clone());
        // Half of what it says is better than nothing.
        let bytes = Body::read(response, self.longest_body).await.map(|body| body.bytes).unwrap_or_default();
        let problem = Problem::read(&bytes);
        let said = self.shown(&problem.message);
        match exchange.answer_in(&problem, &said) {
            Some(answer) => Attempt::Answered(answer, start.elapsed()),
            None => self.classify(status, &headers, &problem, said),
        }
    }

    fn classify<T>(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        problem: &Problem,
        said: String,
    ) -> Attempt<T> {
        let exhausted = problem.code.as_deref() == Some("insufficient_quota");
        let busy = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        if busy && !exhausted {
            let why = format!("status {}: {said}", status.as_u16());
            let wait = asked_wait(headers);
            let experience = match status.as_u16() {
                429 | 503 | 529 => Experience::Overloaded { wait },
                _ => Experience::Unknown,
            };
            // What is refused for the load or the rate was not begun.
            let may_cost = !matches!(status.as_u16(), 425 | 429 | 503 | 529);
            return Attempt::Later { why, wait, source: None, experience, may_cost };
        }
        let remedy = match status.as_u16() {
            400 => problem.remedy(),
            300..=399 => "; give the URL that it redirects to",
            401 | 403 => "; check the token",
            404 => "; check the model's name, and the URL: for an OpenAI-compatible API it often ends in /v1",
            413 => "; shorten the prompt",
            429 => "; the quota is used up",
            _ => "",
        };
        let why = format!("{said}{remedy}");
        Attempt::Final(AgentError::Refused { agent: self.id.clone(), status: status.as_u16(), why })
    }

    fn unsent<T>(&self, error: reqwest::Error, waited: Duration) -> Attempt<T> {
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
        let experience = Experience::Unknown;
        let may_cost = !connecting;
        Attempt::Later { why: why.to_owned(), wait: None, source: Some(error), experience, may_cost }
    }

    fn faulted<T>(&self, fault: Fault, waited: Duration) -> Attempt<T> {
        let agent = self.id.clone();
        Attempt::Final(match fault {
            Fault::Broken(error) if error.is_timeout() => self.timed_out(waited),
            Fault::Broken(error) => {
                let why = "the connection broke".to_owned();
                AgentError::Interrupted { agent, why, source: Some(error.without_url().into()) }
            }
            Fault::Interrupted(why) => AgentError::Interrupted { agent, why: self.shown(&why), source: None },
            Fault::Later(why) => {
                let why = self.shown(&why);
                let experience = Experience::Unknown;
                return Attempt::Later { why, wait: None, source: None, experience, may_cost: true };
            }
            Fault::Malformed(why) => self.malformed(&why),
        })
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

impl AgentId {
    /// The model called `model` below `base`, told from every other however long its name is.
    pub(crate) fn model_at(model: &str, base: &Url, how: &str) -> Self {
        const LONGEST: usize = 100;
        let mut name = excerpt(model, LONGEST);
        if model.chars().nth(LONGEST).is_some() {
            name += &format!(" ({:.19})", Digest::of(model).to_string());
        }
        Self::new(format!("{name} at {}{how}", base.as_str().trim_end_matches('/')))
    }
}

impl<T> Attempt<T> {
    const fn experience(&self) -> Experience {
        match self {
            Self::Answered(..) => Experience::Answered,
            Self::Later { experience, .. } => *experience,
            Self::Final(_) => Experience::Unknown,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url.as_str())
            .field("bearer", &self.bearer)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
