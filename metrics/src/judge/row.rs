//! What was measured in a window, on a [`Tape`].

use std::collections::BTreeMap;

use super::{
    Pair,
    tape::{Passed, Tape},
};
use crate::{Measurement, Missing, Observation, Window};

/// Passes a window of evidence and what was measured in it.
pub(super) fn pass(tape: &mut Tape<'_>, window: &mut Window, pair: &mut Pair) -> Passed {
    tape.window(window)?;
    measurement(tape, &mut pair.candidate)?;
    tape.option(&mut pair.baseline, || Missing::NoData.into(), measurement)
}

fn measurement(tape: &mut Tape<'_>, value: &mut Measurement) -> Passed {
    let mut kind = match value {
        Measurement::Missing(missing) => kind_of_missing(missing),
        Measurement::Observed(observation) => OBSERVED + kind_of(observation),
    };
    tape.byte(&mut kind)?;
    if tape.is_reading() {
        *value = match kind.checked_sub(OBSERVED) {
            Some(kind) => blank(kind)?.into(),
            None => blank_missing(kind)?.into(),
        };
    }
    match value {
        Measurement::Missing(value) => missing(tape, value),
        Measurement::Observed(value) => observation(tape, value),
    }
}

/// What is observed has kinds from here on.
const OBSERVED: u8 = 16;

const fn kind_of_missing(missing: &Missing) -> u8 {
    match missing {
        Missing::Infinite { .. } => 0,
        Missing::NoData => 1,
        Missing::NotANumber => 2,
        Missing::SourceError { .. } => 3,
        Missing::Stale { .. } => 4,
        Missing::TooFew { .. } => 5,
    }
}

fn blank_missing(kind: u8) -> Option<Missing> {
    Some(match kind {
        0 => Missing::Infinite { negative: false },
        1 => Missing::NoData,
        2 => Missing::NotANumber,
        3 => Missing::SourceError { cause: String::new(), retryable: false },
        4 => Missing::Stale { age: std::time::Duration::ZERO },
        5 => Missing::TooFew { have: 0, need: 0 },
        _ => return None,
    })
}

fn missing(tape: &mut Tape<'_>, value: &mut Missing) -> Passed {
    match value {
        Missing::Infinite { negative } => tape.flag(negative),
        Missing::NoData | Missing::NotANumber => Some(()),
        Missing::SourceError { cause, retryable } => {
            tape.text(cause)?;
            tape.flag(retryable)
        }
        Missing::Stale { age } => tape.duration(age),
        Missing::TooFew { have, need } => {
            tape.integer(have)?;
            tape.integer(need)
        }
    }
}

const STRATA: u8 = 2;

const fn kind_of(observation: &Observation) -> u8 {
    match observation {
        Observation::Histogram { .. } => 0,
        Observation::Proportion { .. } => 1,
        Observation::Strata(_) => STRATA,
        Observation::Total { .. } => 3,
        Observation::Values(_) => 4,
    }
}

const fn blank(kind: u8) -> Option<Observation> {
    Some(match kind {
        0 => Observation::Histogram { edges: Vec::new(), counts: Vec::new() },
        1 => Observation::Proportion { hits: 0, trials: 0 },
        STRATA => Observation::Strata(BTreeMap::new()),
        3 => Observation::Total { sum: 0.0, count: 0 },
        4 => Observation::Values(Vec::new()),
        _ => return None,
    })
}

fn observation(tape: &mut Tape<'_>, value: &mut Observation) -> Passed {
    match value {
        Observation::Histogram { edges, counts } => {
            tape.list(edges, || 0.0, Tape::float)?;
            tape.list(counts, || 0, Tape::count)?;
        }
        Observation::Proportion { hits, trials } => {
            tape.count(hits)?;
            tape.count(trials)?;
        }
        Observation::Strata(strata) => {
            let mut list: Vec<_> = std::mem::take(strata).into_iter().collect();
            let nothing = || (String::new(), Observation::Values(Vec::new()));
            tape.list(&mut list, nothing, |tape, (name, stratum)| {
                tape.text(name)?;
                let mut kind = kind_of(stratum);
                tape.byte(&mut kind)?;
                if tape.is_reading() {
                    // None of them is by strata again, so this ends.
                    *stratum = blank(kind).filter(|_| kind != STRATA)?;
                }
                observation(tape, stratum)
            })?;
            *strata = list.into_iter().collect();
        }
        Observation::Total { sum, count } => {
            tape.float(sum)?;
            tape.count(count)?;
        }
        Observation::Values(values) => tape.list(values, || 0.0, Tape::float)?,
    }
    (!tape.is_reading() || value.is_valid()).then_some(())
}
