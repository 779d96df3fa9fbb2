//! The looks of the last span, and what one more says with those before it.

use std::{collections::VecDeque, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_canary::metrics::{Judgement, Measurement, Verdict, Window};

use crate::{
    Watch,
    packed::{pack, unpack},
    span::Span,
};

/// What was seen in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Look {
    /// The window.
    pub window: Window,
    /// One measurement for each criterion of the watch, in its order.
    pub seen: Vec<Measurement>,
}

/// How long the looks are, written down, that an alarm carries.
const MOST: usize = 256 << 10;

/// The looks of the last span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookout {
    /// The looks, packed: they are read once a look, and kept for hours.
    packed: Box<[u8]>,
    /// The window of the newest.
    newest: Option<Window>,
    /// Of the last looks, whether each has failed.
    failed: VecDeque<bool>,
    /// How many looks in a row have seen nothing.
    blind: usize,
    /// At how many looks in a row somebody who is asked did not answer.
    deaf: usize,
}

/// What a look shows, with those before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sight {
    pub(crate) verdict: Verdict,
    /// Whether it has failed in as many looks as it takes.
    pub(crate) alarming: bool,
    /// Why it is blind: nothing was seen in this look and the one before, or nothing of one criterion in the whole span,
    /// or one who is asked has not answered twice.
    pub(crate) blind: Option<String>,
    /// Whether it is that nothing at all was seen.
    pub(crate) is_dark: bool,
}

impl Lookout {
    /// Takes in the next look. Of windows before `opened` nobody may know any more, and that is no blindness; `deaf` says
    /// who has not answered.
    pub(crate) fn take(
        &mut self,
        watch: &Watch,
        look: Look,
        opened: SystemTime,
        deaf: Option<String>,
    ) -> Sight {
        let (start, end) = (look.window.start(), look.window.end());
        let nothing = nothing_seen(&look.seen).filter(|_| end > opened);
        self.blind = if nothing.is_some() { self.blind + 1 } else { 0 };
        self.deaf = if deaf.is_some() { self.deaf + 1 } else { 0 };
        let mut looks = self.looks();
        // By a clock that was put back, what was seen before lies in the future.
        looks.retain(|old| old.window.end() <= start && old.window.end() + watch.span > end);
        self.newest = Some(look.window);
        looks.push(look);
        self.packed = pack(&looks);
        let span = Span { watch, looks: &looks };
        let verdict = span.verdict();
        self.failed.push_back(verdict == Verdict::Fail && span.is_confirmed());
        while self.failed.len() > usize::from(watch.confirm.of) {
            self.failed.pop_front();
        }
        let failed = self.failed.iter().filter(|failed| **failed).count();
        let alarming = verdict == Verdict::Fail && failed >= usize::from(watch.confirm.looks);
        // One window without requests is no reason to wake anybody.
        let nothing = nothing.filter(|_| self.blind > 1);
        let is_dark = nothing.is_some();
        let deaf = deaf.filter(|_| self.deaf > 1);
        let both = nothing.as_ref().zip(deaf.as_ref()).map(|(nothing, deaf)| format!("{nothing}; {deaf}"));
        let blind = both.or(nothing).or(deaf).or_else(|| span.unseen(opened));
        Sight { verdict, alarming, blind, is_dark }
    }

    /// The looks, oldest first.
    pub(crate) fn looks(&self) -> Vec<Look> {
        unpack(&self.packed).expect("it was packed here")
    }

    /// The same as they are kept.
    pub(crate) const fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The window of the newest look.
    pub(crate) const fn newest(&self) -> Option<Window> {
        self.newest
    }

    /// What the looks of the span say, one for each criterion, with its numbers.
    pub(crate) fn judgements(&self, watch: &Watch) -> Vec<Judgement> {
        Span { watch, looks: &self.looks() }.judgements()
    }

    /// The newest looks of the span for a journal, oldest first: all of them, unless that were too long a record.
    pub(crate) fn for_journal(&self) -> Vec<Look> {
        let mut room = MOST;
        let fits = |look: &&Look| {
            let length = serde_json::to_vec(look).map_or(usize::MAX, |bytes| bytes.len());
            let rest = room.checked_sub(length);
            room = rest.unwrap_or(0);
            rest.is_some()
        };
        let all = self.looks();
        let newest = all.iter().rev().take_while(fits).count();
        all[all.len() - newest..].to_vec()
    }
}

/// Why a look showed nothing at all, if it did not.
fn nothing_seen(seen: &[Measurement]) -> Option<String> {
    let mut missing = seen.iter().map(missing);
    let first = missing.next()??;
    missing.all(|missing| missing.is_some()).then_some(first)
}

/// Why a measurement shows nothing, if it does not.
pub(crate) fn missing(measurement: &Measurement) -> Option<String> {
    match measurement {
        Measurement::Missing(missing) => Some(missing.to_string()),
        Measurement::Observed(observation) if observation.trials() == 0 => {
            Some("there was nothing to count".to_owned())
        }
        _ => None,
    }
}
