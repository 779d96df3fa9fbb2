//! Any service that answers over HTTP.

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tidegate_registry::{Digest, Invalid};
use tokio::time::Instant;

use super::{Body, Endpoint, Exchange, Fault, Problem, Retry, Template};
use crate::{
    Agent, AgentError, AgentId, Call, Limiter, Reply, Request, Usage, canonical::canonical,
    tokens::rough_tokens,
};

/// An agent behind an HTTP service of any kind: a [`Template`] says what is sent, JSON pointers
/// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) where the answer is in what comes back.
///
/// A setting of a request that has no place in the template is not sent, and a request with tools is an error.
///
/// It calls only the URL that it is given. Whether redirects are followed is up to the client: make one with
/// `redirect(Policy::none())` for a service that is not yours; an answer from another server is no answer in any
/// case. TLS, proxies and headers are the client's, too. It is tried again as [`OpenAi`](crate::OpenAi) is.
///
/// ```no_run
/// use serde_json::json;
/// use tidegate_validation::{HttpAgent, Template};
///
/// # fn main() -> Result<(), tidegate_registry::Invalid> {
/// let body = Template::new(json!({ "question": "{{prompt}}", "options": { "seed": "{{seed}}" } }))?;
/// let agent = HttpAgent::new(reqwest::Client::new(), "http://127.0.0.1:9000/ask", body)?.answer("/result/text")?;
/// # let _ = agent;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HttpAgent {
    endpoint: Endpoint,
    method: Method,
    template: Template,
    answer: Vec<Pointer>,
    finish_reason: Option<Pointer>,
    usage: Option<(Pointer, Pointer)>,
}

/// A JSON pointer.
#[derive(Clone, Debug)]
struct Pointer(String);

struct Asked<'a> {
    agent: &'a HttpAgent,
    content: Value,
    tokens: u64,
}

impl HttpAgent {
    /// The service at `url`, sent `body` in a `POST`. What it answers is text, until
    /// [`answer`](Self::answer) says where in a JSON document it is.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a URL that is none of HTTP, or holds a password or parameters.
    pub fn new(client: Client, url: &str, body: Template) -> Result<Self, Invalid> {
        let url = Endpoint::url(url)?;
        let id = AgentId::new(url.as_str());
        let agent = Self {
            endpoint: Endpoint::new(client, url, id),
            method: Method::POST,
            template: body,
            answer: Vec::new(),
            finish_reason: None,
            usage: None,
        };
        Ok(agent.named())
    }

    /// This agent, with its answer at `pointer` in a JSON document: text, a number or a truth value. Said
    /// several times, the first that points at something counts.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for what is no JSON pointer.
    pub fn answer(mut self, pointer: &str) -> Result<Self, Invalid> {
        self.answer.push(Pointer::new(pointer)?);
        Ok(self.named())
    }

    /// This agent, with the reason why an answer ends at `pointer`: `stop`, `length`, `content_filter`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for what is no JSON pointer.
    pub fn finish_reason(mut self, pointer: &str) -> Result<Self, Invalid> {
        self.finish_reason = Some(Pointer::new(pointer)?);
        Ok(self.named())
    }

    /// This agent, with the tokens of the question and of the answer counted at these pointers.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for what is no JSON pointer.
    pub fn usage(mut self, input: &str, output: &str) -> Result<Self, Invalid> {
        self.usage = Some((Pointer::new(input)?, Pointer::new(output)?));
        Ok(self.named())
    }

    /// This agent, asking by this method: `POST`, `PUT`, `PATCH`, or `GET`, which sends the members of the
    /// template as parameters of the URL.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for any other method, and for a `GET` whose template is not an object of plain values.
    pub fn method(mut self, method: Method) -> Result<Self, Invalid> {
        let invalid = |why| Err(Invalid::new("method", method.as_str(), why));
        match method {
            Method::GET => {
                let members = self.template.document().as_object();
                let plain = |value: &Value| {
                    !value.is_object() && !value.is_array() && value != "{{messages}}" && value != "{{stop}}"
                };
                if !members.is_some_and(|members| members.values().all(plain)) {
                    return invalid("parameters of a URL are plain values; use POST for a nested template");
                }
            }
            Method::PATCH | Method::POST | Method::PUT => {}
            _ => return invalid("an answer comes to GET, PATCH, POST or PUT"),
        }
        self.method = method;
        Ok(self.named())
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

    /// This agent, retrying like this.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.endpoint.retry = retry;
        self
    }

    /// This agent, asking no faster than `limiter` allows it and all who share it.
    #[must_use]
    pub fn limiter(mut self, limiter: Limiter) -> Self {
        self.endpoint.limiter = Some(limiter);
        self
    }

