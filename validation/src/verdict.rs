//! Pass, fail, or why it is not known.

use std::{error::Error as StdError, fmt, iter};

use serde::{Deserialize, Serialize};

use crate::{AgentError, Shortage, excerpt::excerpt};

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
    /// The run had too little left to ask everything. What was asked is kept.
    Budget(Shortage),
    /// Answers ended at the limit of their tokens before they said anything.
    CutOff,
    /// The agent, or what judges its answers, turns every call away until somebody changes the credentials, the account, the
    /// name or the address.
    Denied {
        /// What it said, and what to change.
        what: String,
    },
    /// The check itself, its surroundings or the way to the model is at fault.
    Infra {
        /// What went wrong and what to do.
        what: String,
    },
    /// What was found is more than is allowed, but may be chance.
    MayBeChance,
    /// Units of an experiment are not in its arms as they should be, so that nothing follows from their outcomes.
    Misassigned {
        /// What is wrong with them.
        what: String,
    },
    /// The check compares with a baseline, and the subject has none.
    NoBaseline,
    /// Nothing was checked.
    NothingChecked,
    /// A file was not read to its end.
    ParseLimit {
        /// What stopped it.
        what: String,
    },
    /// The agent, or what judges its answers, will not answer what it was asked, however often it is asked.
    Refused {
        /// What it said.
        what: String,
    },
    /// Answers were empty, so nothing of them could be measured.
    Silent,
    /// A file is made as no known program makes it, and nothing that would run was found in it.
    Suspicious {
        /// How many such things were found.
        findings: u64,
    },
    /// There are trials, but not enough to decide.
    TooFew {
        /// Trials made.
        have: u64,
        /// Trials that it takes if none of those to come misses.
        need: u64,
    },
    /// Two versions are too much alike, or too little known, for the cases that were compared.
    TooAlike {
        /// Cases compared; where several belong together, what they belong to.
        have: u64,
        /// About how many show the difference four times in five if it is what it seems; none if it seems to be none.
        need: Option<u64>,
    },
    /// A summary does not tell enough values apart.
    TooCoarse,
    /// There are too few rows with a value to compare.
    TooFewRows {
        /// Values on the side that has fewer.
        have: u64,
        /// Values that it takes.
        need: u64,
    },
    /// A sequential test made all the trials that it is allowed, and they do not decide.
    Truncated {
        /// How many it is allowed.
        most: u64,
    },
    /// Findings wait for a person to say whether they are any.
    Undecided {
        /// How many.
        findings: u64,
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
    /// Most characters of what an error says.
    pub(crate) const LONGEST: usize = 500;

    /// An error with everything below it, in one line: [`Refused`](Self::Refused) if below it is an agent that says the
    /// same however often it is asked, [`Denied`](Self::Denied) if it turns away whatever it is asked, and
    /// [`Infra`](Self::Infra) otherwise.
    #[must_use]
    pub fn infra(error: &(dyn StdError + 'static)) -> Self {
        let chain = || iter::successors(Some(error), |&error| error.source());
        let what = excerpt(&chain().map(ToString::to_string).collect::<Vec<_>>().join(": "), Self::LONGEST);
        let agents: Vec<_> = chain().filter_map(|error| error.downcast_ref::<AgentError>()).collect();
        if agents.iter().any(|error| error.is_final()) {
            Self::Refused { what }
        } else if agents.iter().any(|error| error.is_denial()) {
            Self::Denied { what }
        } else {
            Self::Infra { what }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(shortage) => shortage.fmt(f),
            Self::CutOff => f.write_str(
                "answers were cut off before they said anything; raise max_tokens, of which thinking takes its part",
            ),
            Self::Denied { what } | Self::Infra { what } | Self::Refused { what } => f.write_str(what),
            Self::MayBeChance => {
                f.write_str("it is more than is allowed, but may be chance; compare more rows")
            }
            Self::Misassigned { what } => write!(f, "the arms are not to be compared: {what}"),
            Self::NoBaseline => f.write_str(
                "there is nothing to compare with; give the subject one with `Subject::with_baseline`",
            ),
            Self::NothingChecked => f.write_str("nothing was checked; add a check or a case"),
            Self::ParseLimit { what } => write!(f, "a file was not read to its end: {what}"),
            Self::Silent => f.write_str("answers were empty; look at what the server logs about them"),
            Self::Suspicious { findings } => {
                write!(f, "{findings} findings are suspicious; look at them, and have the file saved again")
            }
            Self::TooAlike { have, need: Some(need) } => write!(
                f,
                "{have} cases do not decide, about {need} would if the difference is what it seems; compare more, or allow a wider margin"
            ),
            Self::TooAlike { have, need: None } => write!(
                f,
                "{have} cases do not decide, and no number would if the difference is what it seems; allow a wider margin"
            ),
            Self::TooFew { have, need } => write!(
                f,
                "{have} trials do not decide, {need} can if the others hit; ask more, lower the floor, or say rule = \"point\""
            ),
            Self::TooCoarse => {
                f.write_str("too many values are counted as one; summarise both sides with a higher limit")
            }
            Self::TooFewRows { have, need } => {
                write!(f, "one side has {have} values and it takes {need}; compare more rows")
            }
            Self::Truncated { most } => {
                write!(f, "{most} trials do not decide, and no more are allowed; raise `most`, or lower `good`")
            }
            Self::Undecided { findings } => {
                write!(f, "{findings} findings wait for a review; have somebody decide them in the tool that made them")
            }
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
