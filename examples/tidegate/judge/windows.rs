//! The windows of one metric, in their order, each once.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
    time::SystemTime,
};

use tidegate::metrics::{Evidence, Pair, Window};

use super::{lines::Place, observed::Observed};
use crate::failure::Failure;

/// The windows of one metric by their ends.
#[derive(Debug, Default)]
pub(crate) struct Windows(BTreeMap<SystemTime, Taken>);

#[derive(Debug)]
struct Taken {
    place: Place,
    window: Window,
    pair: Pair,
}

impl Windows {
    /// Takes a window in, or says `false` if it is there already.
    pub(crate) fn add(&mut self, observed: &Observed) -> Result<bool, Failure> {
        let Observed { place, metric, window, pair, .. } = observed;
        let told = |why: String| place.wrong(format!("cannot be taken: the window of {metric} {why}"));
        let ended = observed.ended();
        let (start, end) = (window.start(), window.end());
        let before = self.0.range(..end).next_back().filter(|(_, before)| before.window.end() > start);
        let after = self.0.range((Bound::Excluded(end), Bound::Unbounded)).next();
        if let Some((_, other)) = before.or_else(|| after.filter(|(_, after)| after.window.start() < end)) {
            let why =
                format!("that ends at {ended} overlaps that of {}; count every request once", other.place);
            return Err(told(why));
        }
        match self.0.entry(end) {
            Entry::Vacant(vacant) => {
                vacant.insert(Taken { place: place.clone(), window: *window, pair: pair.clone() });
                Ok(true)
            }
            Entry::Occupied(known) if known.get().pair == *pair && known.get().window == *window => Ok(false),
            Entry::Occupied(known) => {
                let Taken { place, pair: other, .. } = known.get();
                let differ = if other == pair { "another start" } else { "other numbers" };
                let why = format!(
                    "that ends at {ended} had {differ} in {place}; one of both is wrong: correct it, or name the window's own end"
                );
                Err(told(why))
            }
        }
    }

    /// All of them, for pictures.
    pub(crate) fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new();
        for (window, pair) in self.iter() {
            evidence.add(window, pair.candidate.clone(), pair.baseline.clone());
        }
        evidence
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Window, &Pair)> {
        self.0.values().map(|taken| (taken.window, &taken.pair))
    }
}
