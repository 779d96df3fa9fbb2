//! What is wrong with a dataset, where, and what would be right.

use std::fmt;

use crate::flaw::Flaw;

/// A dataset that cannot be used: where it is wrong, what is wrong there, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDataset {
    file: String,
    place: Option<Place>,
    flaw: Flaw,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This line, from 1.
    Line(u64),
    /// The record at this position of a list, from 0.
    Record(u64),
}

impl InvalidDataset {
    /// What the dataset is called: the path that it was opened by, or the name that it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line at fault, from 1, in formats that are read line by line.
    #[must_use]
    pub const fn line(&self) -> Option<u64> {
        match self.place {
            Some(Place::Line(line)) => Some(line),
            _ => None,
        }
    }

    /// The field at fault, as in `assert[1].threshold`; empty when it is the whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.flaw.path
    }

    /// The name that was probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.flaw.suggestion.as_deref()
    }

    /// This error in a dataset that is itself the list at `path` of another document.
    pub(crate) fn inside(self, path: &str) -> Flaw {
        match self.place {
            Some(Place::Record(at)) => self.flaw.below(&format!("{path}[{at}]")),
            _ => self.flaw.below(path),
        }
    }

    pub(super) fn new(file: &str, place: Option<Place>, flaw: Flaw) -> Self {
        Self { file: crate::excerpt::excerpt(file, 300), place, flaw }
    }
}

impl fmt::Display for InvalidDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dataset {}", self.file)?;
        match self.place {
            Some(Place::Line(line)) => write!(f, ", line {line}")?,
            Some(Place::Record(at)) => write!(f, ", record {at}")?,
            None => {}
        }
        match self.path() {
            "" | "." => write!(f, ": {}", self.flaw),
            path => write!(f, ", field `{path}`: {}", self.flaw),
        }
    }
}

impl std::error::Error for InvalidDataset {}
