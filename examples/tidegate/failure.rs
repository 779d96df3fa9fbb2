//! What went wrong, as a sentence, as a document and as an exit status.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};
use tidegate::{
    canary::{self, ActuatorError, InvalidPlan, notify::InvalidSetting, plan_file::InvalidPlanFile},
    metrics,
    registry::{Digest, Error, Invalid, ModelRef, signing::Untrusted},
    rollback::{self, NoTarget, PassedOver},
    validation::{InvalidSuite, MergeError, compare::CompareError},
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
    /// There is nothing of that name; the text says what would be.
    #[error("{0}")]
    NotFound(String),
    /// What is under way, or over, was begun with other words; the text says both.
    #[error("{0}")]
    Other(String),
    /// It was done already; the text says by whom, and how to do it all the same.
    #[error("{0}")]
    Returned(String),
    /// Tags of an OCI registry stay where they are.
    #[error(
        "the tag {tag} there is artifact {digest}, which has other files than {model}; push another version, or remove the tag there"
    )]
    Tagged { tag: String, digest: Digest, model: ModelRef },
    /// No trusted key signed it.
    #[error("{model} is not signed as it has to be")]
    Untrusted { model: ModelRef, source: Untrusted },
    /// The model server does not answer.
    #[error("{url} cannot be reached; start the model server or correct the URL")]
    NoServer { url: String, source: reqwest::Error },
}

/// Why something cannot be read, and the remedy.
pub(crate) fn unreadable(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "correct the path",
        io::ErrorKind::PermissionDenied => "let this program read it",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::InvalidData => "write it as UTF-8",
        _ => "try again, or copy it to another disk",
    };
    format!("cannot be read: {error}; {remedy}")
}

/// Prints an error for people, with `json` for machines as well, and gives the exit status.
pub(crate) fn print(error: &anyhow::Error, form: Form) -> ExitCode {
    let texts = texts(error);
    let (message, causes) = texts.split_first().expect("an error has a message");
    let mut lines = match unmet(error).or_else(|| nowhere(error)) {
        Some((refused, each)) => format!("error: {refused}:\n{each}\n"),
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

/// That there is nowhere to go back to, and what speaks against each version, a line each.
fn nowhere(error: &anyhow::Error) -> Option<(String, String)> {
    let passed_over = none_good(error)?;
    let lines =
        passed_over.iter().map(|(model, why)| format!("  not {model}: it {}", plain(&why.to_string())));
    let refused = "no version in the channel's history is known to be good; name one by --to or --back";
    Some((refused.to_owned(), lines.collect::<Vec<_>>().join("\n")))
}

fn none_good(error: &anyhow::Error) -> Option<&[(ModelRef, PassedOver)]> {
    match error.downcast_ref() {
        Some(rollback::Error::NoTarget(NoTarget::NoneGood(passed_over))) => Some(passed_over),
        _ => None,
    }
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
    if let Some(passed_over) = none_good(error) {
        let each = passed_over.iter().map(|(model, why)| json!({ "model": model, "why": why.to_string() }));
        problem["passedOver"] = each.collect();
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
        if cause.is::<Invalid>()
            || cause.is::<InvalidPlan>()
            || cause.is::<InvalidPlanFile>()
            || cause.is::<InvalidSetting>()
            || cause.is::<InvalidSuite>()
            || cause.is::<CompareError>()
        {
            return Some((Status::Misused, "invalid"));
        }
        match cause.downcast_ref::<MergeError>() {
            // Whoever runs the shares to their ends will know.
            Some(MergeError::Incomplete { .. } | MergeError::Missing { .. }) => {
                return Some((Status::Inconclusive, "incomplete"));
            }
            Some(_) => return Some((Status::Misused, "invalid")),
            None => {}
        }
        match cause.downcast_ref::<Failure>() {
            Some(Failure::Interrupted) => return Some((Status::Interrupted, "interrupted")),
            Some(Failure::NotFound(_)) => return Some((Status::Refused, "not-found")),
            Some(Failure::Other(_)) => return Some((Status::Refused, "order-changed")),
            Some(Failure::Returned(_)) => return Some((Status::Refused, "returned-already")),
            Some(Failure::Tagged { .. }) => return Some((Status::Refused, "already-published")),
            Some(Failure::Untrusted { .. }) => return Some((Status::Refused, "untrusted")),
            Some(Failure::Misused(_)) => return Some((Status::Misused, "usage")),
            Some(Failure::Lost { .. } | Failure::NoRegistry(_) | Failure::NoServer { .. }) => {
                return Some((Status::Unavailable, "unavailable"));
            }
            None => {}
        }
        if let Some(known) = cause.downcast_ref().and_then(classify_rollback) {
            return Some(known);
        }
        if let Some(known) = cause.downcast_ref().and_then(classify_rollout) {
            return Some(known);
        }
        if let Some(error) = cause.downcast_ref::<ActuatorError>() {
            let away = error.is_transient();
            return Some(if away {
                (Status::Unavailable, "unavailable")
            } else {
                (Status::Refused, "refused")
            });
        }
        let metrics = cause.downcast_ref::<metrics::Error>().map(classify_metrics);
        metrics.or_else(|| cause.downcast_ref::<Error>().map(classify_registry))
    });
    known.unwrap_or((Status::Refused, "failed"))
}

/// Where the journal itself is in trouble, what the registry says of it decides.
const fn classify_rollout(error: &canary::Error) -> Option<(Status, &'static str)> {
    Some(match error {
        canary::Error::Busy { .. } => (Status::Refused, "busy"),
        canary::Error::Held { .. } => (Status::Refused, "held"),
        canary::Error::IdUsed { .. } => (Status::Refused, "id-used"),
        canary::Error::Illegal(_) => (Status::Refused, "illegal"),
        canary::Error::JournalBroken { .. } => (Status::Refused, "corrupt"),
        canary::Error::NothingOpened => (Status::Refused, "not-found"),
        canary::Error::PlanChanged { .. } => (Status::Refused, "plan-changed"),
        canary::Error::Superseded => (Status::Refused, "superseded"),
        canary::Error::Unattended => (Status::Waiting, "waiting"),
        _ => return None,
    })
}

/// The same for watches and rollbacks.
const fn classify_rollback(error: &rollback::Error) -> Option<(Status, &'static str)> {
    Some(match error {
        rollback::Error::Held { .. } => (Status::Refused, "held"),
        rollback::Error::IdUsed { .. } => (Status::Refused, "id-used"),
        rollback::Error::InvalidOrder(_) | rollback::Error::InvalidWatch(_) | rollback::Error::Name(_) => {
            (Status::Misused, "invalid")
        }
        rollback::Error::JournalBroken { .. } => (Status::Refused, "corrupt"),
        rollback::Error::NoTarget(_) => (Status::Refused, "no-target"),
        rollback::Error::NothingOpened { .. } => (Status::Refused, "not-found"),
        rollback::Error::OrderChanged { .. } => (Status::Refused, "order-changed"),
        rollback::Error::OtherContent { .. } => (Status::Refused, "digest-mismatch"),
        rollback::Error::Refused(_) => (Status::Refused, "illegal"),
        rollback::Error::Superseded => (Status::Refused, "superseded"),
        rollback::Error::Unsure { .. } => (Status::Unavailable, "unavailable"),
        _ => return None,
    })
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
