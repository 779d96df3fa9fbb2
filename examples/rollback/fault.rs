//! What goes wrong with a version that was well for a while.

use std::{fmt, time::Duration};

use super::users::Answer;

/// A fault in a model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies, and dies again whenever it is started.
    Crash,
    /// Every answer takes [`DELAY`] longer.
    Latency,
    /// Two requests in five fail.
    Errors,
    /// Every answer comes in time, and is wrong: the labels have been put in another order.
    Quality,
}

/// How much later answers come after [`Fault::Latency`].
pub(crate) const DELAY: Duration = Duration::from_secs(1);

/// Users think that this is too long.
pub(crate) const LATE: Duration = Duration::from_millis(500);

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Crash, Self::Latency, Self::Errors, Self::Quality];

    /// The name by which a server is told.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Quality => "quality",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Whether a user has met it in `answer`.
    pub(crate) fn spoils(self, answer: &Answer) -> bool {
        match self {
            Self::Crash | Self::Errors => answer.version.is_none(),
            Self::Latency => answer.took > LATE,
            Self::Quality => !answer.right,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Crash => "Crash loop",
            Self::Latency => "Latency regression",
            Self::Errors => "Error burst",
            Self::Quality => "Quality drop",
        })
    }
}
