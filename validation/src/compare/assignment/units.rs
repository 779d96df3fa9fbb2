//! The units of an experiment, and what came of each.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use serde::Serialize;
use tidegate_registry::Digest;

use super::Silent;
use crate::{Proportion, dataset::short, statistics::Cluster};

/// The units of an experiment, in what arm each is, and what came of it. All are assigned first, in any order, then
/// outcomes are told, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Units {
    /// By the beginning of the digest of their names, so that sums have an order of their own.
    units: BTreeMap<[u8; 16], Assigned>,
    /// Outcomes with a time.
    seen: HashSet<[u8; 16]>,
    left_out: LeftOut,
    /// Whether some outcome is neither 0 nor 1.
    valued: bool,
}

/// Where a unit was assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "two arms are compared")]
pub enum Arm {
    /// To the candidate.
    Candidate,
    /// To the baseline.
    Baseline,
    /// To an arm that is not compared.
    Other,
}

/// What is in the logs of an experiment and was not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LeftOut {
    /// Units that were in more than one arm.
    pub both_arms: u64,
    /// Units that were in other arms alone.
    pub other_arms: u64,
    /// Outcomes of units that were never assigned.
    pub unassigned: u64,
    /// Outcomes from before their unit was assigned.
    pub early: u64,
    /// Outcomes that are there twice, to the time and the value.
    pub duplicates: u64,
    /// Units of the candidate without an outcome.
    pub silent_candidate: u64,
    /// Units of the baseline without one.
    pub silent_baseline: u64,
}

/// One unit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Assigned {
    /// None if it was in more than one.
    arm: Option<Arm>,
    at: SystemTime,
    outcomes: Cluster,
}

/// What came of the units of one arm.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) units: u64,
    /// Units without an outcome.
    pub(super) silent: u64,
    clusters: Vec<Cluster>,
    /// Whether each outcome is 0 or 1.
    pub(super) hit_or_none: bool,
    /// Whether it is, and alone.
    counted: bool,
}

impl Units {
    /// Puts `unit` into `arm`. Of several times the earliest holds; a unit of two arms is in neither.
    pub fn assign(&mut self, unit: &str, arm: Arm, at: SystemTime) {
        let new = Assigned { arm: Some(arm), at, outcomes: Cluster::default() };
        let assigned = self.units.entry(short(unit)).or_insert(new);
        assigned.at = assigned.at.min(at);
        assigned.arm = assigned.arm.filter(|there| *there == arm);
    }

    /// Takes an outcome of `unit`: 1 and 0 for a hit and none, or any finite number. It is left out, and counted, if its
    /// unit is in no arm, if it was at a time before that of its unit, or if it is there already, to the time and the
    /// value.
    pub fn outcome(&mut self, unit: &str, value: f64, at: Option<SystemTime>) {
        let key = short(unit);
        let Some(assigned) = self.units.get_mut(&key) else {
            self.left_out.unassigned += 1;
            return;
        };
        if let Some(at) = at {
            if at < assigned.at {
                self.left_out.early += 1;
                return;
            }
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let outcome =
                [&key[..], &since.as_nanos().to_be_bytes(), &value.to_bits().to_be_bytes()].concat();
            let mut half = [0; 16];
            half.copy_from_slice(&Digest::of(outcome).as_bytes()[..16]);
            if !self.seen.insert(half) {
                self.left_out.duplicates += 1;
                return;
            }
        }
        self.valued |= value != 0.0 && value != 1.0;
        assigned.outcomes.push(value);
    }

    /// Units, of all arms.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there is no unit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// What was not compared so far; without the units that have no outcome.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        let count = |arm: Option<Arm>| self.units.values().filter(|unit| unit.arm == arm).count() as u64;
        LeftOut { both_arms: count(None), other_arms: count(Some(Arm::Other)), ..self.left_out }
    }

    pub(super) fn has_outcome(&self, unit: &str) -> bool {
        self.units.get(&short(unit)).is_some_and(|unit| unit.outcomes.count > 0)
    }

    pub(super) fn none_in(&self, arm: Arm) -> bool {
        !self.units.values().any(|unit| unit.arm == Some(arm))
    }

    /// Outcomes with a time.
    pub(super) fn outcomes(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn sample(&self, arm: Arm, silent: Silent) -> Sample {
        let hit_or_none = !self.valued;
        let mut sample =
            Sample { units: 0, silent: 0, clusters: Vec::new(), hit_or_none, counted: hit_or_none };
        for unit in self.units.values().filter(|unit| unit.arm == Some(arm)) {
            sample.units += 1;
            let told = unit.outcomes.count > 0;
            sample.silent += u64::from(!told);
            sample.counted &= unit.outcomes.count <= 1;
            if told {
                sample.clusters.push(unit.outcomes);
            } else if silent == Silent::Zero {
                sample.clusters.push(Cluster { sum: 0.0, count: 1 });
            }
        }
        sample
    }
}

impl Sample {
    /// Units that are compared.
    pub(super) fn told(&self) -> u64 {
        self.clusters.len() as u64
    }

    /// Outcomes of them.
    pub(super) fn outcomes(&self) -> u64 {
        self.clusters.iter().map(|cluster| cluster.count).sum()
    }

    pub(super) fn clusters(&self) -> impl Iterator<Item = Cluster> + Clone {
        self.clusters.iter().copied()
    }

    /// The share of hits, where each unit has a hit or none.
    pub(super) fn rate(&self) -> Option<Proportion> {
        let hits = self.clusters.iter().filter(|cluster| cluster.sum > 0.0).count() as u64;
        self.counted.then(|| Proportion::new(hits, self.told()))?
    }
}
