//! What a model file would do to whoever loads it.
//!
//! A [`Scanner`] opens a file the way an attacker would: it is the content that says what a file is,
//! and its name only where a text may be a template or Python source; archives are read as every known
//! reader reads them, and where readers would disagree, that is a finding; a pickle may import what was
//! reviewed and found harmless, and nothing else. Tensors must fill their file, templates are parsed and
//! their texts put together, graphs and configurations are read for what they would have loaded. Nothing
//! is ever executed, and no input makes it use more than its [`Limits`].
//!
//! A file is clean only if it was read to its end. Whatever stops a walk early, a limit, damage, an
//! unknown compression, leaves the findings made so far and makes the verdict
//! [`Inconclusive`](crate::Verdict::Inconclusive).
//!
//! # What it is measured by
//!
//! Files of public scanners' own tests, of packages, and written by the libraries themselves, with and without an
//! attack inside; `tests/scan/corpus.py` assembles them, and `tests/scan/corpus.rs` asks that nothing malicious
//! passes and nothing benign fails. Five imports of benign files that nobody reviewed are excepted by name.
//!
//! | files | malicious: fail, inconclusive, pass | benign: fail, inconclusive, pass |
//! |---|---|---|
//! | picklescan's tests (f15d54d) | 95, 0, 0 | 0, 1, 13 |
//! | fickling's tests of bypasses (854c99a) | 51, 0, 0 | 0, 0, 4 |
//! | modelaudit 0.2.54's tests | 25, 0, 0 | 0, 0, 13 |
//! | superred-claim-harmbench 0.1.0 | | 0, 0, 100 |
//! | scikit-learn 1.9.1, each estimator fitted: by joblib | 165, 0, 0 | 0, 0, 165 |
//! | the same by pickle | | 0, 0, 165 |
//! | NumPy 2.4.6, joblib 1.6.0 compressed, archives in archives | 10, 0, 0 | 0, 0, 94 |
//!
//! The benign file that does not pass is a zip with a password.
//!
//! # What it does not know
//!
//! * It says what *loading* does. An estimator of the file's author can still predict what he likes.
//! * NumPy trusts the fields and sizes of a pickled dtype; a dtype that lies makes NumPy read where it should not.
//! * 7z archives are opened if they are packed by one method, with or without the filter for x86 code; others
//!   are never clean.
//!
//! The work is synchronous: from a runtime call it with `tokio::task::spawn_blocking`.
//!
//! ```
//! use std::io::Cursor;
//! use tidegate_validation::{Verdict, scan::{Rule, Scanner}};
//!
//! let pickle = b"cos\nsystem\n(S'id'\ntR.";
//! let found = Scanner::new().scan("weights.bin", &mut Cursor::new(pickle))?;
//! assert_eq!(found.verdict, Verdict::Fail);
//! assert_eq!(found.detections[0].rule, Rule::PickleDangerousImport);
//! # Ok::<(), tidegate_validation::scan::ScanError>(())
//! ```

mod compressed;
mod config;
mod content;
mod detection;
mod error;
mod gguf;
mod jinja;
mod keras;
mod limits;
mod names;
mod npy;
mod onnx;
mod pickle;
mod protobuf;
mod python;
mod rule;
mod safetensors;
mod saved_model;
mod section;
mod seven;
mod tar;
mod torch;
mod walk;
mod zip;

use std::{collections::BTreeMap, fs::File, io, path::Path};

use serde::Serialize;

pub use self::{
    content::Content,
    detection::Detection,
    error::ScanError,
    limits::Limits,
    rule::{Rule, Severity},
};
use self::{section::Section, walk::Walk};
use crate::{Issue, Standing, Verdict, excerpt::excerpt};

/// Whether an import, `module.name` in full, is known to run code or commands, so that no exception lets it
/// pass.
#[must_use]
pub fn is_dangerous(import: &str) -> bool {
    pickle::is_dangerous(import)
}

/// Scans files under limits, with exceptions. Cheap to clone and to share.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    limits: Limits,
    exceptions: BTreeMap<String, String>,
}

/// What was found in one file. Serialises as
/// `{path, verdict, content, bytes, findings: [{rule, severity, detail, offset}]}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a scan that nobody reads has found nothing"]
#[non_exhaustive]
pub struct FileScan {
    /// The name that the caller gave.
    pub path: String,
    /// [`Fail`](Verdict::Fail) if anything found is of [`Severity::High`] or worse, inconclusive if
    /// anything is of [`Severity::Medium`], else a pass.
    #[serde(serialize_with = "detection::verdict_word")]
    pub verdict: Verdict,
    /// What the bytes are.
    pub content: Content,
    /// Length of the file.
    pub bytes: u64,
    /// What was found, in the order of the file.
    #[serde(rename = "findings")]
    pub detections: Vec<Detection>,
}

impl FileScan {
    /// What was found, as flaws of the file for a report; what was excepted does not count.
    pub fn issues(&self) -> impl Iterator<Item = Issue> {
        self.detections.iter().map(|found| {
            let mut about = format!("{}; to do: {}", found.rule.description(), found.rule.remedy());
            if !found.rule.cves().is_empty() {
                about.push_str(&format!(" ({})", found.rule.cves().join(", ")));
            }
            let standing = match found.rule {
                Rule::PickleExceptedImport => Standing::Waived("its import was excepted by name".to_owned()),
                _ => Standing::Open,
            };
            Issue {
                standing,
                about: Some(about),
                path: Some(self.path.clone()),
                within: (!found.member.is_empty()).then(|| found.member.join(" > ")),
                offset: found.offset,
                ..Issue::new(found.rule.id(), found.severity.into(), &found.detail)
            }
        })
    }
}

impl Scanner {
    /// A scanner with the default limits and without exceptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This scanner, under other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// This scanner, which also lets pickles import `name`, given as `module.name` in full. The
    /// import is still listed, with `reason`, as a finding of [`Severity::Low`]. What is known to run
    /// commands or code cannot be excepted and stays a failure.
    #[must_use]
    pub fn with_exception(mut self, name: impl Into<String>, reason: impl Into<String>) -> Self {
        self.exceptions.insert(name.into(), reason.into());
        self
    }

    /// Scans the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ScanError`] if the file cannot be opened or read. It says nothing about the content.
    pub fn scan_path(&self, path: impl AsRef<Path>) -> Result<FileScan, ScanError> {
        let path = path.as_ref();
        let name = path.to_string_lossy();
        let error = |source| ScanError { path: excerpt(&name, ScanError::SHOWN), source };
        let mut file = File::open(path).map_err(error)?;
        if file.metadata().map_err(error)?.is_dir() {
            return Err(error(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        self.scan(&name, &mut file)
    }

    /// Scans what `source` holds from its beginning to its end; `name` is for the report only.
    ///
    /// # Errors
    ///
    /// [`ScanError`] if `source` cannot be read. It says nothing about the content.
    pub fn scan(&self, name: &str, source: &mut (impl io::Read + io::Seek)) -> Result<FileScan, ScanError> {
        let shown = excerpt(name, ScanError::SHOWN);
        let error = |source| ScanError { path: shown.clone(), source };
        let mut section = Section::whole(source).map_err(error)?;
        let bytes = section.len();
        let mut walk = Walk::new(self, name);
        let content = walk.file(&mut section).map_err(error)?;
        let detections = walk.finish();
        Ok(FileScan { verdict: detection::verdict(&detections), path: shown, content, bytes, detections })
    }
}
