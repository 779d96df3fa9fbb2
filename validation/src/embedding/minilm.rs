//! A sentence model on this machine: BERT's encoder, run here over weights in a directory.

mod config;
mod encoder;
mod error;
mod files;
mod text;
mod word_piece;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tidegate_registry::Digest;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

pub use self::error::OpenModelError;
use self::{config::Config, encoder::Encoder, files::Directory, word_piece::WordPiece};
use super::{Embedder, Embedding};
use crate::{AgentError, AgentId, Call};

/// A sentence model of BERT's kind, such as all-MiniLM-L6-v2, that runs on the processor and asks nobody.
///
/// The directory is one of sentence-transformers, of which `config.json`, `tokenizer.json` and
/// `model.safetensors` are read, and `1_Pooling/config.json` if it is there: a text's vector is the mean of those of its tokens, and
/// nothing else is known here. What a text becomes is what sentence-transformers makes of it, but for rounding, and
/// for words such as `[SEP]` in it, which are words here and no marks of the model's.
///
/// Texts are read up to [`LONGEST`](Self::LONGEST) tokens. An embedding uses one thread, and none of the runtime's.
///
/// ```no_run
/// use tidegate_validation::{MiniLm, Run};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = Run::new(7).embedder(MiniLm::open("models/all-MiniLM-L6-v2")?);
/// # let _ = run;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MiniLm {
    id: AgentId,
    model: Arc<Model>,
}

struct Model {
    encoder: Encoder,
    words: WordPiece,
    longest: usize,
}

/// Tokens that are worked on at once: enough to keep the arithmetic busy, and little enough for its cache.
const AT_ONCE: usize = 1024;

impl MiniLm {
    /// Tokens of a text that are read at most, those at its beginning and end included; fewer if the model has
    /// fewer positions.
    pub const LONGEST: usize = 256;

    /// The model in `directory`; blocking. Takes the memory of the weights, and twice that while it reads them.
    ///
    /// # Errors
    ///
    /// [`OpenModelError`] names the file, and says what is wrong with it or why it cannot be read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenModelError> {
        let directory = Directory::new(directory.as_ref());
        let config = Config::read(&directory)?;
        let words = WordPiece::read(&directory, config.vocab_size)?;
        let (encoder, weights) = Encoder::read(&directory, &config)?;
        let digest = Digest::of([*weights.as_bytes(), *words.digest().as_bytes()].concat()).hex();
        let id = AgentId::new(format!("sentence model {}, mean of tokens", &digest[..16]));
        let longest = Self::LONGEST.min(config.max_position_embeddings);
        Ok(Self { id, model: Arc::new(Model { encoder, words, longest }) })
    }

    /// The tokens that `text` is read as, by their numbers in the vocabulary.
    #[must_use]
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.model.words.encode(text, self.model.longest)
    }

    fn malformed(&self, why: &impl fmt::Display) -> AgentError {
        AgentError::Malformed { agent: self.id.clone(), why: why.to_string() }
    }
}

#[async_trait]
impl Embedder for MiniLm {
    fn fingerprint(&self) -> AgentId {
        self.id.clone()
    }

    async fn embed(&self, texts: &[String], call: &Call) -> Result<Vec<Embedding>, AgentError> {
        let start = Instant::now();
        let mut embeddings = Vec::with_capacity(texts.len());
        // Each piece of work is short, so that one which nobody waits for any more ends soon.
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(rest.len().min(AT_ONCE));
            let (model, batch) = (Arc::clone(&self.model), batch.to_vec());
            let left = call.timeout.saturating_sub(start.elapsed());
            let tokens = spawn_blocking(move || {
                batch.iter().map(|text| model.words.encode(text, model.longest)).collect::<Vec<_>>()
            });
            let tokens = self.within(left, call, tokens).await?;
            let mut tokens = tokens.into_iter().peekable();
            while tokens.peek().is_some() {
                let mut room = AT_ONCE;
                let mut batch = Vec::new();
                while let Some(text) = tokens.next_if(|text| batch.is_empty() || text.len() <= room) {
                    room = room.saturating_sub(text.len());
                    batch.push(text);
                }
                let (model, left) = (Arc::clone(&self.model), call.timeout.saturating_sub(start.elapsed()));
                let vectors = spawn_blocking(move || model.encoder.encode(&batch));
                for vector in self.within(left, call, vectors).await? {
                    embeddings.push(Embedding::new(vector).map_err(|error| self.malformed(&error))?);
                }
            }
            rest = more;
        }
        Ok(embeddings)
    }
}

impl MiniLm {
    /// What `work` comes to, if it does in time.
    async fn within<T: Send>(
        &self,
        left: Duration,
        call: &Call,
        work: JoinHandle<T>,
    ) -> Result<T, AgentError> {
        match timeout(left, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(AgentError::Interrupted {
                agent: self.id.clone(),
                why: "the runtime is shutting down".to_owned(),
                source: Some(error.into()),
            }),
            Err(_) => Err(AgentError::TimedOut { agent: self.id.clone(), waited: call.timeout }),
        }
    }
}

impl fmt::Debug for MiniLm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiniLm").field("id", &self.id).finish_non_exhaustive()
    }
}
