//! What is wrong with a table, where, and what would be right.

use std::fmt;

use crate::flaw::Flaw;

/// A table that cannot be read: where it is wrong, what is wrong there, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTable {
    file: String,
    line: Option<u64>,
    flaw: Flaw,
}

impl InvalidTable {
    /// The path that it was opened by.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line at fault, from 1, in formats that have lines.
    #[must_use]
    pub const fn line(&self) -> Option<u64> {
        self.line
    }

    /// The column that was probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.flaw.suggestion.as_deref()
    }

    pub(super) fn new(file: &str, line: Option<u64>, flaw: Flaw) -> Self {
        Self { file: crate::excerpt::excerpt(file, 300), line, flaw }
    }
}

impl fmt::Display for InvalidTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match self.flaw.path.as_str() {
            "" => write!(f, ": {}", self.flaw),
            path => write!(f, ", column `{path}`: {}", self.flaw),
        }
    }
}

impl std::error::Error for InvalidTable {}