    /// This agent, reading answers of at most so many bytes; 4 MiB at first.
    #[must_use]
    pub const fn longest_body(mut self, bytes: usize) -> Self {
        self.endpoint.longest_body = bytes;
        self
    }

    /// This agent under its name, of which what is sent and what is read of the answer are a part: they
    /// decide what is answered.
    fn named(mut self) -> Self {
        let answer: Vec<_> = self.answer.iter().map(|Pointer(at)| at).collect();
        let finish_reason = self.finish_reason.as_ref().map(|Pointer(at)| at);
        let usage = self.usage.as_ref().map(|(Pointer(input), Pointer(output))| [input, output]);
        let how = json!([self.template.document(), self.method.as_str(), answer, finish_reason, usage]);
        let id =
            format!("{} (as {:.19})", self.endpoint.url_asked(), Digest::of(canonical(&how)).to_string());
        self.endpoint.set_id(AgentId::new(id));
        self
    }

    fn parse(&self, body: &[u8]) -> Result<Reply, String> {
        if self.answer.is_empty() && self.finish_reason.is_none() && self.usage.is_none() {
            let text = std::str::from_utf8(body).map_err(|_| "it is no text in UTF-8".to_owned())?;
            return Ok(Reply::text(text));
        }
        let value: Value =
            serde_json::from_slice(body).map_err(|error| format!("it is no JSON ({error})"))?;
        let found = self.answer.iter().find_map(|pointer| Some((pointer, pointer.of(&value)?)));
        let text = match found {
            Some((_, Value::String(text))) => text.clone(),
            Some((_, plain @ (Value::Bool(_) | Value::Number(_)))) => plain.to_string(),
            Some((Pointer(at), _)) => return Err(format!("there is no text at {at}; point at one")),
            None => {
                let said = Problem::of(&value).message;
                let pointers: Vec<_> = self.answer.iter().map(|Pointer(at)| at.as_str()).collect();
                return Err(match said.is_empty() {
                    true => format!("there is nothing at {}; point at the answer", pointers.join(", ")),
                    false => format!("it says: {said}"),
                });
            }
        };
        let count = |pointer: &Pointer| pointer.of(&value)?.as_u64();
        let usage = self.usage.as_ref().and_then(|(input, output)| {
            Some(Usage { input_tokens: count(input)?, output_tokens: count(output)?, ..Usage::default() })
        });
        let reason = self.finish_reason.as_ref().and_then(|pointer| pointer.of(&value)?.as_str());
        Ok(Reply { usage, finish_reason: reason.map(str::to_owned), ..Reply::text(text) })
    }
}

#[async_trait]
impl Agent for HttpAgent {
    fn fingerprint(&self) -> AgentId {
        self.endpoint.id().clone()
    }

    fn address(&self) -> Option<String> {
        Some(self.endpoint.url_asked().to_string())
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        if !request.tools.is_empty() {
            let source = "a template has no place for tools; ask without them".into();
            return Err(AgentError::Misconfigured { agent: self.fingerprint(), source });
        }
        let asked =
            Asked { agent: self, content: self.template.fill(request), tokens: rough_tokens(request) };
        let answered = self.endpoint.ask(&asked, call).await?;
        Ok(Reply { latency: answered.latency, retries: answered.retries, ..answered.answer })
    }
}

#[async_trait]
impl Exchange for Asked<'_> {
    type Answer = Reply;

    fn request(&self, client: &Client, url: &Url) -> RequestBuilder {
        let method = self.agent.method.clone();
        if method != Method::GET {
            return client.request(method, url.clone()).json(&self.content);
        }
        let mut url = url.clone();
        for (name, value) in self.content.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            url.query_pairs_mut().append_pair(name, &value);
        }
        client.get(url)
    }

    fn tokens(&self) -> u64 {
        self.tokens
    }

    async fn read(&self, response: Response, _: Instant) -> Result<Reply, Fault> {
        let longest = self.agent.endpoint.longest_body;
        let body = Body::read(response, longest).await.map_err(Fault::Broken)?;
        if !body.whole {
            return Err(Fault::Malformed(format!("it is longer than {longest} bytes; allow more")));
        }
        self.agent.parse(&body.bytes).map_err(Fault::Malformed)
    }

    fn answer_in(&self, _: &Problem, _: &str) -> Option<Reply> {
        None
    }
}

impl Pointer {
    fn new(text: &str) -> Result<Self, Invalid> {
        let why = match text {
            "" => return Ok(Self(String::new())),
            _ if !text.starts_with('/') => "it must be empty or begin with a slash, such as /choices/0/text",
            _ if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) => {
                "a `~` must be written as ~0, and a slash in a name as ~1"
            }
            _ => return Ok(Self(text.to_owned())),
        };
        Err(Invalid::new("JSON pointer", text, why))
    }

    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.pointer(&self.0).filter(|value| !value.is_null())
    }
}
