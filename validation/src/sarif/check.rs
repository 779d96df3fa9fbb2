//! Did other scanners find anything that is too bad?

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Exception,
    reader::{self, Reading},
};
use crate::{
    Case, Cost, Error, Evidence, Finding, Issue, Method, Outcome, Reason, Run, Severity, Standing, Subject,
    Unit, Validator, Verdict, checks::Settings, excerpt::excerpt,
};

/// Reads what other scanners wrote as SARIF and fails on findings of a severity; see [`sarif`](crate::sarif).
///
/// The files are read when the check is made, so that a scanner may run after the suite was opened. In a suite file
/// their paths are relative to it, as those of datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Sarif {
    /// The check's name in reports.
    pub name: String,
    /// The files.
    pub files: Vec<PathBuf>,
    /// Findings as bad as this, or worse, fail.
    pub fail_at: Severity,
    /// Whether findings that are in the scanner's baseline do not count.
    pub new_only: bool,
    /// What was looked at and does not count, until a day. The run has to say [when](Run::at) it is made.
    pub exceptions: Vec<Exception>,
    /// Bytes of the largest file that is read; a larger one is not clean.
    pub largest: u64,
}

/// Most files and most exceptions.
const MOST: usize = 1000;
/// Exceptions that are told of.
const TOLD: usize = 20;

impl Default for Sarif {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            files: Vec::new(),
            fail_at: Severity::High,
            new_only: false,
            exceptions: Vec::new(),
            largest: 64 << 20,
        }
    }
}

impl Settings for Sarif {
    const KIND: &str = "sarif";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if self.files.is_empty() {
            return Some(("files", "is empty, and nothing checked is no pass; name one".to_owned()));
        }
        if self.files.len() > MOST {
            return Some(("files", format!("has more than {MOST} entries; split the check")));
        }
        if self.exceptions.len() > MOST {
            return Some((
                "exceptions",
                format!("has more than {MOST} entries; mend some of what they except"),
            ));
        }
        let flaw = |(i, exception): (usize, &Exception)| Some(format!("[{i}] {}", exception.flaw()?));
        Some(("exceptions", self.exceptions.iter().enumerate().find_map(flaw)?))
    }
}

#[async_trait]
impl Validator for Sarif {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::default()
    }

    async fn validate<'a>(&self, _: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let wrong = |(field, why)| Error::Misconfigured { check: self.name.clone(), field, why };
        if let Some(flaw) = self.flaw() {
            return Err(wrong(flaw));
        }
        let now = match (run.at, self.exceptions.is_empty()) {
            (None, false) => {
                let why = "expire, and the run does not say what day it is; give it `Run::at`".to_owned();
                return Err(wrong(("exceptions", why)));
            }
            (now, _) => now,
        };
        let check = Arc::new(self.clone());
        let looked = tokio::task::spawn_blocking(move || Look::at(&check, now)).await;
        looked
            .map_or_else(|panicked| Ok(Finding::unmade(&self.name, &panicked)), |look| Ok(look.finding(self)))
    }
}

/// What was seen in all files.
struct Look {
    cases: Vec<Case>,
    issues: Vec<Issue>,
    gaps: Vec<String>,
    results: u64,
    open: u64,
    undecided: u64,
    lesser: u64,
    /// For each exception whether something needed it, and how often it would have, had it not expired.
    needed: Vec<(bool, u64)>,
    now: Option<SystemTime>,
}

impl Look {
    fn at(check: &Sarif, now: Option<SystemTime>) -> Self {
        let mut look = Self {
            cases: Vec::new(),
            issues: Vec::new(),
            gaps: Vec::new(),
            results: 0,
            open: 0,
            undecided: 0,
            lesser: 0,
            needed: vec![(false, 0); check.exceptions.len()],
            now,
        };
        for file in &check.files {
            look.file(check, file);
        }
        look
    }

    fn file(&mut self, check: &Sarif, file: &Path) {
        let (open, undecided) = (self.open, self.undecided);
        let (mut counted, mut waived) = (0_u64, 0_u64);
        let reading = reader::read(file, check.largest, check.new_only, &mut |mut issue, packages| {
            self.judge(check, &mut issue, packages);
            match issue.standing {
                Standing::Waived(_) => waived += 1,
                _ => counted += 1,
            }
            self.keep(issue);
        });
        let name = file.to_string_lossy();
        let Reading { tools, gaps, results, digest } = reading;
        self.results += results;
        let outcome = match (self.open > open, gaps.is_empty() && self.undecided == undecided) {
            (true, _) => Outcome::Miss,
            (false, true) => Outcome::Hit,
            (false, false) => Outcome::Unknown,
        };
        let mut detail = format!("{}: findings that count {counted}, that do not {waived}", tools.join(", "));
        if digest.len() >= 12 {
            detail.push_str(&format!(" (sha256 {}…)", &digest[..12]));
        }
        if !gaps.is_empty() {
            detail = format!("{}; {detail}", gaps.join("; "));
        }
        self.cases.push(Case::new(&name, outcome, &detail));
        self.gaps.extend(gaps.into_iter().map(|gap| format!("{name}: {gap}")));
    }

