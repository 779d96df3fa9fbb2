//! Would loading the stored files run code?

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;
use tidegate_registry::{self as registry, File, OpenOptions};
use tokio::{sync::mpsc, task};

use super::Settings;
use crate::{
    Case, Cost, Error, Evidence, Finding, Issue, Outcome, Reason, Run, Subject, Validator, Verdict,
    scan::{FileScan, Scanner, Severity, is_dangerous},
};

/// Scans every file of the version for code that would run when it is loaded; see
/// [`scan`](crate::scan).
///
/// Each file is copied to a temporary file, of which small ones stay in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Scan {
    /// The check's name in reports.
    pub name: String,
    /// What pickles may import besides what was reviewed: `module.name`, and why.
    pub exceptions: BTreeMap<String, String>,
    /// Bytes of the largest file that is scanned; a larger one is not clean.
    pub largest: u64,
}

const CLAIM: &str = "loading the files runs no code of theirs";
/// Bytes of a file that stay in memory.
const IN_MEMORY: usize = 8 << 20;
/// Pieces of a file that are under way between the store and the scanner.
const UNDER_WAY: usize = 4;
/// Findings of a file that are told.
const TOLD: usize = 5;

impl Default for Scan {
    fn default() -> Self {
        Self { name: Self::KIND.to_owned(), exceptions: BTreeMap::new(), largest: 64 << 30 }
    }
}

impl Settings for Scan {
    const KIND: &str = "scan";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let (name, why) = self.exceptions.iter().find_map(|(name, reason)| {
            let why = if !name.contains('.') {
                "is no import; write it as `module.name`"
            } else if is_dangerous(name) {
                "is known to run code or commands, which no reason makes harmless; take it out"
            } else if reason.trim().is_empty() {
                "has no reason; say who reviewed it and what it does"
            } else {
                return None;
            };
            Some((name, why))
        })?;
        Some(("exceptions", format!("`{name}` {why}")))
    }
}

#[async_trait]
impl Validator for Scan {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, subject: &Subject<'a>) -> Cost {
        Cost::bytes(subject.manifest.size)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, _: &Run) -> Result<Finding, Error> {
        if let Some((field, why)) = self.flaw() {
            return Err(Error::Misconfigured { check: self.name.clone(), field, why });
        }
        let exceptions = self.exceptions.iter();
        let scanner =
            exceptions.fold(Scanner::new(), |scanner, (name, why)| scanner.with_exception(name, why));
        let (mut verdicts, mut cases, mut issues) = (Vec::new(), Vec::new(), Vec::new());
        for file in &subject.manifest.files {
            let (verdict, case) = self.file(subject, file, scanner.clone(), &mut issues).await?;
            verdicts.push(verdict);
            cases.push(case);
        }
        let clean = verdicts.iter().filter(|verdict| **verdict == Verdict::Pass).count();
        let unknown = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Inconclusive(_))).count();
        let (clean, n, unknown) = (clean as u64, verdicts.len() as u64, unknown as u64);
        let evidence = Evidence::census("files that are clean", clean, n, unknown);
        Ok(Finding::new(&self.name, Verdict::over(&verdicts), CLAIM)
            .with_evidence([evidence])
            .with_cases(cases)
            .with_issues(issues))
    }
}

impl Scan {
    async fn file(
        &self,
        subject: &Subject<'_>,
        file: &File,
        scanner: Scanner,
        issues: &mut Vec<Issue>,
    ) -> Result<(Verdict, Case), Error> {
        if file.size > self.largest {
            let what = format!("{} has {} bytes; raise `largest`", file.path, file.size);
            let case = Case::new(file.path.as_str(), Outcome::Unknown, &what);
            return Ok((Verdict::Inconclusive(Reason::ParseLimit { what }), case));
        }
        let (send, receive) = mpsc::channel(UNDER_WAY);
        let (name, largest) = (file.path.to_string(), self.largest);
        let scan = task::spawn_blocking(move || scan(&scanner, &name, largest, receive));
        let mut hasher = registry::Hasher::default();
        let store = |source| Error::Store { check: self.name.clone(), source: Box::new(source) };
        let mut bytes = subject
            .store
            .open(&subject.manifest.model, &file.path, OpenOptions::default())
            .await
            .map_err(store)?;
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(store)?;
            hasher.update(&piece);
            // A scanner that has ended has its error to tell.
            if send.send(piece).await.is_err() {
                break;
            }
        }
        drop(send);
        let scanned = scan.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        let found = match scanned {
            Ok(found) => found,
            Err(error) => {
                let reason = Reason::infra(&error);
                let case = Case::new(file.path.as_str(), Outcome::Unknown, &reason.to_string());
                return Ok((Verdict::Inconclusive(reason), case));
            }
        };
        if hasher.finish() != file.digest {
            let what = "its bytes are not those that were published; publish the version anew";
            return Ok((Verdict::Fail, Case::new(file.path.as_str(), Outcome::Miss, what)));
        }
        issues.extend(found.issues());
        let case = case(file, &found);
        Ok((found.verdict, case))
    }
}

/// Takes the pieces of a file, and scans them once they are all there.
fn scan(
    scanner: &Scanner,
    name: &str,
    largest: u64,
    mut pieces: mpsc::Receiver<Bytes>,
) -> io::Result<FileScan> {
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    let mut len = 0;
    while let Some(piece) = pieces.blocking_recv() {
        len += piece.len() as u64;
        if len > largest {
            return Err(io::Error::other("the store gives more bytes than the manifest says"));
        }
        spool.write_all(&piece)?;
    }
    scanner.scan(name, &mut spool).map_err(io::Error::other)
}

fn case(file: &File, found: &FileScan) -> Case {
    let outcome = match found.verdict {
        Verdict::Fail => Outcome::Miss,
        Verdict::Inconclusive(_) => Outcome::Unknown,
        Verdict::Pass => Outcome::Hit,
    };
    let mut told: Vec<_> = found.detections.iter().filter(|found| found.severity > Severity::Low).collect();
    told.sort_by_key(|detection| std::cmp::Reverse(detection.severity));
    let told: Vec<_> = told.into_iter().take(TOLD).map(ToString::to_string).collect();
    let detail = if told.is_empty() { found.content.to_string() } else { told.join("; ") };
    Case::new(file.path.as_str(), outcome, &detail)
}
