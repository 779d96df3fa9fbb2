//! Answers that are remembered, so that a run that is repeated costs nothing.

mod shelf;

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidegate_registry::Digest;
use tokio::{sync::Mutex as Turn, time::Instant};

use self::shelf::Shelf;
use super::key::key;
use crate::{Agent, AgentError, AgentId, Call, Freshness, Reply, Request};

/// An [`Agent`] that asks another one and remembers its answers.
///
/// An answer is found again only for the same agent, messages and settings and the same
/// [`trial`](Call::trial): repetitions of one question stay as independent as they were when they were
/// asked. Calls that want a [new answer](Freshness::New), as those for consistency and latency do, neither
/// find one nor leave one. Errors are not remembered. Of several calls for one answer at the same time
/// one is made, and the others wait for it.
///
/// ```
/// use std::time::Duration;
/// use tidegate_validation::{Agent, Cached, Call, FnAgent, Reply, Request};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) });
/// let agent = Cached::in_memory(agent, 1000.try_into()?);
/// let (hello, call) = (Request::user("Hello"), Call::new(Duration::from_secs(9)));
/// assert!(!agent.respond(&hello, &call).await?.remembered);
/// assert!(agent.respond(&hello, &call).await?.remembered);
/// assert!(!agent.respond(&hello, &call.trial(1)).await?.remembered, "that is a repetition");
/// # Ok(())
/// # }
/// ```
///
/// An agent's [fingerprint](Agent::fingerprint) stands for all that it is made with; one whose name stays
/// while its answers change must not be remembered.
#[derive(Debug)]
pub struct Cached<A> {
    agent: A,
    shelf: Shelf,
    /// The questions that are being asked.
    under_way: Mutex<HashMap<Digest, Weak<Turn<()>>>>,
    hits: AtomicU64,
}

impl<A: Agent> Cached<A> {
    /// `agent`, remembered by this process: so many answers, the oldest of which are forgotten first.
    pub fn in_memory(agent: A, answers: NonZeroUsize) -> Self {
        Self::on(agent, Shelf::memory(answers))
    }

    /// `agent`, remembered in a directory, which is made when the first answer comes: a file an answer. Several
    /// processes may share it. It holds what was answered in plain text, as long as nobody deletes it, and
    /// whoever may write there decides what is answered.
    ///
    /// What is damaged there is asked anew; what cannot be written is logged and not remembered.
    pub fn in_directory(agent: A, directory: impl Into<PathBuf>) -> Self {
        Self::on(agent, Shelf::directory(directory.into()))
    }

    fn on(agent: A, shelf: Shelf) -> Self {
        Self { agent, shelf, under_way: Mutex::default(), hits: AtomicU64::new(0) }
    }

    /// How many answers were remembered so far.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    async fn remember(&self, key: Digest) -> Option<Reply> {
        let reply = self.shelf.find(key).await?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(Reply { remembered: true, ..reply })
    }

    /// The right to ask a question, which one call has at a time.
    fn turn(&self, key: Digest) -> Arc<Turn<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = under_way.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        // Those that nobody waits for any more are taken out when there may be many of them.
        if under_way.len() == under_way.capacity() {
            under_way.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        under_way.insert(key, Arc::downgrade(&turn));
        turn
    }

    async fn ask(&self, key: Digest, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let reply = self.agent.respond(request, call).await?;
        self.shelf.keep(key, &reply).await;
        Ok(reply)
    }
}

#[async_trait]
impl<A: Agent> Agent for Cached<A> {
    fn fingerprint(&self) -> AgentId {
        self.agent.fingerprint()
    }

    fn address(&self) -> Option<String> {
        self.agent.address()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        if call.freshness == Freshness::New {
            return self.agent.respond(request, call).await;
        }
        let (start, key) = (Instant::now(), key(Some(&self.fingerprint()), request, call.trial));
        if let Some(reply) = self.remember(key).await {
            return Ok(reply);
        }
        let turn = self.turn(key);
        let late = |waited: Duration| {
            let why = format!("the same question was asked already and not answered in {waited:.1?}");
            AgentError::Unavailable { agent: self.fingerprint(), why, attempts: 0, source: None }
        };
        let Ok(_turn) = tokio::time::timeout(call.timeout, turn.lock()).await else {
            return Err(late(start.elapsed()));
        };
        match self.remember(key).await {
            Some(reply) => Ok(reply),
            None => {
                let left = call.timeout.saturating_sub(start.elapsed());
                self.ask(key, request, &Call { timeout: left, ..*call }).await
            }
        }
    }
}
