//! How things can be with a watch.

use std::{fmt, time::SystemTime};

use tidegate_canary::{RolloutId, metrics::Verdict};
use tidegate_registry::ModelRef;

use crate::{Helped, Order};

/// How things are with a watch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vigilance {
    /// It looks, and sees nothing wrong.
    Watching,
    /// It looks, and sees nothing. That is not health.
    Blind {
        /// Since when.
        since: SystemTime,
        /// Why.
        why: String,
    },
    /// Something is wrong, and it has to be decided what is done.
    Alarmed {
        /// What is wrong, in words, with its numbers.
        why: Vec<String>,
        /// Whose decision it is to go back, if it is a person's.
        by: Option<String>,
        /// Whether it is that nothing was seen.
        blind: bool,
    },
    /// It looks, and does nothing without a person.
    Held {
        /// Why.
        why: String,
        /// Who said so, if somebody did.
        by: Option<String>,
    },
    /// A rollback is under way.
    Returning {
        /// Its id.
        id: RolloutId,
        /// What is undone.
        order: Box<Order>,
    },

    /// An end: the release was guarded for as long as was wanted.
    Kept {
        /// What the looks of the last span say; it is settled if it is good.
        verdict: Verdict,
    },
    /// An end: the channel points to another version by now, or nowhere, so there is nothing left to guard.
    Moved {
        /// Where it points, if anywhere.
        to: Option<ModelRef>,
    },
    /// An end: the rollback is over.
    Returned {
        /// Its id.
        id: RolloutId,
        /// Whether all traffic is on the target.
        done: bool,
        /// Whether that was seen to help, if it is done.
        helped: Option<Helped>,
        /// How it ended, in words.
        end: String,
    },
    /// An end: somebody asked for it.
    Stopped {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Vigilance {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Kept { .. } | Self::Moved { .. } | Self::Returned { .. } | Self::Stopped { .. })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alarmed { .. } => "alarmed",
            Self::Blind { .. } => "blind",
            Self::Held { .. } => "held",
            Self::Kept { .. } => "kept",
            Self::Moved { .. } => "moved",
            Self::Returned { .. } => "returned",
            Self::Returning { .. } => "returning",
            Self::Stopped { .. } => "stopped",
            Self::Watching => "watching",
        }
    }

    /// What a person must do now, if anything is to be done.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Blind { .. } => Some(
                "mend the source of its metrics, and look at the release yourself until then: nobody sees whether it is well",
            ),
            Self::Held { .. } => Some(
                "look at the release; then have the watch roll back or resume, or mend what is wrong and stop it",
            ),
            Self::Kept { verdict: Verdict::Fail | Verdict::Inconclusive } => Some(
                "the release was not seen to be good to the end, so it is no last known good; look at it, then watch it again",
            ),
            Self::Returned { done: false, .. } => Some(
                "nobody watches the release any more; do what the rollback says, then watch what is in service",
            ),
            Self::Returned { helped: Some(Helped::Unproven), .. } => Some(
                "all traffic is on the target, but whether that has helped was not seen; look at it yourself",
            ),
            Self::Alarmed { .. }
            | Self::Kept { .. }
            | Self::Moved { .. }
            | Self::Returned { .. }
            | Self::Returning { .. }
            | Self::Stopped { .. }
            | Self::Watching => None,
        }
    }

    /// Whether it looks.
    #[must_use]
    pub const fn looks(&self) -> bool {
        matches!(self, Self::Watching | Self::Blind { .. } | Self::Held { .. })
    }
}

/// As the rest of a sentence that begins "the watch".
impl fmt::Display for Vigilance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarmed { why, by: None, .. } => write!(f, "is alarmed: {}", why.join("; ")),
            Self::Alarmed { why, by: Some(by), .. } => {
                write!(f, "is to go back, since {by} says so: {}", why.join("; "))
            }
            Self::Blind { why, .. } => write!(f, "is blind: {why}"),
            Self::Held { why, by: None } => write!(f, "does nothing without a person: {why}"),
            Self::Held { why, by: Some(by) } => write!(f, "does nothing without a person, says {by}: {why}"),
            Self::Kept { verdict: Verdict::Pass } => f.write_str("is over, the release is good and settled"),
            Self::Kept { verdict } => write!(f, "is over, undecided ({verdict})"),
            Self::Moved { to: Some(to) } => write!(f, "is over, since {to} is in service by now"),
            Self::Moved { to: None } => f.write_str("is over, since its channel points to nothing any more"),
            Self::Returned { id, done: true, .. } => write!(f, "is over, rollback {id} has brought it back"),
            Self::Returned { id, end, .. } => write!(f, "is over, and rollback {id} is {end}"),
            Self::Returning { id, order } => write!(f, "goes back to {} by rollback {id}", order.to),
            Self::Stopped { by, reason } => write!(f, "is over, stopped by {by}: {reason}"),
            Self::Watching => f.write_str("sees nothing wrong"),
        }
    }
}
