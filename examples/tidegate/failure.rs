//! What went wrong, as a sentence, as a document and as an exit status.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};
use tidegate::{
    metrics,
    registry::{Digest, Error, Invalid, ModelRef, signing::Untrusted},
    validation::InvalidSuite,
};

use crate::{
    answer::{self, Form, Status},
    words::plain,
};

/// What this program itself objects to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Somebody pressed Ctrl-C, or the machine is going down.
    #[error("interrupted, perhaps just after it was done; look at the registry, or run it again")]
    Interrupted,
    /// The input makes no sense; the text says which and what would.
    #[error("{0}")]
    Misused(String),
    /// What is read or written besides the registry is not to be had.
    #[error("{what}")]
    Lost { what: String, source: io::Error },
    /// Reading must not bring a registry into being.
    #[error(
        "there is no registry in {0}; `tidegate publish` begins one, --registry or TIDEGATE_REGISTRY names another"
    )]
    NoRegistry(String),
    /// Tags of an OCI registry stay where they are.
    #[error(
        "the tag {tag} there is artifact {digest}, which has other files than {model}; push another version, or remove the tag there"
    )]
    Tagged { tag: String, digest: Digest, model: ModelRef },
    /// No trusted key signed it.
    #[error("{model} is not signed as it has to be")]
    Untrusted { model: ModelRef, source: Untrusted },
    /// The model server does not answer.
    #[error("{url} cannot be reached; start the model server or correct --endpoint")]
    NoServer { url: String, source: reqwest::Error },
}

/// Prints an error for people, with `json` for machines as well, and gives the exit status.
pub(crate) fn print(error: &anyhow::Error, form: Form) -> ExitCode {
    let texts = texts(error);
    let (message, causes) = texts.split_first().expect("an error has a message");
    let mut lines = match unmet(error) {
        Some((refused, rules)) => format!("error: {refused}:\n{rules}\n"),
        None => format!("error: {message}\n"),
    };
    causes.iter().for_each(|cause| lines.push_str(&format!("  caused by: {cause}\n")));
    let _ = io::stderr().write_all(lines.as_bytes());

    let (status, problem) = describe(error);
    match form {
        Form::Document | Form::Lines => answer::print_json(&json!({ "error": problem }), form, status),
        Form::Text => status.into(),
    }
}

/// What was refused by a policy, and the rules that do not hold, a line each.
fn unmet(error: &anyhow::Error) -> Option<(String, String)> {
    let Some(Error::NotAllowed { model, channel, unmet }) = error.downcast_ref() else { return None };
    let rules = unmet
        .iter()
        .map(|unmet| format!("  unmet: {}\n    to do: {}", plain(&unmet.found), plain(&unmet.remedy)));
    Some((format!("{channel} may not point to {model}"), rules.collect::<Vec<_>>().join("\n")))
}

/// Says that something failed which is not the end, and what comes of it.
pub(crate) fn warn(error: &anyhow::Error, then: &str) {
    let _ = writeln!(io::stderr(), "warning: {}; {then}", texts(error).join(": "));
}

/// The exit status for an error, and what machines are told about it.
pub(crate) fn describe(error: &anyhow::Error) -> (Status, Value) {
    let texts = texts(error);
    let (message, causes) = texts.split_first().expect("an error has a message");
    let (status, kind) = classify(error);
    let mut problem = problem(kind, message, causes);
    if let Some(Error::NotAllowed { unmet, .. }) = error.downcast_ref() {
        problem["unmet"] = json!(unmet);
    }
    (status, problem)
}

pub(crate) fn problem(kind: &str, message: &str, causes: &[String]) -> Value {
    json!({ "kind": kind, "message": message, "causes": causes })
}

/// An error and what caused it, a sentence each.
fn texts(error: &anyhow::Error) -> Vec<String> {
    // Causes may have several lines; otherwise they move no cursor either.
    let lines = |text: String| text.lines().map(plain).collect::<Vec<_>>().join("\n");
    let mut texts: Vec<String> = error.chain().map(|cause| lines(cause.to_string())).collect();
    texts.dedup();
    texts
}

/// The first error in the chain that says what to do decides.
fn classify(error: &anyhow::Error) -> (Status, &'static str) {
    let known = error.chain().find_map(|cause| {
        if cause.is::<Invalid>() || cause.is::<InvalidSuite>() {
            return Some((Status::Misused, "invalid"));
        }
        match cause.downcast_ref::<Failure>() {
            Some(Failure::Interrupted) => return Some((Status::Interrupted, "interrupted")),
            Some(Failure::Tagged { .. }) => return Some((Status::Refused, "already-published")),
            Some(Failure::Untrusted { .. }) => return Some((Status::Refused, "untrusted")),
            Some(Failure::Misused(_)) => return Some((Status::Misused, "usage")),
            Some(Failure::Lost { .. } | Failure::NoRegistry(_) | Failure::NoServer { .. }) => {
                return Some((Status::Unavailable, "unavailable"));
            }
            None => {}
        }
        let metrics = cause.downcast_ref::<metrics::Error>().map(classify_metrics);
        metrics.or_else(|| cause.downcast_ref::<Error>().map(classify_registry))
    });
    known.unwrap_or((Status::Refused, "failed"))
}

const fn classify_metrics(error: &metrics::Error) -> (Status, &'static str) {
    match error {
        metrics::Error::Denied { .. } => (Status::Refused, "denied"),
        metrics::Error::MissingLabel { .. }
        | metrics::Error::UnfitLabel { .. }
        | metrics::Error::UnknownMetric { .. } => (Status::Misused, "invalid"),
        metrics::Error::Unavailable { .. } => (Status::Unavailable, "unavailable"),
        _ => (Status::Refused, "malformed"),
    }
}

fn classify_registry(error: &Error) -> (Status, &'static str) {
    match error {
        Error::AlreadyPublished { .. } => (Status::Refused, "already-published"),
        Error::ChannelMoved { .. } => (Status::Refused, "channel-moved"),
        Error::CommitUnknown { .. } => (Status::Unavailable, "commit-unknown"),
        Error::Corrupt { .. } => (Status::Refused, "corrupt"),
        Error::DigestMismatch { .. } => (Status::Refused, "digest-mismatch"),
        Error::Invalid(_) => (Status::Misused, "invalid"),
        Error::InUse { .. } => (Status::Refused, "in-use"),
        Error::Local { .. } => (Status::Refused, "local"),
        Error::NotAllowed { .. } => (Status::Refused, "not-allowed"),
        Error::NotFound { .. } => (Status::Refused, "not-found"),
        Error::Occupied { .. } => (Status::Refused, "occupied"),
        Error::TooNew { .. } => (Status::Refused, "too-new"),
        Error::Unavailable { .. } => (Status::Unavailable, "unavailable"),
        _ => (Status::Refused, "refused"),
    }
}
