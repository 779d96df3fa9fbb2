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
    /// For machines: the same, and more. Nothing is said to them if it is null.
    pub(crate) json: Value,
    pub(crate) status: Status,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One document.
    Document,
    /// A document a line, as they come.
    Lines,
    /// Text for people.
    Text,
}

/// The exit status, as `--help` explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Done = 0,
    Refused = 1,
    Misused = 2,
    Inconclusive = 3,
    Unavailable = 4,
    Waiting = 5,
    Interrupted = 130,
}

impl Answer {
    pub(crate) fn done(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, status: Status::Done }
    }

    /// Everything was [said](say) already.
    pub(crate) const fn said() -> Self {
        Self { text: String::new(), json: Value::Null, status: Status::Done }
    }

    pub(crate) fn print(&self, form: Form) -> ExitCode {
        match form {
            Form::Document | Form::Lines => print_json(&self.json, form, self.status),
            Form::Text => print_text(&self.text, self.status),
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

pub(crate) fn print_json(document: &Value, form: Form, status: Status) -> ExitCode {
    match (document, form) {
        (Value::Null, _) => status.into(),
        (_, Form::Lines) => print_text(&document.to_string(), status),
        _ => print_text(&format!("{document:#}"), status),
    }
}

/// Says one line of an answer that goes on.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

fn print_text(text: &str, status: Status) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = if text.is_empty() { Ok(()) } else { writeln!(out, "{text}") };
    delivered(written.and_then(|()| out.flush()), status)
}

/// The exit status of an answer that was printed, or not: then it is `status` no more. A reader that
/// has seen enough (`| head`) is no failure.
pub(crate) fn delivered(printed: io::Result<()>, status: Status) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // Where standard error is lost as well, the status is all there is to tell by.
            let _ = writeln!(io::stderr(), "error: cannot write the answer: {error}");
            if status == Status::Done { Status::Refused.into() } else { status.into() }
        }
        _ => status.into(),
    }
}
