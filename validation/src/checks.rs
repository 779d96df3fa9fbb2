//! The checks that come with the crate, one a file.
//!
//! Each is a struct of its settings: fill in what differs and take the rest from `Default`. Settings
//! that make no sense are refused when a suite is read from a file; from code they make the check
//! inconclusive.

mod answers;
mod asks;
mod calibration;
mod cases;
mod compare;
mod consistency;
mod drift;
mod integrity;
mod latency;
mod listed;
#[cfg(feature = "load")]
mod load;
mod over_refusal;
mod refusal;
mod safety;
#[cfg(feature = "scan")]
mod scan;
mod smoke;
mod tokens;
mod topics;

use std::any::Any;

use serde::Serialize;
use serde_json::{Value, json};
use tidegate_registry::Digest;

#[cfg(feature = "load")]
pub use self::load::Load;
#[cfg(feature = "scan")]
pub use self::scan::Scan;
pub use self::{
    answers::{AnswerCase, Answers, Matching},
    calibration::{Calibration, Confidence},
    cases::{Cases, Standing},
    compare::{Compare, Preference},
    consistency::Consistency,
    drift::Drift,
    integrity::Integrity,
    latency::Latency,
    over_refusal::OverRefusal,
    refusal::Refusal,
    safety::Safety,
    smoke::{Smoke, SmokeCase},
    tokens::Tokens,
    topics::{TopicCase, Topics},
};
pub use crate::sarif::Sarif;
use crate::{
    Error, Rule, Sampling, Subject, Validator, asking::Asking, canonical::canonical, dataset::Dataset,
    gate::Gate, run::Run,
};

/// Most questions of one check: more belong into several.
const MOST_QUESTIONS: usize = 100_000;

/// What the checks have in common as settings in a file.
pub(crate) trait Settings {
    /// What a suite file calls this kind of check.
    const KIND: &str;

    /// What is wrong with the settings, if anything: the field and what would be right.
    fn flaw(&self) -> Option<(&'static str, String)>;
}

/// A check whose questions may stand in a file.
pub(crate) trait Questioned: Settings {
    /// Asks these questions instead of its own.
    fn ask(&mut self, dataset: Dataset);
}

/// Gets ready to ask, or says why there is no use in it.
fn asking<'a, C: Settings + Validator>(
    check: &'a C,
    sampling: &'a Sampling,
    subject: &'a Subject<'a>,
    run: &'a Run,
) -> Result<Asking<'a>, Error> {
    let name = check.name();
    if let Some((field, why)) = check.flaw() {
        return Err(Error::Misconfigured { check: name.to_owned(), field, why });
    }
    if subject.agent.is_none() {
        return Err(Error::NoAgent { check: name.to_owned() });
    }
    Ok(Asking { check: name, subject, run, sampling })
}

/// What `check` says itself, if it is of this kind.
fn settings<C: Serialize + Validator>(check: &dyn Any) -> Option<Value> {
    check.downcast_ref::<C>().map(|check| json!(check))
}

/// The digest of settings and of the questions of a dataset; checks may change with the crate.
fn digest(settings: &Value, dataset: Option<&Dataset>) -> Digest {
    let dataset = dataset.map(|dataset| json!([dataset.digest(), dataset.format()]));
    Digest::of(canonical(&json!([settings, dataset, env!("CARGO_PKG_VERSION")])))
}

/// The digest of whatever decides what `check` asks and what it makes of the answers, if it is one of those that ask and
/// keep no trials in the record: what they measure is of all answers together, or of their times, which depend on the
/// terms of the run.
pub(crate) fn unlisted(check: &dyn Validator, run: &Run) -> Option<Digest> {
    let check = check as &dyn Any;
    let found = settings::<Consistency>(check)
        .or_else(|| settings::<Latency>(check))
        .or_else(|| settings::<Smoke>(check))
        .or_else(|| settings::<Calibration>(check));
    #[cfg(feature = "load")]
    let found = found.or_else(|| settings::<Load>(check));
    let dataset = check.downcast_ref::<Calibration>().and_then(|check| check.dataset.as_ref());
    found.map(|found| digest(&json!([found, run.concurrency, run.call_timeout]), dataset))
}

/// The same of a check that keeps trials and judges all of them at its end. Not of one that reads files, which may be
/// others by now, and of none that is not of this crate.
pub(crate) fn listed(check: &dyn Validator, subject: &Subject<'_>) -> Option<Digest> {
    let check = check as &dyn Any;
    let baseline = subject.baseline.map(|baseline| baseline.fingerprint());
    if let Some(check) = check.downcast_ref::<Compare>() {
        return Some(digest(&json!([check.identity(), baseline]), Some(&check.dataset)));
    }
    if let Some(check) = check.downcast_ref::<Preference>() {
        return Some(digest(&json!([check.identity(), baseline]), Some(&check.dataset)));
    }
    let found = settings::<Answers>(check)
        .or_else(|| settings::<Topics>(check))
        .or_else(|| settings::<Tokens>(check))
        .or_else(|| settings::<Refusal>(check))
        .or_else(|| settings::<OverRefusal>(check))
        .or_else(|| settings::<Safety>(check))?;
    let declined = || check.downcast_ref::<OverRefusal>()?.dataset.as_ref();
    let attacked = || check.downcast_ref::<Safety>()?.dataset.as_ref();
    Some(digest(&found, declined().or_else(attacked)))
}

/// The flaw of a list of questions, if it has one.
fn list_flaw(field: &'static str, len: usize) -> Option<(&'static str, String)> {
    match len {
        0 => Some((field, "is empty, and nothing checked is no pass; add one".to_owned())),
        1..=MOST_QUESTIONS => None,
        _ => Some((field, format!("has more than {MOST_QUESTIONS} entries; split the check"))),
    }
}

/// The flaw of settings that several checks have, if they have one.
fn common_flaw(gate: &Gate, sampling: &Sampling) -> Option<(&'static str, String)> {
    order_flaw(gate.rule).or_else(|| gate.flaw()).or_else(|| sampling.flaw())
}

/// The flaw of a rule that takes trials one after another, for a check that has them all made.
fn order_flaw(rule: Rule) -> Option<(&'static str, String)> {
    let ordered = matches!(rule, Rule::Sequential { .. });
    ordered.then(|| {
        let why = "of sequential is for checks of kind `cases`, which stop asking; write \"bound\", or put the questions into one of those";
        ("rule", why.to_owned())
    })
}
