//! What keeps an automatic rollback from going back and forth: a pure look at the channel's history.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tidegate_registry::{Cause, ModelRef, Move};

/// How many rollbacks may happen without a person. Whatever these say, one change is rolled back once: what a
/// rollback, or a person taking back a move, has put in service is never left for a third version by itself.
///
/// What goes back and forth is what is in service. A rollback from a candidate that was only tried leaves that as it
/// was, and is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Brakes {
    /// So many rollbacks of the channel may lie within [`within`](Self::within); with as many, the next is a person's.
    pub most: u32,
    /// The time in which they are counted.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// So long after a rollback there is no other.
    #[serde(with = "humantime_serde")]
    pub cool_down: Duration,
}

/// Why there is no rollback without a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Braked {
    /// What is in service was gone back to already.
    AfterReturn(ModelRef),
    /// The last rollback was too short ago.
    CoolDown {
        /// When it was.
        last: SystemTime,
    },
    /// There were too many.
    TooMany {
        /// How many.
        count: usize,
        /// Within which time.
        within: Duration,
    },
}

impl Default for Brakes {
    /// At most three within a day, and one an hour.
    fn default() -> Self {
        Self { most: 3, within: Duration::from_secs(24 * 3600), cool_down: Duration::from_secs(3600) }
    }
}

impl Brakes {
    /// Whether what is in service may be left at `at` without a person, by the channel's `history`, oldest first.
    ///
    /// # Errors
    ///
    /// [`Braked`] says why not.
    pub fn check(&self, history: &[Move], at: SystemTime) -> Result<(), Braked> {
        let is_rollback = |moved: &Move| matches!(moved.cause, Cause::Rollback { .. });
        let leaves_all = |moved: &&Move| is_rollback(moved) && moved.from.as_ref() == Some(&moved.to);
        let moves = || history.iter().rev().filter(|moved| !leaves_all(moved));
        let Some(head) = moves().next() else { return Ok(()) };
        if matches!(head.cause, Cause::Rollback { .. } | Cause::Revert { .. }) {
            return Err(Braked::AfterReturn(head.to.clone()));
        }
        // What another clock has put into the future is as young as can be.
        let ago = |moved: &Move| at.duration_since(moved.stamp.at).unwrap_or_default();
        let rollbacks: Vec<&Move> = moves().filter(|moved| is_rollback(moved)).collect();
        let count = rollbacks.iter().filter(|moved| ago(moved) < self.within).count();
        if count >= usize::try_from(self.most).unwrap_or(usize::MAX) {
            return Err(Braked::TooMany { count, within: self.within });
        }
        match rollbacks.first() {
            Some(last) if ago(last) < self.cool_down => Err(Braked::CoolDown { last: last.stamp.at }),
            _ => Ok(()),
        }
    }
}

/// As a whole sentence.
impl fmt::Display for Braked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterReturn(model) => write!(
                f,
                "{model} is what was gone back to already, and a third version is a person's decision"
            ),
            Self::CoolDown { last } => {
                let last = humantime::format_rfc3339_seconds(*last);
                write!(f, "the last rollback was at {last}, too short ago to go back again without a person")
            }
            Self::TooMany { count, within } => write!(
                f,
                "there were {count} rollbacks within {}, so the next is a person's decision",
                humantime::format_duration(*within)
            ),
        }
    }
}
