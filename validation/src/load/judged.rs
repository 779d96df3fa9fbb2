//! From what was measured to a verdict.

use std::time::Duration;

use super::{
    Counts, Limit, Measured, Quantity,
    blocks::{Trials, Unknown},
};
use crate::{Evidence, Gate, Method, Reason, Rule, Tally, Unit, Verdict, statistics::trials_needed};

/// What must hold of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The greatest share of requests that may fail.
    pub(crate) max_errors: f64,
    /// The least share of requests that must be answered within every limit.
    pub(crate) goodput: f64,
    pub(crate) rule: Rule,
    pub(crate) confidence: f64,
}

impl Measured {
    /// Judges it. What a generator that was late, or sent too little, has seen is no evidence for the model; what it
    /// has seen against it stands if it was not late.
    pub(crate) fn judge(&self, demand: Demand) -> (Verdict, Vec<Evidence>) {
        let Counts { answered, failed, .. } = self.counts;
        if !self.reached {
            let none = match (&self.failure, &self.short) {
                (Some(failure), _) => Reason::infra(failure),
                (None, Some(shortage)) => Reason::Budget(shortage.clone()),
                (None, None) => {
                    self.shortfall().map_or(Reason::NothingChecked, |what| Reason::Infra { what })
                }
            };
            return (Verdict::Inconclusive(none), Vec::new());
        }
        let mut evidence = Vec::new();
        let mut verdicts: Vec<Verdict> = Vec::new();
        for ((limit, tally), trials) in self.limits.iter().zip(&self.trials.limits) {
            let (verdict, found) = self.keeps(*limit, tally, trials, demand);
            verdicts.push(verdict);
            evidence.extend(found);
        }
        let shares = [
            ("share of requests answered", 1.0 - demand.max_errors, answered, &self.trials.answered),
            (
                "share of requests answered within every limit",
                demand.goodput,
                self.counts.good,
                &self.trials.good,
            ),
        ];
        for (measure, floor, hits, trials) in shares {
            let unknown = answered + failed - trials.requests;
            let why_unknown = (unknown > 0).then(|| self.unmeasured(unknown));
            let misses = trials.requests - hits;
            let tally = self.with_unsent(Tally { hits, misses, unknown, why_unknown, ..Tally::default() });
            verdicts.push(trials.held(&tally, floor, demand));
            evidence.extend(trials.evidence(measure, &tally, floor, demand));
        }
        evidence.push(self.rate_evidence());
        (self.overall(&verdicts), evidence)
    }

    fn overall(&self, verdicts: &[Verdict]) -> Verdict {
        let highest = self.limits.iter().map(|(limit, _)| limit.quantile).fold(0.99, f64::max);
        if let Some(what) = self.late(highest) {
            return Verdict::Inconclusive(Reason::Infra { what });
        }
        let worst = Verdict::over(verdicts);
        if self.stopped.is_some() {
            return Verdict::Fail;
        }
        if let Some(error) = self.hopeless().filter(|_| worst != Verdict::Fail) {
            return Verdict::Inconclusive(Reason::infra(error));
        }
        match (worst, self.shortfall()) {
            (Verdict::Fail, _) => Verdict::Fail,
            (_, Some(what)) => Verdict::Inconclusive(match &self.short {
                Some(shortage) => Reason::Budget(shortage.clone()),
                None => Reason::Infra { what },
            }),
            // What was to be shown is that it lasts.
            (Verdict::Pass, None) => self
                .short
                .clone()
                .map_or(Verdict::Pass, |shortage| Verdict::Inconclusive(Reason::Budget(shortage))),
            (worst, None) => worst,
        }
    }

