//! One flaw at one place: of a model's file, a package or a piece of source.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;

/// One flaw at one place, as scanners find them. A check of rates has [`Case`](crate::Case)s instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Issue {
    /// The stable name of what it is about: `pickle-dangerous-import`, `CVE-2024-3094`.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it counts.
    pub standing: Standing,
    /// What exactly was found.
    pub message: String,
    /// What the rule means and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The file, relative to what was scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The way through the containers inside the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Bytes from the beginning of the file, or of the innermost member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Who found it, with its version; none if it was this crate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// How bad an [`Issue`] is. Ordered: the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the bands of CVSS (https://www.first.org/cvss/v3.1/specification-document, §5)"
)]
pub enum Severity {
    /// It is no danger.
    None,
    /// Scores above 0.
    Low,
    /// Scores from 4.
    Medium,
    /// Scores from 7.
    High,
    /// Scores from 9.
    Critical,
}

/// Whether an [`Issue`] counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Standing {
    /// It counts.
    Open,
    /// A person has to say whether it is one.
    Undecided,
    /// It does not count, for this reason.
    Waived(String),
}

impl Issue {
    /// Longest text of an issue that is kept, in characters.
    pub const SHOWN: usize = 500;

    /// An open issue; what is said is shortened and freed of control characters.
    #[must_use]
    pub fn new(rule: &str, severity: Severity, message: &str) -> Self {
        Self {
            rule: excerpt(rule, Self::SHOWN),
            severity,
            standing: Standing::Open,
            message: excerpt(message, Self::SHOWN),
            about: None,
            path: None,
            within: None,
            line: None,
            offset: None,
            package: None,
            tool: None,
        }
    }

    /// Whether it counts, and is as bad as `severity` or worse.
    #[must_use]
    pub fn is_open(&self, severity: Severity) -> bool {
        self.standing == Standing::Open && self.severity >= severity
    }

    /// Where it is, in words: `weights.zip > data.pkl at 11`, `src/app.py:3`, `libssl1.1`.
    pub(crate) fn place(&self) -> String {
        let mut place = self.path.clone().unwrap_or_default();
        if let Some(line) = self.line {
            place.push_str(&format!(":{line}"));
        }
        if let Some(within) = &self.within {
            place.push_str(&format!(" > {within}"));
        }
        if let Some(offset) = self.offset {
            place.push_str(&format!(" at {offset}"));
        }
        match &self.package {
            Some(package) if place.is_empty() => package.clone(),
            Some(package) => format!("{place} ({package})"),
            None => place,
        }
    }
}

impl Severity {
    /// The band of a score from 0 to 10, as in CVSS.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        match score {
            9.0.. => Self::Critical,
            7.0.. => Self::High,
            4.0.. => Self::Medium,
            score if score > 0.0 => Self::Low,
            _ => Self::None,
        }
    }

    /// `critical`, `high`, `medium`, `low` or `none`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[cfg(feature = "scan")]
impl From<crate::scan::Severity> for Severity {
    fn from(severity: crate::scan::Severity) -> Self {
        use crate::scan::Severity as Scanned;
        match severity {
            Scanned::Low => Self::Low,
            Scanned::Medium => Self::Medium,
            Scanned::High => Self::High,
            Scanned::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Issue {
    /// `critical pickle-dangerous-import in weights.bin at 11: os.system`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.rule)?;
        match self.place() {
            place if place.is_empty() => {}
            place => write!(f, " in {place}")?,
        }
        write!(f, ": {}", self.message)?;
        match &self.standing {
            Standing::Open => Ok(()),
            Standing::Undecided => f.write_str(" (a person has to decide)"),
            Standing::Waived(why) => write!(f, " (does not count: {why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_into_the_bands_of_cvss() {
        let bands = [0.0, f64::NAN, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0].map(Severity::of_score);
        use Severity::{Critical, High, Low, Medium, None};
        assert_eq!(bands, [None, None, Low, Low, Medium, Medium, High, High, Critical, Critical]);
    }
}
