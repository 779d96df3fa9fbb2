//! A model behind an OpenAI-compatible endpoint.

mod assembly;
mod chat;
mod completion;
mod legacy;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Response, Url, header::CONTENT_TYPE};
use serde::Serialize;
use tidegate_registry::Invalid;
use tokio::time::Instant;

pub use self::chat::TokenLimit;
use self::{assembly::Assembly, chat::Chat, legacy::Prompt};
use super::http::{Body, Endpoint, Exchange, Fault, Parser, Problem, Retry};
use crate::{Agent, AgentError, AgentId, Call, Limiter, Reply, Request, tokens::rough_tokens};

/// A model behind `POST {base}/chat/completions`, the protocol of OpenAI that vLLM, llama.cpp, Ollama,
/// TGI and most gateways speak too, or behind `POST {base}/completions`.
///
/// TLS, proxies and extra headers are the business of the [`reqwest::Client`] that is passed in.
/// Failures to connect and the statuses 408, 425, 429 and 5xx are tried again, after the time that the server asks
/// for or a random one, as long as the call's time lasts. An answer that breaks off is not: it may have
/// been paid for.
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
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    model: String,
    protocol: Protocol,
    token_limit: TokenLimit,
    streaming: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Chat,
    Completions,
}

/// One request, ready to be sent as often as it takes.
struct Asked<'a, B> {
    body: B,
    request: &'a Request,
    longest_body: usize,
}

impl OpenAi {
    /// Longest answer that is read unless [`longest_body`](Self::longest_body) says otherwise, in bytes.
    pub const LONGEST_BODY: usize = Endpoint::LONGEST_BODY;

    /// The model called `model` at `base`, the URL below which `chat/completions` lies, usually
    /// ending in `/v1`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a `base` that is no HTTP URL, or holds a password or parameters.
    pub fn new(client: Client, base: &str, model: impl Into<String>) -> Result<Self, Invalid> {
        Self::speaking(Protocol::Chat, client, base, model.into())
    }

    /// A model that goes on with a text, at `base`, the URL below which `completions` lies: a base model
    /// without a template for chats, or a server that knows no other protocol.
    ///
    /// It is sent what the messages say, one after the other with an empty line between them, whoever
    /// says it. Tools and response formats cannot be sent.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a `base` that is no HTTP URL, or holds a password or parameters.
    pub fn completions(client: Client, base: &str, model: impl Into<String>) -> Result<Self, Invalid> {
        Self::speaking(Protocol::Completions, client, base, model.into())
    }

    fn speaking(protocol: Protocol, client: Client, base: &str, model: String) -> Result<Self, Invalid> {
        let mut url = Endpoint::url(base)?;
        let (path, kind): (&[_], _) = match protocol {
            Protocol::Chat => (&["chat", "completions"], ""),
            Protocol::Completions => (&["completions"], ", completing"),
        };
        let id = AgentId::model_at(&model, &url, kind);
        url.path_segments_mut().expect("an http URL has path segments").pop_if_empty().extend(path);
        Ok(Self {
            endpoint: Endpoint::new(client, url, id),
            model,
            protocol,
            token_limit: TokenLimit::default(),
            streaming: false,
        })
    }

    /// This agent, authenticated by a bearer token. The token appears in no error and no `Debug`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a token that no HTTP header can hold, such as one with a line break at its end.
    pub fn bearer(mut self, token: impl Into<String>) -> Result<Self, Invalid> {
        self.endpoint.set_bearer(token.into())?;
        Ok(self)
    }

    /// This agent, having its answers sent in parts as the model makes them, so that a reply says when
    /// the first part came ([`Reply::pace`]). Tokens are counted all the same.
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    /// This agent, told the longest answer in this field of a chat.
    #[must_use]
    pub const fn token_limit(mut self, field: TokenLimit) -> Self {
        self.token_limit = field;
        self
    }

