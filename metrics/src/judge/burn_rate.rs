//! How fast an error budget burns.
//!
//! B. Beyer et al., *The Site Reliability Workbook*, chapter 5, "Alerting on SLOs", section "Multiwindow,
//! Multi-Burn-Rate Alerts" (<https://sre.google/workbook/alerting-on-slos/>).

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    Better, Seen, Standing, Tally, Test,
    criterion::{Problems, inside},
    decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
    too_few,
};
use crate::{Measurement, Observation, Pair, Verdict, Window};

/// How fast the candidate uses up what an objective allows of bad requests.
///
/// The burn rate is the share of bad requests in units of what is allowed, `bad / (1 − objective)`: at 1 the
/// budget lasts exactly for the period of the objective. Fails once the rate is at least
/// [`factor`](Self::factor) over the long window and over the short one: the long one makes it matter, the short
/// one makes it current. Passes while it is not, from [`min_samples`](Self::min_samples) on.
///
/// A rule of practice, made for a service that runs for long; what there is of the long window counts for all of
/// it. No chance of error is promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct BurnRate {
    /// The share of requests that is to be good; in (0, 1).
    pub objective: f64,
    /// The rate from which on it is a failure.
    pub factor: f64,
    /// The window over which it matters.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub long: Duration,
    /// The window over which it is current.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Span"))]
    pub short: Duration,
    /// Nothing is decided before there are so many requests in the short window; default 30.
    #[serde(default = "thirty")]
    pub min_samples: u64,
    /// Whether hits are bad requests (lower is better, the default) or good ones.
    #[serde(default)]
    pub better: Better,
}

impl BurnRate {
    /// 14.4 over 1 h and 5 min: 2 % of the budget of 30 days in an hour. Wakes somebody up.
    #[must_use]
    pub const fn fast(objective: f64) -> Self {
        Self::new(objective, 14.4, 60, 5)
    }

    /// 6 over 6 h and 30 min: 5 % of the budget of 30 days in six hours. Wakes somebody up.
    #[must_use]
    pub const fn slow(objective: f64) -> Self {
        Self::new(objective, 6.0, 6 * 60, 30)
    }

    /// 1 over 3 days and 6 h: 10 % of the budget of 30 days in three days. Opens a ticket.
    #[must_use]
    pub const fn steady(objective: f64) -> Self {
        Self::new(objective, 1.0, 3 * 24 * 60, 6 * 60)
    }

    const fn new(objective: f64, factor: f64, long: u64, short: u64) -> Self {
        Self {
            objective,
            factor,
            long: Duration::from_secs(60 * long),
            short: Duration::from_secs(60 * short),
            min_samples: thirty(),
            better: Better::Lower,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { objective, factor, long, short, .. } = *self;
        problems.unless(inside(objective), format!("objective is {objective}, not a share between 0 and 1"));
        problems
            .unless(factor.is_finite() && factor > 0.0, format!("factor is {factor}, not a positive number"));
        problems.unless(
            !inside(objective) || factor * (1.0 - objective) <= 1.0 + ROUNDING,
            format!(
                "factor is {factor}, but if all requests are bad the rate is {}",
                1.0 / (1.0 - objective)
            ),
        );
        problems.unless(
            !short.is_zero() && short <= long,
            format!("short is {short:?}, not a length of time up to that of long, {long:?}"),
        );
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        let (windows, long, all) = (VecDeque::new(), Sum::default(), Tally::default());
        Box::new(Burning { rule: self, windows, long, all, failed: None })
    }

    /// The burn rate of so many bad requests.
    fn of(&self, Tally { hits, trials }: Tally) -> f64 {
        if trials == 0 { 0.0 } else { hits as f64 / trials as f64 / (1.0 - self.objective) }
    }
}

/// The share of errors that an objective allows has seldom an exact number: 6 of 1 000 would burn a budget of 0.001 at a
/// little less than 6 times.
const ROUNDING: f64 = 1e-9;

const fn thirty() -> u64 {
    30
}

#[derive(Clone, Debug)]
struct Burning {
    rule: BurnRate,
    /// Bad requests of the windows that the long one reaches back to.
    windows: VecDeque<(SystemTime, Tally)>,
    /// All of those together: with windows of hours, adding them up for each that comes takes longer than all else.
    long: Sum,
    all: Tally,
    failed: Option<String>,
}

/// Wide enough that what leaves can be taken away again.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    hits: u128,
    trials: u128,
}

