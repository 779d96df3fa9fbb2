//! What is sent.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{Agent, AgentError, Event, Reply, Request, Run, Unanswered};

/// What takes requests.
///
/// # Contract
///
/// * **At once.** `send` begins to send when it is first polled, and waits for no other call: what it waits is the
///   server's to answer for.
/// * **Whole.** It returns when the answer is read to its end, or the request has failed.
/// * **Once.** It makes one attempt: what is tried again is another request than the one that was due.
/// * **In time.** It ends by itself, after a timeout at the latest.
/// * **An empty answer is none.** It is an error, as is one that broke off.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync {
    /// Sends request number `number`, from 0.
    async fn send(&self, number: u64) -> Result<Reply, Unanswered>;

    /// Is told how request number `number` ended, once its time is taken: what is written down of it here is no part of
    /// that. It is called between awaits: return quickly. Does nothing unless there is something to write down.
    fn ended(&self, number: u64, outcome: &Result<Reply, Unanswered>) {
        let _ = (number, outcome);
    }
}

/// Requests to an agent, in turn, on the terms of a run.
#[derive(Clone, Copy, Debug)]
pub struct Prompts<'a> {
    check: &'a str,
    agent: &'a dyn Agent,
    requests: &'a [Request],
    run: &'a Run,
}

impl<'a> Prompts<'a> {
    /// `requests` to `agent`, over and over in this order, for the check of this name.
    #[must_use]
    pub const fn new(check: &'a str, agent: &'a dyn Agent, requests: &'a [Request], run: &'a Run) -> Self {
        Self { check, agent, requests, run }
    }
}

#[async_trait]
impl Target for Prompts<'_> {
    async fn send(&self, number: u64) -> Result<Reply, Unanswered> {
        let every = self.requests.len() as u64;
        let Some(at) = number.checked_rem(every) else {
            let agent = self.agent.fingerprint();
            let source = "there is nothing to ask; add a prompt".into();
            return Err(Unanswered::Lost(AgentError::Misconfigured { agent, source }));
        };
        let trial = u32::try_from(number / every).unwrap_or(u32::MAX);
        let reply = self.run.ask_once(self.agent, &self.requests[at as usize], trial).await?;
        // A content filter lets nothing through, and that is said by an empty text.
        let words = |text: &str| !text.trim().is_empty();
        if !reply.said().is_some_and(|said| words(&said)) && !reply.reasoning.as_deref().is_some_and(words) {
            let why = "it says nothing; look at what the server logs, or raise max_tokens".to_owned();
            return Err(Unanswered::Lost(AgentError::Malformed { agent: self.agent.fingerprint(), why }));
        }
        Ok(reply)
    }

    fn ended(&self, _: u64, outcome: &Result<Reply, Unanswered>) {
        if !matches!(outcome, Err(Unanswered::Short(_))) {
            self.run.note_spent(self.check);
            self.run.tell(Event::Called { check: self.check, spent: self.run.spent() });
        }
    }
}

/// Several servers of one model, each its turn. Without any, nothing is sent.
#[async_trait]
impl<T: Target> Target for Vec<T> {
    async fn send(&self, number: u64) -> Result<Reply, Unanswered> {
        let Some(turn) = number.checked_rem(self.len() as u64) else {
            let agent = crate::AgentId::new("nobody");
            let source = "there is no server to send to; name one".into();
            return Err(Unanswered::Lost(AgentError::Misconfigured { agent, source }));
        };
        self[turn as usize].send(number).await
    }

    fn ended(&self, number: u64, outcome: &Result<Reply, Unanswered>) {
        if let Some(turn) = number.checked_rem(self.len() as u64) {
            self[turn as usize].ended(number, outcome);
        }
    }
}

#[async_trait]
impl<T: Target + ?Sized> Target for Arc<T> {
    async fn send(&self, number: u64) -> Result<Reply, Unanswered> {
        (**self).send(number).await
    }

    fn ended(&self, number: u64, outcome: &Result<Reply, Unanswered>) {
        (**self).ended(number, outcome);
    }
}
