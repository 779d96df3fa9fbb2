//! An embedding model behind an OpenAI-compatible endpoint.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::{Deserialize, Serialize};
use tidegate_registry::Invalid;
use tokio::time::Instant;

use super::{Embedder, Embedding};
use crate::{
    AgentError, AgentId, Call, Limiter, Retry,
    agent::http::{Body, Endpoint, Exchange, Fault, Problem},
};

/// An embedding model behind `POST {base}/embeddings`.
///
/// Texts are sent in batches, one after the other; what is sent, tried again and kept out of errors is as
/// with [`OpenAi`](crate::OpenAi).
///
/// ```no_run
/// use tidegate_validation::OpenAiEmbeddings;
///
/// # fn main() -> Result<(), tidegate_registry::Invalid> {
/// let embedder = OpenAiEmbeddings::new(reqwest::Client::new(), "http://127.0.0.1:8080/v1", "minilm")?;
/// # let _ = embedder;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenAiEmbeddings {
    endpoint: Endpoint,
    model: String,
    batch: NonZeroUsize,
}

/// Bytes of the texts of one batch; a longer text is a batch of its own.
const BATCH_BYTES: usize = 1 << 18;

struct Asked<'a> {
    body: Input<'a>,
    longest_body: usize,
}

#[derive(Serialize)]
struct Input<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Output {
    data: Vec<Datum>,
}

#[derive(Deserialize)]
struct Datum {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl OpenAiEmbeddings {
    /// Most texts of a batch unless [`batch`](Self::batch) says otherwise.
    pub const BATCH: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not 0");

    /// Longest answer to a batch that is read, in bytes.
    pub const LONGEST_BODY: usize = 32 << 20;

    /// The model called `model` at `base`, the URL below which `embeddings` lies, usually ending in `/v1`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a `base` that is no HTTP URL, or holds a password or parameters.
    pub fn new(client: Client, base: &str, model: impl Into<String>) -> Result<Self, Invalid> {
        let (mut url, model) = (Endpoint::url(base)?, model.into());
        let id = AgentId::model_at(&model, &url, ", embedding");
        url.path_segments_mut().expect("an http URL has path segments").pop_if_empty().push("embeddings");
        let mut endpoint = Endpoint::new(client, url, id);
        endpoint.longest_body = Self::LONGEST_BODY;
        Ok(Self { endpoint, model, batch: Self::BATCH })
    }

    /// This embedder, authenticated by a bearer token. The token appears in no error and no `Debug`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a token that no HTTP header can hold, such as one with a line break at its end.
    pub fn bearer(mut self, token: impl Into<String>) -> Result<Self, Invalid> {
        self.endpoint.set_bearer(token.into())?;
        Ok(self)
    }

    /// This embedder, sending at most so many texts at once.
    #[must_use]
    pub const fn batch(mut self, texts: NonZeroUsize) -> Self {
        self.batch = texts;
        self
    }

    /// This embedder, retrying like this.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.endpoint.retry = retry;
        self
    }

    /// This embedder, asking no faster than `limiter` allows it and all who share it.
    #[must_use]
    pub fn limiter(mut self, limiter: Limiter) -> Self {
        self.endpoint.limiter = Some(limiter);
        self
    }

    /// How many of `texts` are sent next.
    fn next_batch(&self, texts: &[String]) -> usize {
        let mut bytes = 0_usize;
        let fits = texts.iter().take(self.batch.get()).take_while(|text| {
            bytes = bytes.saturating_add(text.len());
            bytes <= BATCH_BYTES
        });
        fits.count().max(1)
    }
}

#[async_trait]
impl Embedder for OpenAiEmbeddings {
    fn fingerprint(&self) -> AgentId {
        self.endpoint.id().clone()
    }

    async fn embed(&self, texts: &[String], call: &Call) -> Result<Vec<Embedding>, AgentError> {
        let (start, mut rest) = (Instant::now(), texts);
        let mut embeddings = Vec::<Embedding>::new();
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(self.next_batch(rest));
            let body = Input { model: &self.model, input: batch, encoding_format: "float" };
            let asked = Asked { body, longest_body: self.endpoint.longest_body };
            let left = Call { timeout: call.timeout.saturating_sub(start.elapsed()), ..*call };
            embeddings.extend(self.endpoint.ask(&asked, &left).await?.answer);
            rest = more;
        }
        let dimensions = |embedding: &Embedding| embedding.as_slice().len();
        if embeddings.windows(2).any(|pair| dimensions(&pair[0]) != dimensions(&pair[1])) {
            let why = "its vectors have different numbers of dimensions".to_owned();
            return Err(AgentError::Malformed { agent: self.fingerprint(), why });
        }
        Ok(embeddings)
    }
}

#[async_trait]
impl Exchange for Asked<'_> {
    type Answer = Vec<Embedding>;

    fn request(&self, client: &Client, url: &Url) -> RequestBuilder {
        client.post(url.clone()).json(&self.body)
    }

    fn tokens(&self) -> u64 {
        self.body.input.iter().map(|text| text.chars().count() as u64).sum::<u64>().div_ceil(4)
    }

    async fn read(&self, response: Response, _: Instant) -> Result<Vec<Embedding>, Fault> {
        let body = Body::read(response, self.longest_body).await.map_err(Fault::Broken)?;
        if !body.whole {
            let why = format!("it is longer than {} bytes; send smaller batches", self.longest_body);
            return Err(Fault::Malformed(why));
        }
        parse(&body.bytes, self.body.input.len()).map_err(Fault::Malformed)
    }

    fn answer_in(&self, _: &Problem, _: &str) -> Option<Vec<Embedding>> {
        None
    }
}

/// The vectors of `texts` texts, in their order.
fn parse(body: &[u8], texts: usize) -> Result<Vec<Embedding>, String> {
    let output: Output = serde_json::from_slice(body).map_err(|error| match Problem::read(body).message {
        said if said.is_empty() => format!("it is no list of embeddings ({error})"),
        said => format!("it is no list of embeddings but says: {said}"),
    })?;
    if output.data.len() != texts {
        return Err(format!("it has {} vectors for {texts} texts", output.data.len()));
    }
    let mut vectors = vec![None; texts];
    for (position, datum) in output.data.into_iter().enumerate() {
        let index = datum.index.unwrap_or(position);
        let place = vectors.get_mut(index).ok_or_else(|| format!("there is no text number {index}"))?;
        let vector = Embedding::new(datum.embedding).map_err(|error| error.to_string())?;
        if place.replace(vector).is_some() {
            return Err(format!("text number {index} has two vectors"));
        }
    }
    Ok(vectors.into_iter().flatten().collect())
}
