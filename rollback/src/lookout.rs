//! What the last looks say: pure, and over a span that moves on.

use std::{
    collections::VecDeque,
    ops::Range,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
#[cfg(feature = "report")]
use tidegate_canary::metrics::judge;
use tidegate_canary::metrics::{Evidence, Importance, Judge, Judgement, Measurement, Pair, Verdict, Window};

use crate::{InvalidWatch, Watch};

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
    looks: VecDeque<Look>,
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
    /// Of looks that were journaled, as far as they fit the watch.
    pub(crate) fn of(watch: &Watch, looks: &[Look]) -> Self {
        let fits = |look: &&Look| look.seen.len() == watch.criteria.len();
        Self { looks: looks.iter().filter(fits).cloned().collect(), ..Self::default() }
    }

    /// The first of the windows in a row up to the last look each of which fails by itself; or, where none does, of the
    /// fewest that fail together.
    #[cfg(feature = "report")]
    pub(crate) fn onset(&self, watch: &Watch) -> Option<Window> {
        let fails = |from: usize, looks: usize| {
            watch.criteria.iter().enumerate().any(|(place, criterion)| {
                let evidence = self.evidence(watch, place, from..from + looks);
                judge(criterion, &evidence).verdict == Verdict::Fail
            })
        };
        let all = self.looks.len();
        let alone = (0..all).rev().take_while(|at| fails(*at, 1)).last();
        let first = alone.or_else(|| (0..all).rev().find(|at| fails(*at, all - at)))?;
        Some(self.looks[first].window)
    }

    /// Takes in the next look. Of windows before `opened` nobody may know any more, and that is no blindness; `deaf` says
    /// who has not answered.
    pub(crate) fn take(
        &mut self,
        watch: &Watch,
        look: Look,
        opened: SystemTime,
        deaf: Option<String>,
    ) -> Sight {
        let end = look.window.end();
        let nothing = nothing_seen(&look.seen).filter(|_| end > opened);
        self.blind = if nothing.is_some() { self.blind + 1 } else { 0 };
        self.deaf = if deaf.is_some() { self.deaf + 1 } else { 0 };
        // By a clock that was put back, what was seen before lies in the future.
        self.looks.retain(|old| old.window.end() <= look.window.start());
        self.looks.push_back(look);
        while self.looks.front().is_some_and(|old| old.window.end() + watch.span <= end) {
            self.looks.pop_front();
        }
        let verdict = self.verdict(watch);
        self.failed.push_back(verdict == Verdict::Fail && self.is_confirmed(watch));
        while self.failed.len() > usize::from(watch.confirm.of) {
            self.failed.pop_front();
        }
        let failed = self.failed.iter().filter(|failed| **failed).count();
        let alarming = verdict == Verdict::Fail && failed >= usize::from(watch.confirm.looks);
        // One window without requests is no reason to wake anybody.
        let nothing = nothing.filter(|_| self.blind > 1);
        let is_dark = nothing.is_some();
        let deaf = deaf.filter(|_| self.deaf > 1);
        let blind = nothing.or(deaf).or_else(|| self.unseen(watch, opened));
        Sight { verdict, alarming, blind, is_dark }
    }

    /// The looks, oldest first.
    pub(crate) const fn looks(&self) -> &VecDeque<Look> {
        &self.looks
    }

    /// The same as a slice.
    pub(crate) fn span(&mut self) -> &[Look] {
        self.looks.make_contiguous()
    }

    /// What these looks say of the criterion at `place`.
    pub(crate) fn evidence(&self, watch: &Watch, place: usize, looks: Range<usize>) -> Evidence {
        let mut evidence = Evidence::default();
        for Look { window, seen } in self.looks.range(looks) {
            let baseline = compared(watch, place, *window).cloned();
            // They follow each other, so none is there already.
            let _new = evidence.add(*window, seen[place].clone(), baseline);
        }
        evidence
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
        let mut looks: Vec<Look> = self.looks.iter().rev().take_while(fits).cloned().collect();
        looks.reverse();
        looks
    }

    /// Which required criterion has not been seen in the whole span, and why. The others tell nothing of it.
    fn unseen(&self, watch: &Watch, opened: SystemTime) -> Option<String> {
        let whole = watch.span.as_nanos() / watch.window.as_nanos();
        if (self.looks.len() as u128) < whole || self.looks.front()?.window.end() <= opened {
            return None;
        }
        let last = self.looks.back()?;
        let required =
            watch.criteria.iter().enumerate().filter(|(_, c)| c.importance == Importance::Required);
        required.into_iter().find_map(|(place, criterion)| {
            let why = missing(&last.seen[place])?;
            let all = self.looks.iter().all(|look| missing(&look.seen[place]).is_some());
            let span = humantime::format_duration(watch.span);
            all.then(|| format!("{} for {span}: {why}", criterion.metric))
        })
    }

    /// What the looks of the span say, one for each criterion, with its numbers.
    pub(crate) fn judgements(&self, watch: &Watch) -> Vec<Judgement> {
        self.judges(watch).map(|judge| judge.judgement()).collect()
    }

    /// What [`judgements`](Self::judgements) come to, for less: the numbers are for people, and are wanted in few looks.
    fn verdict(&self, watch: &Watch) -> Verdict {
        let required =
            self.judges(watch).filter(|judge| judge.criterion().importance == Importance::Required);
        Verdict::over(required.map(|judge| judge.verdict()))
    }

    /// Whether the last look counts where several must fail: by its own window, since looks share the others, and one
    /// burst would fail as many as it is seen in. Rules that do not bet look at their own windows.
    fn is_confirmed(&self, watch: &Watch) -> bool {
        let Some(last) = self.looks.back() else { return false };
        watch.confirm.looks == 1
            || watch.criteria.iter().enumerate().any(|(place, criterion)| {
                if criterion.importance != Importance::Required {
                    return false;
                }
                let judge = match criterion.alpha() {
                    // More likely than not: certain is what all of them say together.
                    Some(_) => judge_of(watch, place, Some(0.5), [last]),
                    None => judge_of(watch, place, None, &self.looks),
                };
                judge.verdict() == Verdict::Fail
            })
    }

    /// For each criterion, a judge that has seen the looks that count.
    ///
    /// A release that was well for minutes and then breaks down must not have to make up for those: the last look is
    /// judged alone, too, and the last two, four and so on, each with its part of alpha (Bonferroni). A failure of any
    /// counts; whether it is well is said by the whole span.
    fn judges(&self, watch: &Watch) -> impl Iterator<Item = Judge> {
        let (whole, parts) = (self.looks.len(), parts(watch));
        watch.criteria.iter().enumerate().map(move |(place, criterion)| {
            let alpha = criterion.alpha().map(|alpha| alpha / parts as f64);
            let over_the_last =
                |looks: usize| judge_of(watch, place, alpha, self.looks.range(whole - looks..));
            let failed = |judge: &Judge| judge.verdict() == Verdict::Fail;
            let shorter = doubling().take_while(|looks| criterion.alpha().is_some() && *looks < whole);
            shorter.map(over_the_last).find(failed).unwrap_or_else(|| over_the_last(whole))
        })
    }
}

