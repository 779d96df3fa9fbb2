//! For tests: an agent that says what it is told to.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{Agent, AgentError, AgentId, Call, Reply, Request};

/// An [`Agent`] that gives prepared answers in order and remembers what it was asked.
///
/// When the answers are used up it is [`AgentError::Unavailable`].
#[derive(Debug, Default)]
pub struct Scripted {
    answers: Mutex<VecDeque<Result<Reply, AgentError>>>,
    requests: Mutex<Vec<Request>>,
}

impl Scripted {
    /// An agent that will give these answers.
    pub fn new(answers: impl IntoIterator<Item = Result<Reply, AgentError>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), requests: Mutex::default() }
    }

    /// An agent that will give these answers and no error.
    pub fn texts<'a>(answers: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(answers.into_iter().map(|text| Ok(Reply::text(text))))
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Agent for Scripted {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("scripted")
    }

    async fn respond(&self, request: &Request, _: &Call) -> Result<Reply, AgentError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or_else(|| {
            let why = "the script is at its end".to_owned();
            Err(AgentError::Unavailable { agent: self.fingerprint(), why, attempts: 1, source: None })
        })
    }
}
