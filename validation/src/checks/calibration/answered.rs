//! What became of the questions, of which nothing is kept but how sure the model was and whether it was right.

use super::source::Sure;
use crate::{AgentError, Case, Outcome, Reason, Shortage, Tally, asking::not_asked, dataset::Question};

/// Most cases of a finding.
const MOST_SHOWN: usize = 100;

/// What became of one question.
pub(super) enum Made {
    Known(Sure, bool),
    Unknown(Reason, String),
    Lost(AgentError),
    Short(Option<Shortage>),
}

/// What became of all questions so far.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) tally: Tally,
    /// How sure the model was of each answer, and whether it was right: 16 bytes each.
    pub(super) known: Vec<(f64, bool)>,
    /// The first that were not right.
    pub(super) cases: Vec<Case>,
    /// The last reason why the agent gave no answer.
    pub(super) lost: Option<AgentError>,
    pub(super) short: Option<Shortage>,
}

impl Answered {
    pub(super) fn add(&mut self, question: &Question, made: Made) {
        let (outcome, detail) = match made {
            Made::Known(sure, right) => {
                self.known.push((sure.confidence, right));
                let outcome = if right { Outcome::Hit } else { Outcome::Miss };
                self.tally.count(outcome);
                (outcome, format!("{:.0} % sure of `{}`", sure.confidence * 100.0, sure.answer.trim()))
            }
            Made::Unknown(reason, why) => {
                self.tally.unknown(reason);
                (Outcome::Unknown, why)
            }
            Made::Lost(error) => {
                self.tally.unknown(Reason::infra(&error));
                let why = error.to_string();
                self.lost = Some(error);
                (Outcome::Unknown, why)
            }
            Made::Short(shortage) => {
                self.tally.unknown(not_asked(shortage.as_ref()));
                self.short = self.short.take().or(shortage);
                (Outcome::Unknown, "not asked".to_owned())
            }
        };
        if outcome != Outcome::Hit && self.cases.len() < MOST_SHOWN {
            self.cases.push(Case::new(question.prompt(), outcome, &detail));
        }
    }
}