impl Watch {
    /// What these looks of a span, oldest first, say of each criterion, as a guard of this watch judges them: by the whole
    /// span, and by the newest look alone, the newest two, four and so on, each with its part of alpha. Looks with another
    /// number of measurements than the watch has criteria are none of its own, and left out.
    ///
    /// # Errors
    ///
    /// [`InvalidWatch`] when nothing can be judged by it.
    pub fn judge(&self, looks: &[Look]) -> Result<Vec<Judgement>, InvalidWatch> {
        self.check()?;
        Ok(Lookout::of(self, looks).judgements(self))
    }

    /// What these looks, oldest first, have shown of the criterion at `place`, beside what the watch compares it with;
    /// nothing where it has no such criterion.
    #[must_use]
    pub fn evidence(&self, place: usize, looks: &[Look]) -> Evidence {
        let lookout = Lookout::of(self, looks);
        let all = if place < self.criteria.len() { lookout.looks.len() } else { 0 };
        lookout.evidence(self, place, 0..all)
    }
}

/// 1, 2, 4, …
fn doubling() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |looks| looks.checked_mul(2))
}

/// Among how many readings of a span alpha is shared.
fn parts(watch: &Watch) -> usize {
    let most = watch.span.as_nanos().div_ceil(watch.window.as_nanos());
    1 + doubling().take_while(|looks| (*looks as u128) < most).count()
}

/// A judge of the criterion at `place`, by this alpha if by any, which has seen `looks`.
fn judge_of<'a>(
    watch: &Watch,
    place: usize,
    alpha: Option<f64>,
    looks: impl IntoIterator<Item = &'a Look>,
) -> Judge {
    let criterion = watch.criteria[place].clone();
    let criterion = match alpha {
        Some(alpha) => criterion.with_alpha(alpha),
        None => criterion,
    };
    let mut judge = Judge::new(criterion).expect("a watch is checked before it is kept");
    for Look { window, seen } in looks {
        let pair = Pair::new(seen[place].clone(), compared(watch, place, *window).cloned());
        // They follow each other, so none is there already.
        let _new = judge.take(*window, &pair);
    }
    judge
}

/// What a window is compared with: the recorded windows in turn, so that those of one span are all different.
fn compared(watch: &Watch, place: usize, window: Window) -> Option<&Measurement> {
    let recorded = watch.reference.get(place).filter(|recorded| !recorded.is_empty())?;
    let number =
        window.start().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() / watch.window.as_nanos();
    recorded.get((number % recorded.len() as u128) as usize)
}

/// Why a look showed nothing at all, if it did not.
fn nothing_seen(seen: &[Measurement]) -> Option<String> {
    let mut missing = seen.iter().map(missing);
    let first = missing.next()??;
    missing.all(|missing| missing.is_some()).then_some(first)
}

/// Why a measurement shows nothing, if it does not.
fn missing(measurement: &Measurement) -> Option<String> {
    match measurement {
        Measurement::Missing(missing) => Some(missing.to_string()),
        Measurement::Observed(observation) if observation.trials() == 0 => {
            Some("there was nothing to count".to_owned())
        }
        _ => None,
    }
}
