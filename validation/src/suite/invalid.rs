//! What is wrong with a suite file, where, and what would be right.

use std::fmt;

use crate::flaw::Flaw;

/// A suite file that cannot be used: the field, what is wrong with it, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSuite(Flaw);

impl InvalidSuite {
    /// The field at fault, as in `checks[2].floor`; empty when it is the file as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The name that was probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.0.suggestion.as_deref()
    }

    pub(super) fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self(Flaw::new(path, why))
    }

    /// `written` is none of `known`.
    pub(super) fn unknown(path: impl Into<String>, what: &str, written: &str, known: &[&str]) -> Self {
        Self(Flaw::unknown(path, what, written, known))
    }
}

impl From<Flaw> for InvalidSuite {
    fn from(flaw: Flaw) -> Self {
        Self(flaw)
    }
}

impl fmt::Display for InvalidSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            "" | "." => write!(f, "the suite is not valid: {}", self.0),
            path => write!(f, "suite field `{path}` is not valid: {}", self.0),
        }
    }
}

impl std::error::Error for InvalidSuite {}
