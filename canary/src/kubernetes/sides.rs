//! Sides of a route in a list of destinations with weights: finding them, what they get and what they are to get.

use std::fmt::Display;

use super::unfit::Unfit;
use crate::{Slot, Traffic, rounding};

/// What the sides are called in an object.
#[derive(Clone, Debug)]
pub(super) struct Backends<N = String> {
    pub(super) stable: N,
    pub(super) baseline: Option<N>,
    pub(super) candidate: N,
}

/// The sides of one list.
#[derive(Debug)]
pub(super) struct Sides {
    /// Where the list is, for people.
    pub(super) at: String,
    /// In the order stable, baseline, candidate.
    pub(super) places: Vec<Place>,
}

/// A side in the list.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) index: usize,
    pub(super) weight: u64,
}

impl<N: Display + PartialEq> Backends<N> {
    /// Finds every side once in `list`, where nobody else may have weight. `at` is where the list is, `what`
    /// its entries are called.
    pub(super) fn find(&self, at: String, what: &'static str, list: &[(N, u64)]) -> Result<Sides, Unfit> {
        let mut places = Vec::new();
        for (slot, name) in self.each() {
            let mut found = list.iter().enumerate().filter(|(_, (found, _))| found == name);
            let side = name.to_string();
            match (found.next(), found.next()) {
                (Some((index, (_, weight))), None) => places.push(Place { slot, index, weight: *weight }),
                (None, _) => return Err(Unfit::SideMissing { at, what, side }),
                (Some(_), Some(_)) => return Err(Unfit::SideTwice { at, what, side }),
            }
        }
        let stranger = list.iter().find(|(name, weight)| *weight > 0 && self.slot(name).is_none());
        match stranger {
            Some((name, _)) => Err(Unfit::Stranger { at, what, side: name.to_string() }),
            None => Ok(Sides { at, places }),
        }
    }

    /// Which side is called `name`.
    pub(super) fn slot(&self, name: &N) -> Option<Slot> {
        self.each().find(|(_, side)| *side == name).map(|(slot, _)| slot)
    }

    fn each(&self) -> impl Iterator<Item = (Slot, &N)> {
        let baseline = self.baseline.as_ref().map(|name| (Slot::Baseline, name));
        [(Slot::Stable, &self.stable)].into_iter().chain(baseline).chain([(Slot::Candidate, &self.candidate)])
    }
}

impl Sides {
    /// Where `slot` is in the list.
    pub(super) fn place(&self, slot: Slot) -> Option<&Place> {
        self.places.iter().find(|place| place.slot == slot)
    }

    /// The split that the weights ask for.
    pub(super) fn split(&self) -> Result<Traffic, Unfit> {
        let weight = |slot| self.place(slot).map_or(0, |place| place.weight);
        rounding::split_of([Slot::Stable, Slot::Baseline, Slot::Candidate].map(weight))
            .ok_or_else(|| Unfit::Nowhere { at: self.at.clone() })
    }

    /// The weights for `traffic` that sum to `total`, if they are others than there are.
    pub(super) fn due(&self, traffic: &Traffic, total: u64) -> Option<Vec<(&Place, u64)>> {
        let parts = rounding::parts_of(traffic, total);
        let wanted = |place: &Place| parts[place.slot as usize];
        let due = self.places.iter().any(|place| place.weight != wanted(place));
        due.then(|| self.places.iter().map(|place| (place, wanted(place))).collect())
    }
}
