//! The looks of the last span, and what one more says with those before it.

use std::{collections::VecDeque, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_canary::metrics::{Judgement, Measurement, Missing, Verdict, Window};

use crate::{
    Watch,
    packed::{Bounds, pack, unpack},
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
        let seen = look.seen.into_iter().map(checked).collect();
        let look = Look { seen, ..look };
        // That another release runs is no blindness: patience with that does not run out.
        let nothing = nothing_seen(&look.seen).filter(|_| end > opened && !look.seen.iter().any(is_unjudged));
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
        unpack(&self.packed, Bounds::NONE).expect("it was packed here")
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

/// What a source says that is no observation is no evidence, and could not be packed either.
fn checked(measurement: Measurement) -> Measurement {
    match measurement {
        Measurement::Observed(observation) if !observation.is_valid() => {
            let cause = "the source gave what is no observation, such as more hits than trials, numbers without bound or strata of strata; mend the source";
            Measurement::Missing(Missing::SourceError { cause: cause.to_owned(), retryable: false })
        }
        measurement => measurement,
    }
}

const UNJUDGED: &str = "another release runs in its place";

/// What stands for a measurement that is not of the watched release. It is not judged, whatever a criterion says of what is
/// missing.
pub(crate) fn unjudged() -> Measurement {
    Measurement::Missing(Missing::SourceError { cause: UNJUDGED.to_owned(), retryable: true })
}

/// Whether it is [`unjudged`].
pub(crate) fn is_unjudged(measurement: &Measurement) -> bool {
    matches!(measurement, Measurement::Missing(Missing::SourceError { cause, .. }) if cause == UNJUDGED)
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::UNIX_EPOCH};

    use tidegate_canary::{
        Release,
        metrics::{Criterion, Metric, Observation, OnMissing, Statistic},
    };
    use tidegate_registry::Digest;

    use super::*;

    fn watch() -> Watch {
        let release = Release { model: "fraud@1.0.0".parse().unwrap(), digest: Digest::of("1") };
        let mut watch = Watch::new("serving/fraud".parse().unwrap(), release);
        watch.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
        watch
    }

    fn look(watch: &Watch, n: u32, seen: Measurement) -> Look {
        let start = UNIX_EPOCH + watch.window * n;
        Look { window: Window::new(start, start + watch.window).unwrap(), seen: vec![seen] }
    }

    #[test]
    fn what_is_no_observation_is_missing_and_the_looks_can_be_read() {
        let proportion = Observation::Proportion { hits: 1, trials: 100 };
        let strata = |inner| Observation::Strata(BTreeMap::from([("eu".to_owned(), inner)]));
        let nested = strata(strata(proportion));
        let more = Observation::Proportion { hits: 2, trials: 1 };
        let without_bound = Observation::Values(vec![f64::NAN]);
        let (watch, mut lookout) = (watch(), Lookout::default());
        for (n, invalid) in (0..).zip([nested, more, without_bound]) {
            let taken = look(&watch, n, Measurement::Observed(invalid));
            let sight = lookout.take(&watch, taken, UNIX_EPOCH, None);
            assert_eq!(sight.verdict, Verdict::Inconclusive);
            let last = lookout.looks().pop().unwrap();
            let said = missing(&last.seen[0]).unwrap();
            assert!(said.contains("what is no observation"), "{said}");
        }
        assert_eq!(lookout.looks().len(), 3);
    }

    /// Whatever a criterion says of what is missing, and for however long.
    #[test]
    fn while_another_release_runs_nothing_is_judged_and_no_patience_runs_out() {
        for on_missing in [OnMissing::Fail, OnMissing::Inconclusive, OnMissing::Pass] {
            let mut watch = watch();
            watch.criteria = watch.criteria.into_iter().map(|one| one.on_missing(on_missing)).collect();
            let mut lookout = Lookout::default();
            for n in 0..5 {
                let why = Some("fraud@0.9.0 runs".to_owned());
                let sight = lookout.take(&watch, look(&watch, n, unjudged()), UNIX_EPOCH, why);
                assert_eq!((sight.verdict, sight.alarming), (Verdict::Inconclusive, false), "{on_missing:?}");
                assert!(!sight.is_dark, "{on_missing:?}");
                assert_eq!(sight.blind.is_some(), n > 0, "a person is told at the second look");
            }
            let nothing = look(&watch, 5, Measurement::Missing(Missing::NoData));
            let sight = lookout.take(&watch, nothing, UNIX_EPOCH, None);
            assert!(!sight.is_dark, "what was not judged is no look that has seen nothing");
        }
    }
}
