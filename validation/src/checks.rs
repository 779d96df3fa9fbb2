//! The checks that come with the crate, one a file.
//!
//! Each is a struct of its settings: fill in what differs and take the rest from `Default`. Settings
//! that make no sense are refused when a suite is read from a file; from code they make the check
//! inconclusive.

mod answers;
mod consistency;
mod integrity;
mod latency;
mod refusal;
mod tokens;
mod topics;

pub use self::{
    answers::{AnswerCase, Answers, Matching},
    consistency::Consistency,
    integrity::Integrity,
    latency::Latency,
    refusal::{Refusal, is_refusal},
    tokens::Tokens,
    topics::{TopicCase, Topics},
};
use crate::{Error, Sampling, Subject, Validator, asking::Asking, gate::Gate, run::Run};

/// Most questions of one check: more belong into several.
const MOST_QUESTIONS: usize = 100_000;

/// What the checks have in common as settings in a file.
pub(crate) trait Settings {
    /// What a suite file calls this kind of check.
    const KIND: &str;

    /// What is wrong with the settings, if anything: the field and what would be right.
    fn flaw(&self) -> Option<(&'static str, String)>;
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
    gate.flaw().or_else(|| sampling.flaw())
}
