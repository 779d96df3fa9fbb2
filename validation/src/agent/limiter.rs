//! How fast a server is asked: by everybody who shares a key.

mod bucket;
mod throttle;

use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use self::throttle::{Admission, Throttle};

/// How fast a server may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct RateLimits {
    /// Most requests in any minute; unlimited by default.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Most tokens in any minute, those that answers may have at most included; unlimited by default. A
    /// request of more than a tenth of them goes nevertheless, and delays those after it.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// How many requests may be under way at once at first; 8 by default.
    pub at_once: NonZeroUsize,
    /// How many may be under way once the server has shown that it bears them; 64 by default.
    pub most_at_once: NonZeroUsize,
}

/// Keeps everybody who shares it within the [`RateLimits`] of one server and key, and asks less at once
/// of a server that says it is overloaded.
///
/// Its clones share everything. Make one for each origin and key, and give it to every agent that asks
/// there: limits are counted by key and not by agent. Whoever comes first goes first.
///
/// ```
/// use tidegate_validation::{Experience, Limiter, RateLimits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limiter = Limiter::new(RateLimits { requests_per_minute: 500.try_into().ok(), ..RateLimits::default() });
/// // `OpenAi::limiter` does this for each attempt; so can an agent of your own.
/// let permit = limiter.acquire(120).await;
/// permit.end(Experience::Answered);
/// # }
/// ```
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

/// The right to have one request under way. Say how it went with [`end`](Self::end); a permit that is
/// dropped says nothing.
#[derive(Debug)]
#[must_use = "a permit that is dropped lets the next request go"]
pub struct Permit {
    shared: Arc<Shared>,
    era: u64,
    experience: Experience,
}

/// How a request went, as far as it says something about the server's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Experience {
    /// It was answered.
    Answered,
    /// The server had too much to do (429, 503, 529), and perhaps said how long it wants to be left alone.
    Overloaded {
        /// How long it wants to be left alone by all.
        wait: Option<Duration>,
    },
    /// It went in a way that says nothing about the load.
    Unknown,
}

struct Shared {
    throttle: Mutex<Throttle>,
    /// Whoever holds it is the next to go. It is fair, so nobody is overtaken.
    turn: tokio::sync::Mutex<()>,
    ended: Notify,
    start: Instant,
}

impl Default for RateLimits {
    fn default() -> Self {
        const AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
        const MOST: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");
        Self { requests_per_minute: None, tokens_per_minute: None, at_once: AT_ONCE, most_at_once: MOST }
    }
}

impl Limiter {
    /// A limiter, on tokio's clock.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        let shared = Shared {
            throttle: Mutex::new(Throttle::new(limits)),
            turn: tokio::sync::Mutex::default(),
            ended: Notify::new(),
            start: Instant::now(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until a request of at most `tokens` tokens may go. Dropping the future gives the place in
    /// the queue up.
    pub async fn acquire(&self, tokens: u64) -> Permit {
        let shared = &self.shared;
        let _turn = shared.turn.lock().await;
        loop {
            let ended = shared.ended.notified();
            let admission = shared.with(|throttle, now| throttle.admit(tokens, now));
            match admission {
                Admission::Go { era } => {
                    return Permit { shared: Arc::clone(shared), era, experience: Experience::Unknown };
                }
                Admission::NotBefore(at) => match shared.start.checked_add(at) {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                },
                Admission::WhenOneEnds => ended.await,
            }
        }
    }

    /// How many requests may be under way at once now.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.shared.with(|throttle, _| throttle.window() as usize)
    }
}

impl Permit {
    /// Ends the request, which went like this.
    pub fn end(mut self, experience: Experience) {
        self.experience = experience;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.with(|throttle, now| throttle.end(self.era, self.experience, now));
        self.shared.ended.notify_one();
    }
}

impl Shared {
    fn with<T>(&self, what: impl FnOnce(&mut Throttle, Duration) -> T) -> T {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut throttle, self.start.elapsed())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("throttle", &self.throttle).finish_non_exhaustive()
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("throttle", &self.shared.throttle).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_share_it_share_its_limits() {
        let limits = RateLimits { requests_per_minute: NonZeroU32::new(60), ..RateLimits::default() };
        let limiter = Limiter::new(limits);
        let start = Instant::now();
        join_all((0..100).map(|_| {
            let limiter = limiter.clone();
            async move { limiter.acquire(1).await.end(Experience::Answered) }
        }))
        .await;
        let took = start.elapsed();
        assert!((Duration::from_secs(90)..Duration::from_secs(120)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_first_goes_first() {
        let limiter = Limiter::new(RateLimits {
            at_once: NonZeroUsize::MIN,
            most_at_once: NonZeroUsize::MIN,
            ..RateLimits::default()
        });
        let order = Mutex::new(Vec::new());
        join_all((0..10).map(|i| {
            let (limiter, order) = (&limiter, &order);
            async move {
                let permit = limiter.acquire(0).await;
                order.lock().unwrap().push(i);
                tokio::time::sleep(Duration::from_secs(1)).await;
                permit.end(Experience::Answered);
            }
        }))
        .await;
        assert!(order.into_inner().unwrap().is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_holds_nobody_up() {
        let limiter = Limiter::new(RateLimits {
            at_once: NonZeroUsize::MIN,
            most_at_once: NonZeroUsize::MIN,
            ..RateLimits::default()
        });
        let first = limiter.acquire(0).await;
        let waited = tokio::time::timeout(Duration::from_secs(1), limiter.acquire(0)).await;
        assert!(waited.is_err());
        drop(first);
        tokio::time::timeout(Duration::from_secs(1), limiter.acquire(0))
            .await
            .unwrap()
            .end(Experience::Answered);
    }
}
