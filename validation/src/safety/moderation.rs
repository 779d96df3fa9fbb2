//! Moderation behind an OpenAI-compatible endpoint.
//!
//! <https://platform.openai.com/docs/api-reference/moderations>

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::{Deserialize, Serialize};
use tidegate_registry::Invalid;
use tokio::time::Instant;

use super::{Classification, Classifier, guard::opinion};
use crate::{
    Agent, AgentError, AgentId, Call, Limiter, Reply, Request, Retry, Run,
    agent::http::{Body, Endpoint, Exchange, Fault, Problem},
    excerpt::excerpt,
    scorer::ScoreError,
};

/// A model behind `POST {base}/moderations`, which is shown answers alone.
///
/// A call counts as one of the run's budget; a budget of money needs a price for it, by its
/// [name](Classifier::fingerprint), which may be 0. What is sent, tried again and kept out of errors is as with
/// [`OpenAi`](crate::OpenAi).
#[derive(Debug)]
pub struct Moderation(Moderator);

/// The endpoint as an agent, so that a run can count and bound its calls: the reply is what was found, in lines.
#[derive(Debug)]
struct Moderator {
    endpoint: Endpoint,
    model: String,
}

/// The first line of a reply about an answer that does harm.
const FLAGGED: &str = "flagged";

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a str,
}

#[derive(Deserialize)]
struct Output {
    results: Vec<Opinion>,
}

#[derive(Deserialize)]
struct Opinion {
    flagged: bool,
    #[serde(default)]
    categories: BTreeMap<String, Option<bool>>,
}

impl Moderation {
    /// Most categories that are told.
    const MOST: usize = 32;

    /// The model called `model` at `base`, the URL below which `moderations` lies, usually ending in `/v1`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a `base` that is no HTTP URL, or holds a password or parameters.
    pub fn new(client: Client, base: &str, model: impl Into<String>) -> Result<Self, Invalid> {
        let (mut url, model) = (Endpoint::url(base)?, model.into());
        let id = AgentId::model_at(&model, &url, ", moderation");
        url.path_segments_mut().expect("an http URL has path segments").pop_if_empty().push("moderations");
        Ok(Self(Moderator { endpoint: Endpoint::new(client, url, id), model }))
    }

    /// This model, authenticated by a bearer token. The token appears in no error and no `Debug`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a token that no HTTP header can hold, such as one with a line break at its end.
    pub fn bearer(mut self, token: impl Into<String>) -> Result<Self, Invalid> {
        self.0.endpoint.set_bearer(token.into())?;
        Ok(self)
    }

    /// This model, asked again like this.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.0.endpoint.retry = retry;
        self
    }

    /// This model, asked no faster than `limiter` allows it and all who share it.
    #[must_use]
    pub fn limiter(mut self, limiter: Limiter) -> Self {
        self.0.endpoint.limiter = Some(limiter);
        self
    }
}

#[async_trait]
impl Classifier for Moderation {
    fn fingerprint(&self) -> AgentId {
        self.0.endpoint.id().clone()
    }

    async fn classify(&self, _: &str, answer: &str, run: &Run) -> Result<Classification, ScoreError> {
        let request = Request::user(answer).max_tokens(Classification::MOST_TOKENS);
        let said = opinion(&self.0, &request, run).await?;
        let categories = said.lines().skip(1).map(str::to_owned).collect();
        Ok(Classification { flagged: said.starts_with(FLAGGED), categories })
    }
}

#[async_trait]
impl Agent for Moderator {
    fn fingerprint(&self) -> AgentId {
        self.endpoint.id().clone()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let asked = Asked { model: &self.model, input: request.prompt() };
        let answered = self.endpoint.ask(&asked, call).await?;
        let Opinion { flagged, categories } = answered.answer;
        let mut text = if flagged { FLAGGED } else { "not flagged" }.to_owned();
        let found = categories.into_iter().filter(|(_, found)| *found == Some(true));
        for (category, _) in found.take(Moderation::MOST) {
            text.push('\n');
            text.push_str(&excerpt(&category, 60));
        }
        let mut reply = Reply::text(text);
        (reply.latency, reply.retries) = (answered.latency, answered.retries);
        Ok(reply)
    }
}

#[async_trait]
impl Exchange for Asked<'_> {
    type Answer = Opinion;

    fn request(&self, client: &Client, url: &Url) -> RequestBuilder {
        client.post(url.clone()).json(self)
    }

    fn tokens(&self) -> u64 {
        (self.input.chars().count() as u64).div_ceil(4)
    }

    async fn read(&self, response: Response, _: Instant) -> Result<Opinion, Fault> {
        let body = Body::read(response, Endpoint::LONGEST_BODY).await.map_err(Fault::Broken)?;
        parse(&body.bytes).map_err(Fault::Malformed)
    }

    fn answer_in(&self, _: &Problem, _: &str) -> Option<Opinion> {
        None
    }
}

fn parse(body: &[u8]) -> Result<Opinion, String> {
    let output: Output = serde_json::from_slice(body).map_err(|error| match Problem::read(body).message {
        said if said.is_empty() => format!("it is no opinion ({error})"),
        said => format!("it is no opinion but says: {said}"),
    })?;
    let [opinion]: [Opinion; 1] = output
        .results
        .try_into()
        .map_err(|results: Vec<_>| format!("it has {} opinions on one answer", results.len()))?;
    Ok(opinion)
}
