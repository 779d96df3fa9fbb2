//! What a subcommand answers: a text for people, a document for machines, an exit status for scripts.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde_json::Value;

/// The answer of a subcommand that did its work.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For people; lines without an end of line at the end.
    pub(crate) text: String,
    /// For machines: the same, and more.
    pub(crate) json: Value,
    pub(crate) status: Status,
}

/// The exit status, as `--help` explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Done = 0,
    Refused = 1,
    Misused = 2,
    Inconclusive = 3,
    Unavailable = 4,
    Interrupted = 130,
}

impl Answer {
    pub(crate) fn done(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, status: Status::Done }
    }

    pub(crate) fn print(&self, json: bool) -> ExitCode {
        if json {
            print_json(&self.json)
        } else {
            print_text(&self.text)
        }
        self.status.into()
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

pub(crate) fn print_json(document: &Value) {
    print_text(&format!("{document:#}"));
}

/// A reader that has seen enough (`| head`) is no failure, and there is nobody left to tell of others.
fn print_text(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stdout(), "{text}");
    }
}
