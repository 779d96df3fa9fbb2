//! How bad a finding is.

use std::fmt;

use serde::Serialize;

/// How bad a finding is. Ordered: the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "verdicts depend on there being no other")]
pub enum Severity {
    /// Worth knowing; the file passes.
    Low,
    /// Not clean: damaged, cut short, or made so that readers disagree. The verdict is inconclusive.
    Medium,
    /// Loading the file may run code that nobody reviewed. The file fails.
    High,
    /// Loading the file runs code of the file's author. The file fails.
    Critical,
}

impl Severity {
    /// `critical`, `high`, `medium` or `low`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
