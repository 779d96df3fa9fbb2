//! What a check found, and on what evidence.

use std::{error::Error as StdError, fmt, iter};

use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// The check itself, its surroundings or the way to the model is at fault.
    Infra {
        /// What went wrong and what to do.
        what: String,
    },
    /// Nothing was checked.
    NothingChecked,
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

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// The check's name.
    pub check: String,
    /// What it says.
    pub verdict: Verdict,
    /// What was to be shown, in words.
    pub claim: String,
    /// The numbers behind the verdict; none if nothing could be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The single cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
}

/// One number behind a verdict, and how well it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Evidence {
    /// What was measured: `replies with the expected answer`.
    pub measure: String,
    /// The number as measured.
    pub estimate: f64,
    /// It lies above this, if that can be said.
    pub lower: Option<f64>,
    /// It lies below this, if that can be said.
    pub upper: Option<f64>,
    /// The confidence of each of the two bounds taken alone.
    pub confidence: f64,
    /// The value it is held against.
    pub threshold: f64,
    /// How the bounds were found.
    pub method: Method,
    /// Trials behind it.
    pub n: u64,
    /// Trials made without a result.
    pub unknown: u64,
    /// What the numbers count.
    pub unit: Unit,
}

/// How the bounds of an [`Evidence`] were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// Everything there is was looked at, so there is nothing to infer.
    Census,
    /// Exact binomial bounds (Clopper and Pearson, 1934).
    ClopperPearson,
    /// Order statistics of the sample, whatever its distribution.
    OrderStatistics,
}

/// What the numbers of an [`Evidence`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A share, from 0 to 1.
    Share,
}

/// One question and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Case {
    /// What was asked, shortened.
    pub input: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, or what was answered instead; shortened.
    pub detail: String,
}

/// What became of a [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "a trial has a result, of one kind or the other, or it has none")]
pub enum Outcome {
    /// It is as it should be.
    Hit,
    /// It is not as it should be.
    Miss,
    /// It has no result.
    Unknown,
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

impl Finding {
    /// A finding without numbers.
    pub fn new(check: impl Into<String>, verdict: Verdict, claim: impl Into<String>) -> Self {
        Self { check: check.into(), verdict, claim: claim.into(), evidence: Vec::new(), cases: Vec::new() }
    }

    /// This finding with the numbers behind it.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// This finding with its cases.
    #[must_use]
    pub fn with_cases(mut self, cases: impl IntoIterator<Item = Case>) -> Self {
        self.cases.extend(cases);
        self
    }

    pub(crate) fn unmade(check: &str, error: &Error) -> Self {
        Self::new(check, Verdict::Inconclusive(Reason::infra(error)), "the check could not be made")
    }
}

impl Case {
    /// Longest piece of a question or answer that is kept, in characters.
    pub const SHOWN: usize = 300;

    /// A case; `input` and `detail` are shortened and freed of control characters.
    #[must_use]
    pub fn new(input: &str, outcome: Outcome, detail: &str) -> Self {
        Self { input: excerpt(input, Self::SHOWN), outcome, detail: excerpt(detail, Self::SHOWN) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { need, left } => {
                write!(f, "it may need {need} calls and the run has {left} left; allow more calls")
            }
            Self::Infra { what } => f.write_str(what),
            Self::NothingChecked => f.write_str("nothing was checked; add a check or a case"),
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

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Seconds => " s",
            Unit::Share => "",
        };
        write!(f, "{} {:.3}{unit}", self.measure, self.estimate)?;
        if self.method != Method::Census {
            let percent = self.confidence * 100.0;
            match (self.lower, self.upper) {
                (Some(lower), Some(upper)) => {
                    write!(f, " ({lower:.3} to {upper:.3}, each at {percent:.0} %)")?
                }
                (Some(lower), None) => write!(f, " (above {lower:.3} at {percent:.0} %)")?,
                (None, Some(upper)) => write!(f, " (below {upper:.3} at {percent:.0} %)")?,
                (None, None) => {}
            }
        }
        write!(f, ", n = {}", self.n)?;
        if self.unknown > 0 {
            write!(f, ", {} without a result", self.unknown)?;
        }
        Ok(())
    }
}

/// The first `longest` characters of `text` with control characters made visible: answers come from
/// outside and end up in terminals.
pub(crate) fn excerpt(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for c in text.trim().chars().take(longest) {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            // Bidirectional overrides reorder what a person reads (CVE-2021-42574).
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if text.trim().chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
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

    #[test]
    fn an_excerpt_moves_no_cursor() {
        assert_eq!(excerpt("a\u{1b}[2Jb\n\u{202e}c", 99), "a\\u{1b}[2Jb \\u{202e}c");
        assert_eq!(excerpt("ééé", 2), "éé…");
    }
}
