//! A point in the course of an incident.

use std::time::SystemTime;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: SystemTime,
    /// Who did or said it.
    pub(super) who: String,
    /// The rest of a sentence that begins with who.
    pub(super) what: String,
    pub(super) tone: Tone,
}

/// What kind of news it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Good,
    Person,
    Plain,
}

impl Tone {
    /// Its CSS class.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Person => "person",
            Self::Plain => "plain",
        }
    }
}

impl Moment {
    pub(super) fn new(at: SystemTime, who: &str, tone: Tone, what: impl Into<String>) -> Self {
        Self { at, who: who.to_owned(), what: what.into(), tone }
    }
}