    /// Whether a quantile keeps its limit: it does exactly when that share of times does.
    fn keeps(
        &self,
        limit: Limit,
        tally: &Tally,
        trials: &Trials,
        demand: Demand,
    ) -> (Verdict, Option<Evidence>) {
        let mut tally = tally.clone();
        if tally.unknown > 0 {
            tally.why_unknown = Some(self.unknown(limit.of, tally.unknown));
        }
        let tally = self.with_unsent(tally);
        let verdict = trials.held(&tally, limit.quantile, demand);
        let times = self.of(limit.of);
        let seconds = |time: Option<Duration>| time.as_ref().map(Duration::as_secs_f64);
        let evidence = seconds(times.quantile(limit.quantile)).map(|estimate| {
            let (n, worth) = (times.len(), times.worth(limit.quantile, demand.confidence));
            let lower = seconds(times.lower(limit.quantile, demand.confidence));
            let upper = seconds(times.upper(limit.quantile, demand.confidence));
            let measure = format!("{}-quantile of the {}", limit.quantile, limit.of);
            let evidence = Evidence::new(measure, estimate, Unit::Seconds, Method::OrderStatistics)
                .between(lower, upper, demand.confidence)
                .against(limit.max.as_secs_f64());
            Evidence { n, effective: (worth < n).then_some(worth), unknown: tally.unknown, ..evidence }
        });
        (verdict, evidence)
    }

    /// Why nobody knows a quantity of so many answers.
    fn unknown(&self, of: Quantity, answers: u64) -> Reason {
        match of {
            Quantity::Tpot if self.counts.uncounted > 0 => {
                Reason::Uncounted { replies: self.counts.uncounted }
            }
            _ => Reason::Infra {
                what: format!("{answers} answers came as a whole, without a {of}; have them sent in parts"),
            },
        }
    }

    /// Why nobody knows of so many answers whether they kept every limit: for the first quantity that nobody knows.
    fn unmeasured(&self, answers: u64) -> Reason {
        let mut limits = self.limits.iter().filter(|(limit, _)| limit.of != Quantity::Itl);
        let (of, answers) = limits
            .find(|(_, tally)| tally.unknown > 0)
            .map_or((Quantity::Ttft, answers), |(limit, tally)| (limit.of, tally.unknown));
        self.unknown(of, answers)
    }

    /// `tally` with the requests that were due and whose end nobody knows.
    fn with_unsent(&self, mut tally: Tally) -> Tally {
        let Counts { dropped, unfinished, .. } = self.counts;
        tally.unknown += dropped + unfinished;
        if tally.unknown > 0 && tally.why_unknown.is_none() {
            tally.why_unknown = Some(match &self.short {
                Some(shortage) => Reason::Budget(shortage.clone()),
                None => Reason::Infra {
                    what: format!(
                        "{} requests were not sent or not waited for; lower the rate, or allow more in flight",
                        dropped + unfinished
                    ),
                },
            });
        }
        tally
    }

    fn rate_evidence(&self) -> Evidence {
        let asked = self.asked();
        let share = if asked > 0.0 { self.achieved() / asked } else { 0.0 };
        let measure = "share of the rate asked for that was sent";
        let evidence = Evidence::new(measure, share, Unit::Share, Method::Census).against(Self::LEAST_RATE);
        Evidence { n: self.counts.due, ..evidence }
    }
}

impl Trials {
    /// Whether the share of hits reaches `floor`, however what is unknown would have come out. `tally` is the same
    /// trials, counted, and why some are unknown.
    fn held(&self, tally: &Tally, floor: f64, demand: Demand) -> Verdict {
        let Demand { rule, confidence, .. } = demand;
        // The test is of trials in their order, and these end in another one.
        if matches!(rule, Rule::Sequential { .. }) {
            return Verdict::Inconclusive(Reason::NothingChecked);
        }
        let gate = Gate { floor, rule, confidence };
        let decide = |unknown| {
            let share = self.share(unknown, confidence)?;
            gate.decide_between(share.share, share.lower(confidence), share.upper(confidence))
        };
        Gate::settle(decide(Unknown::Misses), decide(Unknown::Hits), || {
            tally.why_unknown.clone().unwrap_or_else(|| self.too_few(floor, confidence))
        })
    }

