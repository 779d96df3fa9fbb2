//! What the looks of a span say: pure.

use std::{
    ops::Range,
    time::{SystemTime, UNIX_EPOCH},
};

#[cfg(feature = "report")]
use tidegate_canary::metrics::judge;
use tidegate_canary::metrics::{Evidence, Importance, Judge, Judgement, Measurement, Pair, Verdict, Window};

use crate::{
    InvalidWatch, Look, Watch,
    lookout::{is_unjudged, missing},
};

/// The looks of a span, oldest first, each with a measurement for each criterion of the watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) watch: &'a Watch,
    pub(crate) looks: &'a [Look],
}

/// Those of `looks` that fit the watch.
pub(crate) fn fitting(watch: &Watch, looks: &[Look]) -> Vec<Look> {
    looks.iter().filter(|look| look.seen.len() == watch.criteria.len()).cloned().collect()
}

impl<'a> Span<'a> {
    /// The first of the windows in a row up to the last look each of which fails by itself; or, where none does, of the
    /// fewest that fail together.
    #[cfg(feature = "report")]
    pub(crate) fn onset(&self) -> Option<Window> {
        let watch = self.watch;
        let fails = |from: usize, looks: usize| {
            watch.criteria.iter().enumerate().any(|(place, criterion)| {
                let evidence = self.evidence(place, from..from + looks);
                judge(criterion, &evidence).verdict == Verdict::Fail
            })
        };
        let all = self.looks.len();
        let alone = (0..all).rev().take_while(|at| fails(*at, 1)).last();
        let first = alone.or_else(|| (0..all).rev().find(|at| fails(*at, all - at)))?;
        Some(self.looks[first].window)
    }

    /// What these looks say of the criterion at `place`.
    pub(crate) fn evidence(&self, place: usize, looks: Range<usize>) -> Evidence {
        let mut evidence = Evidence::default();
        for Look { window, seen } in &self.looks[looks] {
            let baseline = compared(self.watch, place, *window).cloned();
            // They follow each other, so none is there already.
            let _new = evidence.add(*window, seen[place].clone(), baseline);
        }
        evidence
    }

    /// Which required criterion has not been seen in the whole span, and why. The others tell nothing of it.
    pub(crate) fn unseen(&self, opened: SystemTime) -> Option<String> {
        let watch = self.watch;
        let whole = watch.span.as_nanos() / watch.window.as_nanos();
        if (self.looks.len() as u128) < whole || self.looks.first()?.window.end() <= opened {
            return None;
        }
        let last = self.looks.last()?;
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
    pub(crate) fn judgements(&self) -> Vec<Judgement> {
        self.judges().map(|judge| judge.judgement()).collect()
    }

    /// What [`judgements`](Self::judgements) come to, for less: the numbers are for people, and are wanted in few looks.
    pub(crate) fn verdict(&self) -> Verdict {
        let required = self.judges().filter(|judge| judge.criterion().importance == Importance::Required);
        Verdict::over(required.map(|judge| judge.verdict()))
    }

    /// Whether the last look counts where several must fail: by its own window, since looks share the others, and one
    /// burst would fail as many as it is seen in. Rules that do not bet look at their own windows.
    pub(crate) fn is_confirmed(&self) -> bool {
        let watch = self.watch;
        let Some(last) = self.looks.last() else { return false };
        watch.confirm.looks == 1
            || watch.criteria.iter().enumerate().any(|(place, criterion)| {
                if criterion.importance != Importance::Required {
                    return false;
                }
                let judge = match criterion.alpha() {
                    // More likely than not: certain is what all of them say together.
                    Some(_) => judge_of(watch, place, Some(0.5), [last]),
                    None => judge_of(watch, place, None, self.looks),
                };
                judge.verdict() == Verdict::Fail
            })
    }

    /// For each criterion, a judge that has seen the looks that count.
    ///
    /// A release that was well for minutes and then breaks down must not have to make up for those: the last look is
    /// judged alone, too, and the last two, four and so on, each with its part of alpha (Bonferroni). A failure of any
    /// counts; whether it is well is said by the whole span.
    fn judges(&self) -> impl Iterator<Item = Judge> + use<'a> {
        let Self { watch, looks } = *self;
        let (whole, parts) = (looks.len(), parts(watch));
        watch.criteria.iter().enumerate().map(move |(place, criterion)| {
            let alpha = criterion.alpha().map(|alpha| alpha / parts as f64);
            let over_the_last = |last: usize| judge_of(watch, place, alpha, &looks[whole - last..]);
            let failed = |judge: &Judge| judge.verdict() == Verdict::Fail;
            let shorter = doubling().take_while(|last| criterion.alpha().is_some() && *last < whole);
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
        Ok(Span { watch: self, looks: &fitting(self, looks) }.judgements())
    }

    /// What these looks, oldest first, have shown of the criterion at `place`, beside what the watch compares it with;
    /// nothing where it has no such criterion.
    #[must_use]
    pub fn evidence(&self, place: usize, looks: &[Look]) -> Evidence {
        let looks = fitting(self, looks);
        let all = if place < self.criteria.len() { looks.len() } else { 0 };
        Span { watch: self, looks: &looks }.evidence(place, 0..all)
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
    for Look { window, seen } in looks.into_iter().filter(|look| !is_unjudged(&look.seen[place])) {
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