    /// Sees whether an exception covers the issue, and counts it.
    fn judge(&mut self, check: &Sarif, issue: &mut Issue, packages: &[String]) {
        if !matches!(issue.standing, Standing::Waived(_)) {
            let covering = check
                .exceptions
                .iter()
                .enumerate()
                .filter(|(_, exception)| exception.covers(issue, packages));
            let mut why = None;
            for (i, exception) in covering {
                if self.now.is_some_and(|now| exception.expires.is_over(now)) {
                    self.needed[i].1 += 1;
                } else {
                    self.needed[i].0 = true;
                    let Exception { by, expires, reason, .. } = exception;
                    why.get_or_insert_with(|| format!("excepted by {by} until {expires}: {reason}"));
                }
            }
            if let Some(why) = why {
                issue.standing = Standing::Waived(excerpt(&why, Issue::SHOWN));
            }
        }
        let bad = issue.severity >= check.fail_at;
        match issue.standing {
            Standing::Open if bad => self.open += 1,
            Standing::Undecided if bad => self.undecided += 1,
            Standing::Open | Standing::Undecided => self.lesser += 1,
            Standing::Waived(_) => {}
        }
    }

    /// Keeps the worst.
    fn keep(&mut self, issue: Issue) {
        self.issues.push(issue);
        if self.issues.len() >= 4 * Finding::MOST_ISSUES {
            self.sort();
            self.issues.truncate(Finding::MOST_ISSUES);
        }
    }

    fn sort(&mut self) {
        let counts = |issue: &Issue| !matches!(issue.standing, Standing::Waived(_));
        self.issues.sort_by_key(|issue| std::cmp::Reverse((counts(issue), issue.severity)));
    }

    fn finding(self, check: &Sarif) -> Finding {
        let bad = format!("of {} severity or worse", check.fail_at);
        let verdict = if self.open > 0 {
            Verdict::Fail
        } else if let Some(gap) = self.gaps.first() {
            Verdict::Inconclusive(Reason::ParseLimit { what: excerpt(gap, Issue::SHOWN) })
        } else if self.undecided > 0 {
            Verdict::Inconclusive(Reason::Undecided { findings: self.undecided })
        } else {
            Verdict::Pass
        };
        let evidence = Evidence {
            measure: format!("findings {bad}"),
            estimate: self.open as f64,
            lower: Some(self.open as f64),
            upper: Some((self.open + self.undecided) as f64),
            p: None,
            confidence: 1.0,
            threshold: 0.0,
            detectable: None,
            method: Method::Census,
            n: self.results,
            effective: None,
            unknown: self.undecided,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Plain,
        };
        let notes = self.notes(check);
        Finding::new(&check.name, verdict, format!("no scanner found anything {bad}"))
            .with_evidence([evidence])
            .with_cases(self.cases)
            .with_issues(self.issues)
            .with_notes(notes)
    }

    fn notes(&self, check: &Sarif) -> Vec<String> {
        let mut notes = Vec::new();
        if self.lesser > 0 {
            notes.push(format!("findings of lesser severity, which decide nothing: {}", self.lesser));
        }
        // Without a whole file nobody can say that an exception is not needed.
        let whole = self.gaps.is_empty();
        let told = check.exceptions.iter().zip(&self.needed).filter_map(|(exception, &(used, late))| {
            let Exception { by, expires, .. } = exception;
            let what = exception.told();
            let over = self.now.is_some_and(|now| expires.is_over(now));
            match (over, used, late) {
                (true, _, 1..) => Some(format!(
                    "the exception of {what} by {by} expired on {expires}; mend what counts again, or decide anew: {late}"
                )),
                (true, _, 0) if whole => {
                    Some(format!("the exception of {what} by {by} expired on {expires}; take it out"))
                }
                (false, false, _) if whole => {
                    Some(format!("the exception of {what} by {by} is not needed; take it out"))
                }
                _ => None,
            }
        });
        notes.extend(told.take(TOLD).map(|note| excerpt(&note, Issue::SHOWN)));
        notes
    }
}