    /// This agent, retrying like this.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.endpoint.retry = retry;
        self
    }

    /// This agent, asking no faster than `limiter` allows it and all who share it. What it waits for that
    /// is no latency, and takes its part of the call's time.
    #[must_use]
    pub fn limiter(mut self, limiter: Limiter) -> Self {
        self.endpoint.limiter = Some(limiter);
        self
    }

    /// This agent, reading answers of at most so many bytes; if they come in parts, of 16 times as many, as the
    /// frame of a part is longer than the part.
    #[must_use]
    pub const fn longest_body(mut self, bytes: usize) -> Self {
        self.endpoint.longest_body = bytes;
        self
    }

    async fn ask<B: Serialize + Send + Sync>(
        &self,
        body: B,
        request: &Request,
        call: &Call,
    ) -> Result<Reply, AgentError> {
        let asked = Asked { body, request, longest_body: self.endpoint.longest_body };
        let answered = self.endpoint.ask(&asked, call).await?;
        Ok(Reply { latency: answered.latency, retries: answered.retries, ..answered.answer })
    }
}

#[async_trait]
impl Agent for OpenAi {
    fn fingerprint(&self) -> AgentId {
        self.endpoint.id().clone()
    }

    fn address(&self) -> Option<String> {
        Some(self.endpoint.url_asked().to_string())
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        match self.protocol {
            Protocol::Chat => {
                let body = Chat::new(&self.model, request, self.token_limit, self.streaming);
                self.ask(body, request, call).await
            }
            Protocol::Completions => {
                let body = Prompt::new(&self.model, request, self.streaming).map_err(|why| {
                    AgentError::Misconfigured { agent: self.fingerprint(), source: why.into() }
                })?;
                self.ask(body, request, call).await
            }
        }
    }
}

#[async_trait]
impl<B: Serialize + Send + Sync> Exchange for Asked<'_, B> {
    type Answer = Reply;

    fn request(&self, client: &Client, url: &Url) -> RequestBuilder {
        client.post(url.clone()).json(&self.body)
    }

    fn tokens(&self) -> u64 {
        rough_tokens(self.request)
    }

    async fn read(&self, mut response: Response, sent: Instant) -> Result<Reply, Fault> {
        /// Longest event of a stream, in bytes: a server that sends the whole answer as one sends no part.
        const LONGEST_EVENT: usize = 1 << 20;
        let top = self.request.top_logprobs;
        let too_long = |longest: usize| {
            Fault::Malformed(format!("it is longer than {longest} bytes; lower max_tokens or allow more"))
        };
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // A server that cannot send parts sends all.
        if !kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
            let body = Body::read(response, self.longest_body).await.map_err(Fault::Broken)?;
            return if body.whole {
                Assembly::whole(&body.bytes, top)
            } else {
                Err(too_long(self.longest_body))
            };
        }
        let longest = self.longest_body.saturating_mul(16);
        let (mut parser, mut assembly, mut read) = (Parser::new(LONGEST_EVENT), Assembly::new(top), 0_usize);
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Err(error) if !assembly.is_finished() => return Err(Fault::Broken(error)),
                Ok(None) | Err(_) => return assembly.end(),
            };
            let at = sent.elapsed();
            read = read.saturating_add(chunk.len());
            if read > longest {
                return Err(too_long(longest));
            }
            let mut events = Vec::new();
            parser.feed(&chunk, |event| events.push(event)).map_err(|_| {
                Fault::Malformed(format!("an event of its stream is longer than {LONGEST_EVENT} bytes"))
            })?;
            for event in events {
                if !assembly.take(&event, at)? {
                    return assembly.end();
                }
            }
        }
    }

    fn answer_in(&self, problem: &Problem, said: &str) -> Option<Reply> {
        // Azure OpenAI answers 400 where others end the reply with the finish reason `content_filter`.
        let filtered = problem.code.as_deref() == Some("content_filter");
        filtered.then(|| Reply::default().with_finish_reason("content_filter").with_refusal(said))
    }
}
