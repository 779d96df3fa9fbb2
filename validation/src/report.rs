//! What a suite found about a version.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use tidegate_registry::{Attestation, Digest, ModelRef, Stamp};

use crate::{AgentId, Finding, Outcome, Verdict};

/// Everything that a suite found about a version. `Display` is a table for people, serde the whole
/// for machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a report that nobody reads has validated nothing"]
#[non_exhaustive]
pub struct Report {
    /// The version.
    pub model: ModelRef,
    /// The identity of its content.
    pub digest: Digest,
    /// The suite's name.
    pub suite: String,
    /// The SHA-256 of the suite's settings, where it was read from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite_digest: Option<Digest>,
    /// Who answered for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The seed of the run.
    pub seed: u32,
    /// Checks that need not be conclusive for the version to be accepted. They must still not fail.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow_inconclusive: BTreeSet<String>,
    /// What each check found, in the order of the suite.
    pub findings: Vec<Finding>,
}

impl Report {
    /// What [`attestation`](Self::attestation) says: the report without its single cases.
    pub const PREDICATE_TYPE: &str = "tidegate:validation-report/v1";

    /// The worst verdict of all findings; never a pass without any.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::over(self.findings.iter().map(|finding| &finding.verdict))
    }

    /// Whether the version may take traffic: every check passed, but for those whose being
    /// inconclusive the suite allows, and at least one passed.
    #[must_use]
    pub fn accepted(&self) -> bool {
        let waived = |finding: &Finding| {
            matches!(finding.verdict, Verdict::Inconclusive(_))
                && self.allow_inconclusive.contains(&finding.check)
        };
        let passed = |finding: &Finding| finding.verdict == Verdict::Pass;
        self.findings.iter().any(passed) && self.findings.iter().all(|f| passed(f) || waived(f))
    }

    /// This report as a statement about the version, to be recorded beside it. The cases are left
    /// out: their number is not bounded by anything a log could count on.
    #[must_use]
    pub fn attestation(&self, stamp: Stamp) -> Attestation {
        let mut brief = self.clone();
        brief.findings.iter_mut().for_each(|finding| finding.cases.clear());
        let predicate = serde_json::json!({
            "accepted": self.accepted(),
            "report": brief,
        });
        Attestation::new(Self::PREDICATE_TYPE, stamp, predicate)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let word = if self.accepted() { "accepted" } else { "not accepted" };
        write!(f, "{} by suite `{}`: {} ({word})", self.model, self.suite, self.verdict().word())?;
        if let Some(agent) = &self.agent {
            write!(f, "\nasked: {agent}")?;
        }
        let width = self.findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
        for finding in &self.findings {
            write!(f, "\n  {:<12}  {:<width$}  {}", finding.verdict.word(), finding.check, finding.claim)?;
            let indent = " ".repeat(width + 18);
            for evidence in &finding.evidence {
                write!(f, "\n{indent}{evidence}")?;
            }
            if let Verdict::Inconclusive(reason) = &finding.verdict {
                write!(f, "\n{indent}{reason}")?;
            }
            let mut misses = finding.cases.iter().filter(|case| case.outcome == Outcome::Miss);
            for case in misses.by_ref().take(SHOWN) {
                write!(f, "\n{indent}missed: {} → {}", case.input, case.detail)?;
            }
            match misses.count() {
                0 => {}
                more => write!(f, "\n{indent}and {more} more")?,
            }
        }
        Ok(())
    }
}