    /// How many requests it takes if the others hit, and are worth as much as these.
    fn too_few(&self, floor: f64, confidence: f64) -> Reason {
        let needed = || {
            let share = self.share(Unknown::None, confidence)?;
            let misses = ((1.0 - share.share) * share.effective).ceil() as u64;
            let each = self.requests as f64 / share.effective.max(1.0);
            let need = (trials_needed(floor, confidence, misses)? as f64 * each).ceil() as u64;
            Some(Reason::TooFew { have: self.requests, need: need.max(self.requests + 1) })
        };
        needed().unwrap_or(Reason::NothingChecked)
    }

    fn evidence(&self, measure: &str, tally: &Tally, floor: f64, demand: Demand) -> Option<Evidence> {
        let confidence = demand.confidence;
        let share = self.share(Unknown::None, confidence)?;
        let worth = share.effective as u64;
        let effective = (worth < self.trials).then_some(worth);
        let method = if effective.is_some() { Method::KornGraubard } else { Method::ClopperPearson };
        let evidence = Evidence::new(measure, share.share, Unit::Share, method)
            .between(Some(share.lower(confidence)), Some(share.upper(confidence)), confidence)
            .against(floor)
            .of(tally);
        let gate = Gate { floor, rule: demand.rule, confidence };
        Some(Evidence { effective, detectable: gate.detectable(worth), ..evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pace, Reply,
        load::{
            Arrivals, Plan, Profile,
            book::{Book, Flown},
        },
    };

    const DEMAND: Demand = Demand { max_errors: 0.5, goodput: 0.5, rule: Rule::Bound, confidence: 0.95 };

    fn book(limit: Limit) -> Book {
        let profile = Profile::steady(Arrivals::Constant, 1.0, Duration::from_secs(3_600));
        Book::new(&Plan::new(profile, 0).warmup(Duration::ZERO).limits([limit]))
    }

    /// The answer number `number`, due at `due`, after `took`.
    fn answer(book: &mut Book, number: u64, due: Duration, took: Duration, pace: Option<Pace>) {
        book.due(due, true);
        let reply = Reply { latency: took, pace, ..Reply::text("Hello.") };
        book.flown(Flown { number, due, started: due, ended: due + took, outcome: Ok(reply) });
    }

    fn pace(gaps: Vec<Duration>) -> Option<Pace> {
        Some(Pace { gaps, ..Pace::default() })
    }

    /// What the limit comes to, and the evidence for it.
    fn verdict(book: Book) -> (Verdict, Vec<Evidence>) {
        let measured = book.measured;
        let (limit, tally) = &measured.limits[0];
        let (verdict, evidence) = measured.keeps(*limit, tally, &measured.trials.limits[0], DEMAND);
        (verdict, evidence.into_iter().collect())
    }

    /// How often a limit that is kept to the last bit, which neither should pass nor fail, does: no more often than in one
    /// of twenty, and three standard errors.
    fn holds(what: &str, runs: u32, mut once: impl FnMut(&mut fastrand::Rng) -> Book) {
        let seed = 7;
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut passed, mut failed) = (0_u32, 0_u32);
        for _ in 0..runs {
            match verdict(once(&mut random)).0 {
                Verdict::Pass => passed += 1,
                Verdict::Fail => failed += 1,
                Verdict::Inconclusive(_) => {}
            }
        }
        let most = f64::from(runs) * 0.05 + 3.0 * (f64::from(runs) * 0.05 * 0.95).sqrt();
        let worst = f64::from(passed.max(failed));
        assert!(worst <= most, "{what}, seed {seed}: {passed} passed and {failed} failed of {runs}");
    }

    /// One answer in four is slow at a fifth of its gaps, so that one gap in twenty is.
    #[test]
    fn gaps_of_one_answer_are_one_piece_of_evidence() {
        let limit = Limit { of: Quantity::Itl, quantile: 0.95, max: Duration::from_millis(50) };
        holds("gaps", 600, |random| {
            let mut book = book(limit);
            for number in 0..200 {
                let slow = if random.f64() < 0.25 { 0.2 } else { 0.0 };
                let gap = |_| Duration::from_millis(if random.f64() < slow { 100 } else { 20 });
                let gaps = (0..40).map(gap).collect();
                answer(
                    &mut book,
                    number,
                    Duration::from_millis(number * 100),
                    Duration::from_secs(1),
                    pace(gaps),
                );
            }
            book
        });
    }

    /// Four requests a second for five minutes, of a server that stands still for a second now and then, a twentieth of the time.
    #[test]
    fn requests_of_one_freeze_are_not_independent() {
        let limit = Limit::latency(0.95, Duration::from_millis(500));
        holds("freezes", 600, |random| {
            let mut book = book(limit);
            // It goes on standing still with a chance of 3/4, and begins so often that the share is 1/20.
            let mut frozen = random.f64() < 0.05;
            for number in 0..1_200 {
                let chance = random.f64();
                frozen = if frozen { chance < 0.75 } else { chance < 0.25 / 19.0 };
                let took = Duration::from_millis(if frozen { 900 } else { 100 });
                answer(&mut book, number, Duration::from_millis(number * 250), took, None);
            }
            book
        });
    }

    /// Bounds do not become so wide that nothing is ever found.
    #[test]
    fn what_is_kept_with_room_passes_and_what_is_broken_fails() {
        let limit = Limit { of: Quantity::Itl, quantile: 0.95, max: Duration::from_millis(50) };
        let drawn = |slow: f64| {
            let mut random = fastrand::Rng::with_seed(3);
            let mut book = book(limit);
            for number in 0..400 {
                let slow = if random.f64() < 0.25 { 4.0 * slow } else { 0.0 };
                let gap = |_| Duration::from_millis(if random.f64() < slow { 100 } else { 20 });
                let gaps = (0..40).map(gap).collect();
                answer(
                    &mut book,
                    number,
                    Duration::from_millis(number * 100),
                    Duration::from_secs(1),
                    pace(gaps),
                );
            }
            verdict(book)
        };
        let (passed, evidence) = drawn(0.02);
        assert_eq!((passed, drawn(0.12).0), (Verdict::Pass, Verdict::Fail));
        let evidence = &evidence[0];
        assert_eq!(evidence.n, 16_000);
        assert!(evidence.effective.is_some_and(|worth| (50..16_000).contains(&worth)), "{evidence}");
    }

    #[test]
    fn an_answer_of_unknown_gaps_weighs_as_any_other() {
        let limit = Limit { of: Quantity::Itl, quantile: 0.95, max: Duration::from_millis(50) };
        let mut book = book(limit);
        for number in 0..110 {
            // One in eleven comes as a whole; by its gaps it would be one of three hundred.
            let gaps = if number % 11 == 0 { None } else { pace(vec![Duration::from_millis(20); 30]) };
            answer(&mut book, number, Duration::from_secs(number), Duration::from_secs(1), gaps);
        }
        let (verdict, _) = verdict(book);
        assert!(matches!(verdict, Verdict::Inconclusive(Reason::Infra { .. })), "{verdict:?}");
    }

    #[test]
    fn few_answers_of_many_gaps_are_few() {
        let limit = Limit { of: Quantity::Itl, quantile: 0.95, max: Duration::from_millis(50) };
        let judged = |answers| {
            let mut book = book(limit);
            for number in 0..answers {
                let gaps = pace(vec![Duration::from_millis(20); 100]);
                answer(&mut book, number, Duration::from_secs(number), Duration::from_secs(3), gaps);
            }
            verdict(book).0
        };
        assert_eq!(judged(10), Verdict::Inconclusive(Reason::TooFew { have: 10, need: 59 }));
        assert_eq!((judged(58) == Verdict::Pass, judged(59)), (false, Verdict::Pass));
    }
}
