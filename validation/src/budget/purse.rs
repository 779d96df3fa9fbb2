//! The books of a run, shared by all its calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    Budget, Shortage, Spending,
    ledger::{Grant, Ledger},
};
use crate::{AgentError, AgentId, Reply, Request};

/// The books of a run, shared by all its calls.
#[derive(Debug)]
pub(crate) struct Purse {
    budget: Budget,
    ledger: Mutex<Ledger>,
    settled: Notify,
}

/// Why a call is not made.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is too little left.
    Short(Shortage),
    /// What it may take is not known.
    Unknown(String),
}

/// What is set aside for one call. All of it is spent, unless it is said how the call went.
#[derive(Debug)]
#[must_use = "what is set aside and dropped is spent"]
pub(crate) struct Reservation {
    purse: Arc<Purse>,
    agent: AgentId,
    attempt: Mutex<Attempt>,
}

/// The attempt that is under way.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// What it can take. A call is counted with its first attempt.
    most: Spending,
    /// Whether that is set aside.
    aside: bool,
}

impl Purse {
    /// The books of a run within `budget` of which so much is gone.
    pub(crate) fn new(budget: Budget, spent: Spending) -> Arc<Self> {
        let ledger = Mutex::new(Ledger::new(budget.limits, spent));
        Arc::new(Self { budget, ledger, settled: Notify::new() })
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Sets aside the most that a call can take. It waits for calls under way as long as what they give
    /// back may be enough.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        agent: AgentId,
        request: &Request,
    ) -> Result<Arc<Reservation>, Refused> {
        let most = self.budget.most(&agent, request).map_err(Refused::Unknown)?;
        self.reserve_most(agent, most).await
    }

    /// Sets aside the most that a call can take, and waits for nobody: what calls under way may give back is not counted on.
    pub(crate) fn reserve_now(
        self: &Arc<Self>,
        agent: AgentId,
        request: &Request,
    ) -> Result<Arc<Reservation>, Refused> {
        let most = self.budget.most(&agent, request).map_err(Refused::Unknown)?;
        self.with(|ledger| ledger.reserve_now(most)).map_err(Refused::Short)?;
        Ok(self.reserved(agent, most))
    }

    /// Sets aside the most that the vectors of `texts` can take.
    pub(crate) async fn reserve_vectors(
        self: &Arc<Self>,
        embedder: AgentId,
        texts: &[String],
    ) -> Result<Arc<Reservation>, Refused> {
        let most = self.budget.most_of_texts(&embedder, texts).map_err(Refused::Unknown)?;
        self.reserve_most(embedder, most).await
    }

    async fn reserve_most(
        self: &Arc<Self>,
        agent: AgentId,
        most: Spending,
    ) -> Result<Arc<Reservation>, Refused> {
        self.set_aside(most).await.map_err(Refused::Short)?;
        Ok(self.reserved(agent, most))
    }

    fn reserved(self: &Arc<Self>, agent: AgentId, most: Spending) -> Arc<Reservation> {
        let attempt = Mutex::new(Attempt { most, aside: true });
        Arc::new(Reservation { purse: Arc::clone(self), agent, attempt })
    }

    async fn set_aside(&self, most: Spending) -> Result<(), Shortage> {
        loop {
            // Registered before the books are looked at, so that nothing given back in between is missed.
            let settled = self.settled.notified();
            let grant = self.with(|ledger| ledger.reserve(most));
            match grant {
                Grant::Now => return Ok(()),
                Grant::Never(shortage) => return Err(shortage),
                Grant::Perhaps => settled.await,
            }
        }
    }

    pub(crate) fn spent(&self) -> Spending {
        self.with(|ledger| ledger.spent())
    }

    /// What is spent, and what is set aside for calls under way.
    pub(crate) fn gone(&self) -> Spending {
        self.with(|ledger| ledger.gone())
    }

    fn settle(&self, most: Spending, used: Spending) {
        self.with(|ledger| ledger.settle(most, used));
        self.settled.notify_waiters();
    }

    fn with<T>(&self, what: impl FnOnce(&mut Ledger) -> T) -> T {
        what(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reservation {
    /// Ends a call that was not made.
    pub(crate) fn give_back(&self) {
        self.end(|_| Spending::default());
    }

    /// Ends the call and gives back what it did not take.
    pub(crate) fn settle(&self, outcome: &Result<Reply, AgentError>) {
        self.end(|most| match outcome {
            Ok(reply) if reply.remembered => Spending::default(),
            Ok(reply) => match reply.usage {
                Some(usage) => Spending { calls: most.calls, ..self.purse.budget.used(&self.agent, usage) },
                None => most,
            },
            Err(error) => failure(most, error),
        });
    }

    /// Ends a call for vectors, whose tokens nobody counts.
    pub(crate) fn settle_vectors<T>(&self, outcome: &Result<T, AgentError>) {
        self.end(|most| match outcome {
            Ok(_) => most,
            Err(error) => failure(most, error),
        });
    }

    /// Ends an attempt that may have to be paid for.
    #[cfg(feature = "openai")]
    pub(super) fn fail(&self) {
        self.end(|most| most);
    }

    /// Sets aside what one more attempt can take, unless it still is. It holds nothing while it waits for others, who
    /// could wait for it.
    #[cfg(feature = "openai")]
    pub(super) async fn again(&self) -> Result<(), Shortage> {
        let Attempt { most, aside } = *self.lock();
        if !aside {
            self.purse.set_aside(most).await?;
            self.lock().aside = true;
        }
        Ok(())
    }

    fn end(&self, used: impl FnOnce(Spending) -> Spending) {
        let mut attempt = self.lock();
        let most = attempt.most;
        if attempt.aside {
            self.purse.settle(most, used(most));
        }
        *attempt = Attempt { most: Spending { calls: 0, ..most }, aside: false };
    }

    fn lock(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call took that failed.
fn failure(most: Spending, error: &AgentError) -> Spending {
    match error.may_cost() {
        true => most,
        false => Spending { calls: most.calls, ..Spending::default() },
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(|most| most);
    }
}
