//! How long to keep trying.

use std::{
    error::Error as StdError,
    time::{Duration, SystemTime},
};

use crate::{ActuatorError, NotDone, WallClock};

/// How long to keep trying, and how long to wait in between: 50 ms, doubling up to 5 s. There is no
/// jitter: one driver owns a route, so there is no herd to spread.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    clock: WallClock,
    until: SystemTime,
    pause: Duration,
}

impl Patience {
    const LONGEST_PAUSE: Duration = Duration::from_secs(5);

    /// A call that is made when time is up has this long to answer all the same.
    const LEAST_ANSWER: Duration = Duration::from_secs(10);

    /// Patience until `until`.
    #[must_use]
    pub const fn new(clock: WallClock, until: SystemTime) -> Self {
        Self { clock, until, pause: Duration::from_millis(50) }
    }

    /// Calls until it succeeds. A call that has not answered when time is up is given up; `who` says whose.
    ///
    /// # Errors
    ///
    /// [`NotDone`] with the last error and its causes as the reason; [`NotDone::Unreached`] where `who` was unavailable or
    /// silent until time was up.
    pub async fn until<T, E, F>(&mut self, who: &str, mut call: impl FnMut() -> F) -> Result<T, NotDone>
    where
        F: Future<Output = Result<T, E>>,
        ActuatorError: From<E>,
    {
        loop {
            match self.bound(call()).await {
                Some(Ok(value)) => return Ok(value),
                Some(Err(error)) => {
                    let error = ActuatorError::from(error);
                    let is_away = matches!(error, ActuatorError::Unavailable { .. });
                    let waited = self.after(error).await;
                    waited.map_err(|not_done| if is_away { not_done.unreached(who) } else { not_done })?;
                }
                None => self.unanswered(who).await?,
            }
        }
    }

    /// What `call` gives, or nothing if it does not answer in time.
    pub(crate) async fn bound<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let left = self.until.duration_since(self.clock.now()).unwrap_or_default();
        tokio::time::timeout(left.max(Self::LEAST_ANSWER), call).await.ok()
    }

    /// Waits before the next try, unless `error` is final or time is up.
    ///
    /// # Errors
    ///
    /// [`NotDone`] with `error` and its causes as the reason.
    pub async fn after(&mut self, error: ActuatorError) -> Result<(), NotDone> {
        match error {
            ActuatorError::Fenced { .. } => Err(NotDone::Superseded),
            error if !error.is_transient() => Err(NotDone::Failed(chain(&error))),
            error => self.wait(|| chain(&error)).await,
        }
    }

    /// Waits before the next try of what `who` has not answered, unless time is up.
    ///
    /// # Errors
    ///
    /// [`NotDone::Unreached`].
    pub async fn unanswered(&mut self, who: &str) -> Result<(), NotDone> {
        let waited = self.wait(|| format!("{who} did not answer in time")).await;
        waited.map_err(|not_done| not_done.unreached(who))
    }

    /// Waits before the next try, unless time is up.
    ///
    /// # Errors
    ///
    /// [`NotDone::Failed`] with `why` as the reason.
    pub async fn wait(&mut self, why: impl FnOnce() -> String) -> Result<(), NotDone> {
        let now = self.clock.now();
        if now >= self.until {
            return Err(NotDone::Failed(why()));
        }
        self.clock.sleep_until(self.until.min(now + self.pause)).await;
        self.pause = Self::LONGEST_PAUSE.min(self.pause * 2);
        Ok(())
    }
}

/// An error and its causes as one sentence, for a journal.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
