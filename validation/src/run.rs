//! The terms of a run: how long, how many calls, how many at once, and who watches.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{Call, Cost, Finding};

/// The terms under which a suite runs.
///
/// ```
/// use std::time::Duration;
/// use tidegate_validation::Run;
///
/// let run = Run::new(7).deadline(Duration::from_secs(120)).max_calls(500);
/// # let _ = run;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Run {
    /// Goes into every request and into the report, so that the run can be repeated.
    pub seed: u32,
    /// How long a single call may take, retries included; 60 s at first.
    pub call_timeout: Duration,
    /// How many calls a check may have under way at once, unless it needs them one by one; 4 at first.
    pub concurrency: NonZeroUsize,
    /// How long the run may take; 15 minutes at first. What is not known by then stays unknown.
    pub deadline: Duration,
    /// How many calls the run may make; unlimited at first. A check is only begun when all the calls
    /// that it may need are left.
    pub max_calls: Option<u64>,
    ends: Option<Instant>,
    watch: Arc<dyn Fn(Event<'_>) + Send + Sync>,
}

/// What happens in a run while it happens.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A check begins, and may cost so much.
    Started {
        /// The check.
        check: &'a str,
        /// The most that it may cost.
        cost: Cost,
    },
    /// A call was answered, or will not be.
    Called {
        /// The check that made it.
        check: &'a str,
    },
    /// A check is over.
    Finished(&'a Finding),
}

impl Run {
    /// A run with this seed and the terms said at the fields.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");
        Self {
            seed,
            call_timeout: Duration::from_secs(60),
            concurrency: CONCURRENCY,
            deadline: Duration::from_secs(15 * 60),
            max_calls: None,
            ends: None,
            watch: Arc::new(|_| {}),
        }
    }

    /// This run, ending after `deadline`.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// This run, with calls of at most `timeout`.
    #[must_use]
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// This run, with at most so many calls at once.
    #[must_use]
    pub const fn concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.concurrency = calls;
        self
    }

    /// This run, with at most so many calls.
    #[must_use]
    pub const fn max_calls(mut self, calls: u64) -> Self {
        self.max_calls = Some(calls);
        self
    }

    /// This run, telling `watch` what happens. It is called between awaits: return quickly.
    #[must_use]
    pub fn watch(mut self, watch: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        self.watch = Arc::new(watch);
        self
    }

    /// The terms of the next call, as its repetition number `trial`; `None` when the time is over.
    #[must_use]
    pub fn call(&self, trial: u32) -> Option<Call> {
        let left = self.ends.map_or(self.deadline, |end| end.saturating_duration_since(Instant::now()));
        (!left.is_zero()).then(|| Call::new(self.call_timeout.min(left)).trial(trial))
    }

    /// Tells whoever watches.
    pub fn tell(&self, event: Event<'_>) {
        (self.watch)(event);
    }

    /// This run with its clock started.
    pub(crate) fn started(&self) -> Self {
        let ends = Instant::now().checked_add(self.deadline);
        Self { ends, ..self.clone() }
    }

    /// When the time is over; `None` if never.
    pub(crate) const fn ends(&self) -> Option<Instant> {
        self.ends
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("seed", &self.seed)
            .field("call_timeout", &self.call_timeout)
            .field("concurrency", &self.concurrency)
            .field("deadline", &self.deadline)
            .field("max_calls", &self.max_calls)
            .finish_non_exhaustive()
    }
}
