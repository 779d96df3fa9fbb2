//! What a check found, and on what evidence.

use std::{cmp::Reverse, error::Error as StdError};

use serde::{Deserialize, Serialize};

use crate::{Error, Evidence, Issue, Reason, Standing, Verdict, drift::Picture, excerpt::excerpt};

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
    /// The single flaws, where a scanner looked for some; the worst first, and not more than so many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
    /// What else there is to know, and decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What there is to see, where columns were compared; the worst first, and not more than so many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

/// A picture in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Figure {
    /// What it is of, shortened.
    pub title: String,
    /// What there is to see.
    pub picture: Picture,
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

impl Finding {
    /// Most issues that are kept.
    pub const MOST_ISSUES: usize = 1000;

    /// Most figures that are kept, and shown.
    pub const MOST_FIGURES: usize = 6;

    /// A finding without numbers.
    pub fn new(check: impl Into<String>, verdict: Verdict, claim: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict,
            claim: claim.into(),
            evidence: Vec::new(),
            cases: Vec::new(),
            issues: Vec::new(),
            notes: Vec::new(),
            figures: Vec::new(),
        }
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

    /// This finding with the flaws that were found, the worst first; of more than [`MOST_ISSUES`](Self::MOST_ISSUES)
    /// the least are left out, and a note says how many.
    #[must_use]
    pub fn with_issues(mut self, issues: impl IntoIterator<Item = Issue>) -> Self {
        self.issues.extend(issues);
        let counts = |issue: &Issue| matches!(issue.standing, Standing::Open | Standing::Undecided);
        self.issues.sort_by_key(|issue| Reverse((counts(issue), issue.severity)));
        if let Some(more @ 1..) = self.issues.len().checked_sub(Self::MOST_ISSUES) {
            self.issues.truncate(Self::MOST_ISSUES);
            self.notes.push(format!("{more} lesser issues are left out"));
        }
        self
    }

    /// This finding with something else to know.
    #[must_use]
    pub fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// This finding with what there is to see, the worst first, up to [`MOST_FIGURES`](Self::MOST_FIGURES) in all.
    #[must_use]
    pub fn with_figures(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        let room = Self::MOST_FIGURES.saturating_sub(self.figures.len());
        self.figures.extend(figures.into_iter().take(room));
        self
    }

    pub(crate) fn unmade(check: &str, error: &(dyn StdError + 'static)) -> Self {
        let reason = match error.downcast_ref() {
            Some(Error::OutOfBudget { shortage, .. }) => Reason::Budget(shortage.clone()),
            _ => Reason::infra(error),
        };
        Self::not_made(check, reason)
    }

    /// Of a check whose agent gave no answer at all, for this reason: in the words of [`Error::Agent`].
    pub(crate) fn unanswered(check: &str, why: &Reason) -> Self {
        let what = excerpt(&format!("{}: {why}", Error::no_answer(check)), Reason::LONGEST);
        let reason = match why {
            Reason::Denied { .. } => Reason::Denied { what },
            Reason::Refused { .. } => Reason::Refused { what },
            _ => Reason::Infra { what },
        };
        Self::not_made(check, reason)
    }

    fn not_made(check: &str, reason: Reason) -> Self {
        Self::new(check, Verdict::Inconclusive(reason), "the check could not be made")
    }
}

impl Figure {
    /// A figure; `title` is shortened and freed of control characters.
    #[must_use]
    pub fn new(title: &str, picture: Picture) -> Self {
        Self { title: excerpt(title, Case::SHOWN), picture }
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
