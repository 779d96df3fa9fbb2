//! From what was measured to a verdict.

use std::time::Duration;

use super::{Counts, Limit, Measured, Quantity};
use crate::{Evidence, Gate, Method, Reason, Rule, Tally, Unit, Verdict};

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
        for (limit, tally) in &self.limits {
            let (verdict, found) = self.keeps(*limit, tally, demand);
            verdicts.push(verdict);
            evidence.extend(found);
        }
        let shares = [
            ("share of requests answered", 1.0 - demand.max_errors, answered, failed),
            (
                "share of requests answered within every limit",
                demand.goodput,
                self.counts.good,
                answered + failed - self.counts.good,
            ),
        ];
        for (measure, floor, hits, misses) in shares {
            let tally = self.with_unsent(Tally { hits, misses, ..Tally::default() });
            let gate = Gate { floor, rule: demand.rule, confidence: demand.confidence };
            let (verdict, found) = gate.judge(measure, &tally);
            verdicts.push(verdict);
            evidence.extend(found);
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
    fn keeps(&self, limit: Limit, tally: &Tally, demand: Demand) -> (Verdict, Option<Evidence>) {
        let mut tally = tally.clone();
        if tally.unknown > 0 {
            tally.why_unknown = Some(match limit.of {
                Quantity::Tpot if self.counts.uncounted > 0 => {
                    Reason::Uncounted { replies: self.counts.uncounted }
                }
                _ => Reason::Infra {
                    what: format!(
                        "{} answers came as a whole, without a {}; have them sent in parts",
                        tally.unknown, limit.of
                    ),
                },
            });
        }
        let tally = self.with_unsent(tally);
        let gate = Gate { floor: limit.quantile, rule: demand.rule, confidence: demand.confidence };
        let (verdict, _) = gate.judge("", &tally);
        let times = self.of(limit.of);
        let seconds = |time: Option<Duration>| time.as_ref().map(Duration::as_secs_f64);
        let evidence = seconds(times.quantile(limit.quantile)).map(|estimate| Evidence {
            measure: format!("{}-quantile of the {}", limit.quantile, limit.of),
            estimate,
            lower: seconds(times.lower(limit.quantile, demand.confidence)),
            upper: seconds(times.upper(limit.quantile, demand.confidence)),
            p: None,
            confidence: demand.confidence,
            threshold: limit.max.as_secs_f64(),
            detectable: None,
            method: Method::OrderStatistics,
            n: times.len(),
            unknown: tally.unknown,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Seconds,
        });
        (verdict, evidence)
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
        Evidence {
            measure: "share of the rate asked for that was sent".to_owned(),
            estimate: if asked > 0.0 { self.achieved() / asked } else { 0.0 },
            lower: None,
            upper: None,
            p: None,
            confidence: 1.0,
            threshold: Self::LEAST_RATE,
            detectable: None,
            method: Method::Census,
            n: self.counts.due,
            unknown: 0,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Share,
        }
    }
}
