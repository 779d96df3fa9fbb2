//! What a comparison compares.

use super::{Bets, Comparison, Exceedance};
use crate::judge::tape::{Passed, Tape};

/// What the first window turned out to hold; the others must hold the same.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Beyond(Exceedance),
    Counts(Box<Bets>),
    Unknown,
}

impl Shape {
    /// The natural logarithms of the evidence for a failure, and for a pass.
    pub(super) fn log_e(&self) -> (f64, f64) {
        match self {
            Self::Beyond(exceedance) => (exceedance.log_e_fail(), exceedance.log_e_pass()),
            Self::Counts(bets) => (bets.log_e_fail(), bets.log_e_pass()),
            Self::Unknown => (0.0, 0.0),
        }
    }

    pub(super) fn state(&mut self, comparison: &Comparison, tape: &mut Tape<'_>) -> Passed {
        let mut kind = match self {
            Self::Unknown => 0,
            Self::Counts(_) => 1,
            Self::Beyond(_) => 2,
        };
        tape.byte(&mut kind)?;
        if tape.is_reading() {
            *self = match kind {
                0 => Self::Unknown,
                1 => Self::Counts(Box::new(Bets::new(comparison))),
                2 => Self::Beyond(Exceedance::new(*comparison)),
                _ => return None,
            };
        }
        match self {
            Self::Beyond(exceedance) => exceedance.state(tape),
            Self::Counts(bets) => bets.state(tape),
            Self::Unknown => Some(()),
        }
    }
}
