//! An agent from a closure: a model in the same process, a client of your own, a fake.

use std::{fmt, future::Future};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::{Agent, AgentError, AgentId, Call, Reply, Request};

type Respond = dyn Fn(Request) -> BoxFuture<'static, Result<Reply, AgentError>> + Send + Sync;

/// An [`Agent`] that asks a closure.
///
/// It keeps the contract for the closure: latency is measured around it, whatever it says itself,
/// and it is dropped when the call's time is over.
///
/// ```
/// use tidegate_validation::{FnAgent, Reply};
///
/// let echo = FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) });
/// # let _ = echo;
/// ```
pub struct FnAgent {
    id: AgentId,
    respond: Box<Respond>,
}

impl FnAgent {
    /// An agent called `name` that answers what `respond` says.
    pub fn new<F, R>(name: impl Into<String>, respond: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, AgentError>> + Send + 'static,
    {
        Self { id: AgentId::new(name), respond: Box::new(move |request| Box::pin(respond(request))) }
    }
}

#[async_trait]
impl Agent for FnAgent {
    fn fingerprint(&self) -> AgentId {
        self.id.clone()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        let start = Instant::now();
        let answer = tokio::time::timeout(call.timeout, (self.respond)(request.clone())).await;
        let waited = start.elapsed();
        let mut reply = answer.map_err(|_| AgentError::TimedOut { agent: self.id.clone(), waited })??;
        reply.latency = waited;
        Ok(reply)
    }
}

impl fmt::Debug for FnAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FnAgent").field(&self.id.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn latency_is_measured_on_tokios_clock() {
        let slow = FnAgent::new("slow", |_| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(Reply::text("at last"))
        });
        let reply = slow.respond(&Request::user("?"), &Call::new(Duration::from_secs(10))).await.unwrap();
        assert_eq!(reply.latency, Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_hangs_is_timed_out() {
        let hung = FnAgent::new("hung", |_| std::future::pending());
        let error = hung.respond(&Request::user("?"), &Call::new(Duration::from_secs(2))).await.unwrap_err();
        assert!(matches!(error, AgentError::TimedOut { waited, .. } if waited == Duration::from_secs(2)));
    }
}
