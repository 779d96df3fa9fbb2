//! One finding in one file, and what all of them say together.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Rule, Severity};
use crate::{Reason, Verdict, excerpt::excerpt};

/// Something found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Detection {
    /// What it is about.
    pub rule: Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// What exactly was found: `os.system`. Control characters of the file are made visible.
    pub detail: String,
    /// Where it begins, in bytes from the beginning of the innermost member. `None` where the finding
    /// is about the whole.
    pub offset: Option<u64>,
    /// The way to it through the containers, outermost first; empty for the file itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub member: Vec<String>,
}

impl Detection {
    /// Longest detail and longest name of a member that are kept, in characters.
    pub const SHOWN: usize = 300;

    pub(crate) fn new(rule: Rule, severity: Severity, detail: &str) -> Self {
        Self { rule, severity, detail: excerpt(detail, Self::SHOWN), offset: None, member: Vec::new() }
    }
}

impl fmt::Display for Detection {
    /// `critical pickle-dangerous-import: os.system (archive/data.pkl at 11)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.rule, self.detail)?;
        match (self.member.join(" > "), self.offset) {
            (member, Some(offset)) if member.is_empty() => write!(f, " (at {offset})"),
            (member, Some(offset)) => write!(f, " ({member} at {offset})"),
            (member, None) if member.is_empty() => Ok(()),
            (member, None) => write!(f, " ({member})"),
        }
    }
}

/// The verdict over all that was found.
pub(super) fn verdict(detections: &[Detection]) -> Verdict {
    match detections.iter().map(|detection| detection.severity).max() {
        None | Some(Severity::Low) => Verdict::Pass,
        Some(Severity::High | Severity::Critical) => Verdict::Fail,
        Some(Severity::Medium) => {
            let unread = |detection: &&Detection| {
                matches!(
                    detection.rule,
                    Rule::Encrypted
                        | Rule::JinjaUnread
                        | Rule::LimitReached
                        | Rule::Malformed
                        | Rule::UnknownCompression
                )
            };
            Verdict::Inconclusive(match detections.iter().find(unread) {
                Some(detection) => Reason::ParseLimit { what: detection.to_string() },
                None => {
                    let medium = detections.iter().filter(|detection| detection.severity == Severity::Medium);
                    Reason::Suspicious { findings: medium.count() as u64 }
                }
            })
        }
    }
}

/// A verdict as its word alone: the findings are its reason.
pub(super) fn verdict_word<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict.word())
}
