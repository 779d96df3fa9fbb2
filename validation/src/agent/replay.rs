//! Answers from a recording.

mod index;
mod line;
mod recorder;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use tidegate_registry::Digest;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom},
    time::Instant,
};

pub use self::recorder::Recorder;
use self::{
    index::{Index, Place},
    line::Line,
};
use super::key::key;
use crate::{Agent, AgentError, AgentId, Call, Reply, Request, excerpt::excerpt};

/// An [`Agent`] that gives the answers, and the failures, that a [`Recorder`] wrote down: to judge again what
/// was answered, without a server, and to the same report.
///
/// It is called what the recorded agent is called. An answer is found by the messages, the settings and the
/// [`trial`](Call::trial); what was asked and recorded several times is answered in the order of the recording,
/// from the beginning again after the last. What was not recorded is [`AgentError::NotRecorded`].
///
/// Only where each answer stands is kept in memory, 48 bytes for each; the answers are read from the file.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    id: AgentId,
    index: Index,
    /// How often what was recorded several times was asked.
    asked: Mutex<HashMap<Digest, usize>>,
}

impl Replay {
    /// Opens a recording of one agent and finds where its answers are. A last line that its recorder did not
    /// finish is left out.
    ///
    /// # Errors
    ///
    /// [`AgentError::Recording`] for a file that cannot be read, or has another line that is none of a
    /// recording, or is of several agents.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, AgentError> {
        let path = path.into();
        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || Index::read(&path)
        });
        let (index, id) = read.await.map_err(io::Error::from).flatten().map_err(|error| {
            let agent = AgentId::new("an agent");
            AgentError::Recording { agent, path: path.display().to_string(), source: error.into() }
        })?;
        Ok(Self { path, id, index, asked: Mutex::default() })
    }

    /// How many answers and failures it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next(&self, key: Digest) -> Option<Place> {
        match self.index.find(key) {
            [] => None,
            [(_, one)] => Some(*one),
            several => {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                let times = asked.entry(key).or_default();
                let (_, place) = several[*times % several.len()];
                *times += 1;
                Some(place)
            }
        }
    }
}

#[async_trait]
impl Agent for Replay {
    fn fingerprint(&self) -> AgentId {
        self.id.clone()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let start = Instant::now();
        let agent = || self.id.clone();
        let Some(place) = self.next(key(None, request, call.trial)) else {
            let prompt = excerpt(request.prompt(), 100);
            return Err(AgentError::NotRecorded { agent: agent(), prompt, trial: call.trial });
        };
        let line = match tokio::time::timeout(call.timeout, read(&self.path, place)).await {
            Err(_) => return Err(AgentError::TimedOut { agent: agent(), waited: start.elapsed() }),
            Ok(line) => line.map_err(|error| {
                let path = self.path.display().to_string();
                AgentError::Recording { agent: agent(), path, source: error.into() }
            })?,
        };
        line.answer()
    }
}

async fn read(path: &Path, place: Place) -> io::Result<Line<'static>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(place.offset)).await?;
    let mut bytes = vec![0; place.len as usize];
    file.read_exact(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