impl Sum {
    fn of(tallies: impl Iterator<Item = Tally>) -> Self {
        tallies.fold(Self::default(), Self::plus)
    }

    fn plus(self, tally: Tally) -> Self {
        Self { hits: self.hits + u128::from(tally.hits), trials: self.trials + u128::from(tally.trials) }
    }

    fn minus(self, tally: Tally) -> Self {
        Self { hits: self.hits - u128::from(tally.hits), trials: self.trials - u128::from(tally.trials) }
    }

    fn tally(self) -> Tally {
        let most = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        Tally { hits: most(self.hits), trials: most(self.trials) }
    }
}

impl Burning {
    /// Bad requests in the short window before the end of the newest.
    fn short(&self) -> Tally {
        let newest = self.windows.back().map(|(end, _)| *end);
        let since = newest.and_then(|newest| newest.checked_sub(self.rule.short));
        let recent = self.windows.iter().rev().take_while(|(end, _)| since.is_none_or(|since| *end > since));
        Sum::of(recent.map(|(_, tally)| *tally)).tally()
    }
}

impl Test for Burning {
    fn take(&mut self, window: Window, pair: &Pair) -> Seen {
        let observation = match &pair.candidate {
            Measurement::Missing(missing) => return Seen::Missing(missing.to_string()),
            Measurement::Observed(observation) => observation.overall(),
        };
        let Observation::Proportion { hits, trials } = *observation else {
            return Seen::Unusable(format!(
                "a burn rate is of a proportion, but the source gave {observation}"
            ));
        };
        let bad = match self.rule.better {
            Better::Higher => trials - hits,
            Better::Lower => hits,
        };
        self.all.add(Tally { hits, trials });
        let burnt = Tally { hits: bad, trials };
        self.windows.push_back((window.end(), burnt));
        self.long = self.long.plus(burnt);
        let oldest = window.end().checked_sub(self.rule.long);
        while let Some((end, old)) = self.windows.front()
            && oldest.is_some_and(|oldest| *end <= oldest)
        {
            self.long = self.long.minus(*old);
            self.windows.pop_front();
        }
        let (long, short) = (self.long.tally(), self.short());
        let rates = [long, short].map(|tally| self.rule.of(tally));
        if short.trials >= self.rule.min_samples
            && rates.iter().all(|rate| *rate >= self.rule.factor * (1.0 - ROUNDING))
        {
            self.failed.get_or_insert_with(|| {
                format!(
                    "the budget burns {:.1} times as fast as it may over {:?} and {:.1} times over {:?}; {} are too many",
                    rates[0], self.rule.long, rates[1], self.rule.short, self.rule.factor
                )
            });
        }
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        decided(self.failed.is_some(), self.short().trials >= self.rule.min_samples)
    }

    fn standing(&self) -> Standing {
        let verdict = self.verdict();
        let reason = match verdict {
            Verdict::Fail => self.failed.clone(),
            Verdict::Inconclusive => Some(too_few(self.short().trials, self.rule.min_samples)),
            Verdict::Pass => None,
        };
        let estimate = (!self.windows.is_empty()).then(|| self.rule.of(self.long.tally()));
        Standing {
            verdict,
            reason,
            candidate: self.all,
            effect: Some(Effect { measure: Measure::BurnRate, estimate, lower: None, upper: None }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        let mut windows = Vec::from(std::mem::take(&mut self.windows));
        tape.list(
            &mut windows,
            || (SystemTime::UNIX_EPOCH, Tally::default()),
            |tape, (end, bad)| {
                tape.time(end)?;
                tape.tally(bad)
            },
        )?;
        self.long = Sum::of(windows.iter().map(|(_, tally)| *tally));
        self.windows = windows.into();
        tape.tally(&mut self.all)?;
        tape.option(&mut self.failed, String::new, Tape::text)
    }
}
