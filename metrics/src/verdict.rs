//! Pass, fail, or not known yet; and how several become one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Importance, Judgement};

/// What evidence says. Ordered from worst to best, so that the least of several speaks for all
/// (strong Kleene conjunction).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no fourth answer, and callers must be able to rely on that"
)]
pub enum Verdict {
    /// The evidence is against it.
    Fail,
    /// The evidence does not decide.
    Inconclusive,
    /// The evidence is for it.
    Pass,
}

impl Verdict {
    /// The worst of `verdicts`. Without any there is no evidence, so it is
    /// [`Inconclusive`](Self::Inconclusive), never a pass.
    pub fn over(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().min().unwrap_or(Self::Inconclusive)
    }

    /// The worst verdict of the [`Required`](Importance::Required) among `judgements`; advice does not count,
    /// and where nothing is required nothing has passed.
    #[must_use]
    pub fn of(judgements: &[Judgement]) -> Self {
        let required = judgements.iter().filter(|judgement| judgement.importance == Importance::Required);
        Self::over(required.map(|judgement| judgement.verdict))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        })
    }
}
