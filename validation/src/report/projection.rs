//! What the formats have in common: what was found, about what, and whether that suffices.

use std::borrow::Cow;

use super::Report;
use crate::{Finding, Money, Verdict};

/// What was found, ready to be written in the formats that pipelines and people read.
///
/// Whatever a model answered and whatever a file is called is text in all of them: it is shortened, freed of control
/// characters and of marks that reorder what a person reads, and escaped as the format wants it. The same report gives
/// the same bytes.
///
/// | format | for | |
/// |---|---|---|
/// | [`junit`](Self::junit) | test reports of most pipelines | feature `report` |
/// | [`sarif`](Self::sarif) | code scanning | |
/// | [`annotations`](Self::annotations) | the lines of a GitHub workflow | |
/// | [`markdown`](Self::markdown) | a step summary, a pull request | |
/// | [`html`](Self::html) | people | feature `report` |
#[derive(Clone, Debug)]
#[must_use = "it is written by its methods"]
pub struct Projection<'a> {
    /// What it is about.
    pub(super) title: String,
    /// In a line, by whom and what it comes to.
    pub(super) lead: String,
    /// What else is known of the run.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) findings: Cow<'a, [Finding]>,
    /// Which of the findings may be inconclusive.
    pub(super) allowed: Vec<bool>,
    pub(super) accepted: bool,
    /// Whether the paths of this crate's own issues are those of files in a version, and not of the place where the
    /// run was made.
    pub(super) stored: bool,
    pub(super) at: Option<String>,
}

/// What a finding does to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Passed,
    /// Inconclusive, and allowed to be.
    Allowed,
    /// Inconclusive.
    Undecided,
    Failed,
}

impl<'a> Projection<'a> {
    pub(super) fn of_report(report: &'a Report) -> Self {
        let mut facts = vec![("Suite", report.suite.clone())];
        facts.extend(report.agent.as_ref().map(|agent| ("Asked", agent.to_string())));
        facts.push(("Calls", report.spent.calls.to_string()));
        facts.push(("Tokens", report.spent.tokens.to_string()));
        if report.spent.money != Money::ZERO {
            facts.push(("Money", report.spent.money.to_string()));
        }
        facts.push(("Seed", report.seed.to_string()));
        facts.push(("Content", report.digest.to_string()));
        facts.extend(report.suite_digest.map(|digest| ("Suite digest", digest.to_string())));
        Self {
            title: report.model.to_string(),
            lead: lead(&report.verdict(), report.accepted()),
            facts,
            findings: Cow::Borrowed(&report.findings),
            allowed: report.findings.iter().map(|finding| report.waives(finding)).collect(),
            accepted: report.accepted(),
            stored: true,
            at: None,
        }
    }

    /// This, with what has no place of its own shown at the file `path`, which is relative to the repository: the
    /// suite, for example.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.at = Some(path.into());
        self
    }

    /// This, with something else that is known of the run, in the place of what it says of the same `name`. For whoever
    /// checked what is no version in a registry yet, and knows better than the report what that was.
    pub fn with_fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        match self.facts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.facts.push((name, value)),
        }
        self
    }

    /// The findings, each with what it does to the whole.
    pub(super) fn weighed(&self) -> impl Iterator<Item = (&Finding, Weight)> {
        self.findings.iter().zip(&self.allowed).map(|(finding, allowed)| {
            let weight = match finding.verdict {
                Verdict::Pass => Weight::Passed,
                Verdict::Inconclusive(_) if *allowed => Weight::Allowed,
                Verdict::Inconclusive(_) => Weight::Undecided,
                Verdict::Fail => Weight::Failed,
            };
            (finding, weight)
        })
    }
}

#[cfg(feature = "scan")]
impl Projection<'static> {
    /// What [scans](crate::scan) of several files found. Paths are shown as they were given.
    pub fn of_scans<'s>(
        scans: impl IntoIterator<Item = &'s Result<crate::scan::FileScan, crate::scan::ScanError>>,
    ) -> Self {
        use crate::{Case, Evidence, Outcome, Reason};
        let (mut verdicts, mut cases, mut issues) = (Vec::new(), Vec::new(), Vec::new());
        for scan in scans {
            let (path, verdict, detail) = match scan {
                Ok(scan) => {
                    issues.extend(scan.issues());
                    let worst = scan.detections.iter().max_by_key(|found| found.severity);
                    let told = worst.map_or_else(|| scan.content.to_string(), ToString::to_string);
                    (&scan.path, scan.verdict.clone(), told)
                }
                Err(error) => {
                    let reason = Reason::infra(error);
                    let detail = reason.to_string();
                    (&error.path, Verdict::Inconclusive(reason), detail)
                }
            };
            let outcome = match verdict {
                Verdict::Pass => Outcome::Hit,
                Verdict::Fail => Outcome::Miss,
                Verdict::Inconclusive(_) => Outcome::Unknown,
            };
            cases.push(Case::new(path, outcome, &detail));
            verdicts.push(verdict);
        }
        let (files, verdict) = (cases.len(), Verdict::over(&verdicts));
        let accepted = verdict == Verdict::Pass;
        let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count() as u64;
        let evidence = Evidence::census(
            "files that are clean",
            count(Outcome::Hit),
            files as u64,
            count(Outcome::Unknown),
        );
        let finding = Finding::new("scan", verdict, "loading the files runs no code of theirs")
            .with_evidence([evidence])
            .with_cases(cases)
            .with_issues(issues);
        Self {
            title: format!("{files} model file{}", if files == 1 { "" } else { "s" }),
            lead: lead(&finding.verdict, accepted),
            facts: Vec::new(),
            findings: Cow::Owned(vec![finding]),
            allowed: vec![false],
            accepted,
            stored: false,
            at: None,
        }
    }
}

fn lead(verdict: &Verdict, accepted: bool) -> String {
    let word = if accepted { "accepted" } else { "not accepted" };
    format!("{} ({word})", verdict.word())
}

impl Weight {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Allowed => "inconclusive, allowed",
            Self::Undecided => "inconclusive",
            Self::Failed => "fail",
        }
    }
}
