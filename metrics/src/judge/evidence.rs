//! What has been observed so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Tape, row};
use crate::{Measurement, Missing, Observation, Window};

/// Everything observed for one criterion: closed windows in the order of their ends, each applied once.
///
/// The windows are kept, not what they add up to: judging the same windows again gives the same judgement to
/// the last bit (on one platform), in whatever order and however often they were added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Evidence {
    windows: BTreeMap<Window, Pair>,
}

/// What was measured in one window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// On the version being judged.
    pub candidate: Measurement,
    /// On the version that it is compared with, if it is.
    pub baseline: Option<Measurement>,
}

impl Pair {
    /// What was measured on the candidate, and on the baseline if there is one.
    #[must_use]
    pub const fn new(candidate: Measurement, baseline: Option<Measurement>) -> Self {
        Self { candidate, baseline }
    }
}

impl Evidence {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { windows: BTreeMap::new() }
    }

    /// Adds what was measured in `window`.
    ///
    /// Says `false` and changes nothing if there is a window with that end already, or one that overlaps: a
    /// request that counted twice would be evidence that never was.
    pub fn add(&mut self, window: Window, candidate: Measurement, baseline: Option<Measurement>) -> bool {
        if !self.admits(window) {
            return false;
        }
        self.windows.insert(window, Pair { candidate, baseline });
        true
    }

    /// Whether [`add`](Self::add) would take the window in.
    #[must_use]
    pub fn admits(&self, window: Window) -> bool {
        let mut later = self.windows.keys().rev().take_while(|known| known.end() > window.start());
        !later.any(|known| known.overlaps(&window))
    }

    /// Every window with what was measured in it, ascending by end.
    pub fn windows(&self) -> impl DoubleEndedIterator<Item = (&Window, &Pair)> + ExactSizeIterator {
        self.windows.iter()
    }

    /// How many trials of the candidate were observed so far.
    #[must_use]
    pub fn trials(&self) -> u64 {
        let observed = self.windows.values().filter_map(|pair| pair.candidate.observed());
        observed.map(Observation::trials).fold(0, u64::saturating_add)
    }

    /// Its windows to the last bit, shorter and sooner read than as text. Only [`from_bytes`](Self::from_bytes) of the
    /// same version of this crate reads them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut tape = Tape::Writing(&mut bytes);
        let rows = self.windows.iter().map(|(window, pair)| (*window, pair.clone()));
        tape.integer(&mut (self.windows.len() as u64)).expect("a tape that is written takes everything");
        for (mut window, mut pair) in rows {
            row::pass(&mut tape, &mut window, &mut pair).expect("a tape that is written takes everything");
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) has written. `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut tape = Tape::Reading(bytes);
        let (mut length, mut evidence) = (0, Self::new());
        tape.integer(&mut length)?;
        for _ in 0..length {
            let (mut window, mut pair) = (Window::BLANK, Pair::new(Missing::NoData.into(), None));
            row::pass(&mut tape, &mut window, &mut pair)?;
            if !evidence.add(window, pair.candidate, pair.baseline) {
                return None;
            }
        }
        tape.is_at_end().then_some(evidence)
    }

    /// Whether no window has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    window: Window,
    candidate: Measurement,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<Measurement>,
}

impl From<Evidence> for Vec<Entry> {
    fn from(evidence: Evidence) -> Self {
        let entry = |(window, Pair { candidate, baseline })| Entry { window, candidate, baseline };
        evidence.windows.into_iter().map(entry).collect()
    }
}

impl TryFrom<Vec<Entry>> for Evidence {
    type Error = &'static str;

    fn try_from(entries: Vec<Entry>) -> Result<Self, Self::Error> {
        let mut evidence = Self::new();
        for Entry { window, candidate, baseline } in entries {
            if !evidence.add(window, candidate, baseline) {
                return Err("two windows of one evidence overlap");
            }
        }
        Ok(evidence)
    }
}
