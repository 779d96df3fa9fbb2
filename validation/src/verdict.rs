//! Pass, fail, or why it is not known.

use std::{error::Error as StdError, fmt, iter};

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;

/// What a check says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no fourth answer, and callers must be able to rely on that"
)]
pub enum Verdict {
    /// The evidence is against the model.
    Fail,
    /// The evidence does not decide, for this reason.
    Inconclusive(Reason),
    /// The evidence is for the model.
    Pass,
}

/// Why a check does not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Reason {
    /// The check may need more calls than the run has left.
    Budget {
        /// Calls that it may need.
        need: u64,
        /// Calls that are left.
        left: u64,
    },
    /// Answers ended at the limit of their tokens before they said anything.
    CutOff,
    /// The check itself, its surroundings or the way to the model is at fault.
    Infra {
        /// What went wrong and what to do.
        what: String,
    },
    /// Nothing was checked.
    NothingChecked,
    /// Answers were empty, so nothing of them could be measured.
    Silent,
    /// There are trials, but not enough to decide.
    TooFew {
        /// Trials made.
        have: u64,
        /// Trials that it takes if none of those to come misses.
        need: u64,
    },
    /// The provider does not count tokens.
    Uncounted {
        /// Replies without a count.
        replies: u64,
    },
}

impl Verdict {
    /// The worst of `verdicts`: a failure, else the first that does not decide. Without any it is
    /// [`Reason::NothingChecked`], never a pass.
    pub fn over<'a>(verdicts: impl IntoIterator<Item = &'a Self>) -> Self {
        let worst = verdicts.into_iter().min_by_key(|verdict| match verdict {
            Self::Fail => 0,
            Self::Inconclusive(_) => 1,
            Self::Pass => 2,
        });
        worst.cloned().unwrap_or(Self::Inconclusive(Reason::NothingChecked))
    }

    /// `pass`, `fail` or `inconclusive`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Inconclusive(_) => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

impl Reason {
    /// An error with everything below it, in one line.
    #[must_use]
    pub fn infra(error: &(dyn StdError + 'static)) -> Self {
        let chain: Vec<_> =
            iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
        Self::Infra { what: excerpt(&chain.join(": "), 500) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { need, left } => {
                write!(f, "it may need {need} calls and the run has {left} left; allow more calls")
            }
            Self::CutOff => f.write_str(
                "answers were cut off before they said anything; raise max_tokens, of which thinking takes its part",
            ),
            Self::Infra { what } => f.write_str(what),
            Self::NothingChecked => f.write_str("nothing was checked; add a check or a case"),
            Self::Silent => f.write_str("answers were empty; look at what the server logs about them"),
            Self::TooFew { have, need } => write!(
                f,
                "{have} trials do not decide, {need} can if the others hit; ask more, lower the floor, or say rule = \"point\""
            ),
            Self::Uncounted { replies } => {
                write!(
                    f,
                    "{replies} replies came without token counts; serve the model with `usage` switched on"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_speaks_for_all() {
        let few = Verdict::Inconclusive(Reason::TooFew { have: 1, need: 2 });
        assert_eq!(Verdict::over([&Verdict::Pass, &few, &Verdict::Fail]), Verdict::Fail);
        assert_eq!(Verdict::over([&Verdict::Pass, &few]), few);
        assert_eq!(Verdict::over([&Verdict::Pass]), Verdict::Pass);
    }

    #[test]
    fn no_verdict_is_no_pass() {
        assert_eq!(Verdict::over([]), Verdict::Inconclusive(Reason::NothingChecked));
    }
}
