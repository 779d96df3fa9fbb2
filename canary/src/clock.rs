//! Wall time that stands still while tokio's clock is paused.

use std::time::SystemTime;

use tokio::time::Instant;

/// The wall clock of a driver: a start, and tokio's monotonic clock since.
///
/// Under `tokio::time::pause` it is virtual, so whole rollouts run in milliseconds of real time.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    start: SystemTime,
    origin: Instant,
}

impl WallClock {
    /// The system's time from now on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where a driver asks what time it is")]
    pub fn system() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        Self { start, origin: Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.at(Instant::now())
    }

    /// What it showed at `instant`, which is not before its start.
    pub(crate) fn at(&self, instant: Instant) -> SystemTime {
        self.start + (instant - self.origin)
    }

    /// Returns once the clock shows `time`, at once if it does already.
    pub async fn sleep_until(&self, time: SystemTime) {
        if let Ok(left) = time.duration_since(self.now()) {
            tokio::time::sleep(left).await;
        }
    }
}
