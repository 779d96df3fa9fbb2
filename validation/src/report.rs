//! What a suite found about a version.

mod github;
#[cfg(feature = "report")]
mod html;
#[cfg(feature = "report")]
mod junit;
mod markdown;
mod projection;
mod sarif;
#[cfg(feature = "report")]
mod scale;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use tidegate_registry::{Attestation, Digest, ModelRef, ResourceDescriptor, Stamp, TestOutcome, TestResult};

pub use self::projection::Projection;
use crate::{AgentId, Finding, Money, Outcome, Spending, Standing, Verdict};

/// Everything that a suite found about a version. `Display` is a table for people, serde the whole
/// for machines, and [`projection`](Self::projection) what other formats show of it.
///
/// As JSON it has the fields below, in camel case, and nothing is left out: each format is made from this document and
/// from nothing else, so that what was kept can be shown anew later. A check's `verdict` is `"pass"`, `"fail"` or
/// `{"inconclusive": REASON}`. Readers pass over fields that they do not know; what would mislead them comes with
/// another `version`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a report that nobody reads has validated nothing"]
#[non_exhaustive]
pub struct Report {
    /// The version of the format, 1. A report of another is refused.
    #[serde(default)]
    pub version: ReportVersion,
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
    /// What the calls took.
    #[serde(default)]
    pub spent: Spending,
    /// What each check found, in the order of the suite.
    pub findings: Vec<Finding>,
}

/// The version of the format of a [`Report`] as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[non_exhaustive]
pub enum ReportVersion {
    /// The one that there is.
    #[default]
    V1,
}

impl Report {
    /// What [`attestation`](Self::attestation) says: the report without its single cases, issues and figures.
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
        let passed = |finding: &Finding| finding.verdict == Verdict::Pass;
        self.findings.iter().any(passed) && self.findings.iter().all(|f| passed(f) || self.waives(f))
    }

    /// Whether `finding` is inconclusive and the suite allows it to be.
    fn waives(&self, finding: &Finding) -> bool {
        matches!(finding.verdict, Verdict::Inconclusive(_))
            && self.allow_inconclusive.contains(&finding.check)
    }

    /// This report, ready to be written in other formats.
    pub fn projection(&self) -> Projection<'_> {
        Projection::of_report(self)
    }

    /// This report in the words of in-toto: which checks passed. One that the suite allows to be inconclusive passed
    /// with a warning, any other that is inconclusive has failed, as it keeps the version out. The result is
    /// [`TestOutcome::Failed`] exactly if the version is not [`accepted`](Self::accepted).
    #[must_use]
    pub fn test_result(&self) -> TestResult {
        let (mut passed, mut warned, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &self.findings {
            let names = match finding.verdict {
                Verdict::Pass => &mut passed,
                Verdict::Inconclusive(_) if self.waives(finding) => &mut warned,
                _ => &mut failed,
            };
            names.push(finding.check.clone());
        }
        let mut result = TestResult::of(passed, warned, failed);
        if !self.accepted() {
            result.result = TestOutcome::Failed;
        }
        let mut suite = ResourceDescriptor { name: self.suite.clone(), ..ResourceDescriptor::default() };
        if let Some(digest) = &self.suite_digest {
            suite.digest.insert("sha256".to_owned(), digest.hex());
        }
        result.configuration = vec![suite];
        result
    }

    /// This report as a statement about the version, to be recorded beside it. The cases, issues and
    /// figures are left out: their size is not bounded by anything a log could count on.
    #[must_use]
    pub fn attestation(&self, stamp: Stamp) -> Attestation {
        let mut brief = self.clone();
        for finding in &mut brief.findings {
            finding.cases.clear();
            finding.issues.clear();
            finding.figures.clear();
        }
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
            write!(f, "\nasked: {agent}, {} calls, {} tokens", self.spent.calls, self.spent.tokens)?;
            if self.spent.money != Money::ZERO {
                write!(f, ", {} of money", self.spent.money)?;
            }
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
            for note in &finding.notes {
                write!(f, "\n{indent}note: {note}")?;
            }
            let open = finding.issues.iter().filter(|issue| issue.standing == Standing::Open);
            for issue in open.clone().take(SHOWN) {
                write!(f, "\n{indent}{issue}")?;
            }
            more(f, &indent, open.count().saturating_sub(SHOWN))?;
            let mut misses = finding.cases.iter().filter(|case| case.outcome == Outcome::Miss);
            for case in misses.by_ref().take(SHOWN) {
                write!(f, "\n{indent}missed: {} → {}", case.input, case.detail)?;
            }
            more(f, &indent, misses.count())?;
        }
        Ok(())
    }
}

fn more(f: &mut fmt::Formatter<'_>, indent: &str, more: usize) -> fmt::Result {
    if more > 0 { write!(f, "\n{indent}and {more} more") } else { Ok(()) }
}

impl TryFrom<u32> for ReportVersion {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            1 => Ok(Self::V1),
            version => {
                Err(format!("the report is of version {version}, and this program reads 1; update it"))
            }
        }
    }
}

impl From<ReportVersion> for u32 {
    fn from(version: ReportVersion) -> Self {
        match version {
            ReportVersion::V1 => 1,
        }
    }
}
