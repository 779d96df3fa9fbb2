//! One judge for each metric.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate::metrics::{
    Criterion, Judge, Judgement, Measurement, Metric, Missing, Tally, Verdict,
    plot::{self, TimeAxis},
};

use super::{criteria::Criteria, lines::Place, observed::Observed, windows::Windows};
use crate::{failure::Failure, words::plain};

/// One judge for each metric, and the windows that it has seen.
#[derive(Debug)]
pub(crate) struct Court {
    criteria: Criteria,
    cases: BTreeMap<Metric, Case>,
}

#[derive(Debug)]
struct Case {
    judge: Judge,
    windows: Windows,
}

/// What is said after a window.
#[derive(Serialize)]
struct Said<'a> {
    end: &'a RawValue,
    metric: &'a Metric,
    verdict: Verdict,
    log_e_fail: f64,
    log_e_pass: f64,
    p: Option<f64>,
    effect: Option<f64>,
    interval: [Option<f64>; 2],
    n: Sides,
    x: Sides,
    why: String,
}

#[derive(Serialize)]
struct Sides {
    candidate: u64,
    baseline: Option<u64>,
}

impl Court {
    pub(crate) fn new(criteria: Criteria) -> Result<Self, Failure> {
        // What is required and never observed has not passed.
        let listed = match &criteria {
            Criteria::Each(_) => [].as_slice(),
            Criteria::Listed(listed) => listed,
        };
        let cases =
            listed.iter().map(|criterion| Ok((criterion.metric.clone(), Case::new(criterion.clone())?)));
        let cases = cases.collect::<Result<_, String>>().map_err(Failure::Misused)?;
        Ok(Self { criteria, cases })
    }

    /// Takes a window in, or says `false` if it is known already.
    pub(crate) fn take(&mut self, mut observed: Observed) -> Result<(bool, Observed), Failure> {
        let case = self.case(&observed.metric, &observed.place)?;
        let pair = &mut observed.pair;
        if case.judge.criterion().needs_baseline() && pair.baseline.is_none() {
            pair.baseline = Some(Measurement::Missing(Missing::NoData));
        }
        let is_new = case.windows.add(&observed)?;
        if is_new && !case.judge.take(observed.window, &observed.pair) {
            case.begin_anew().map_err(Failure::Misused)?;
        }
        Ok((is_new, observed))
    }

    /// What is said after a window that was taken in, as a line for people or machines.
    pub(crate) fn line(&self, observed: &Observed, json: bool) -> String {
        let case = &self.cases[&observed.metric];
        let judgement = case.judge.judgement();
        if !json {
            return plain(&format!("{}  {judgement}", observed.ended()));
        }
        let point = case.judge.point();
        let sides = |of: fn(Tally) -> u64| Sides {
            candidate: of(judgement.candidate),
            baseline: judgement.baseline.map(of),
        };
        let said = Said {
            end: &observed.end,
            metric: &observed.metric,
            verdict: judgement.verdict,
            log_e_fail: point.map_or(0.0, |point| point.fail),
            log_e_pass: point.map_or(0.0, |point| point.pass),
            p: judgement.p,
            effect: judgement.effect.and_then(|effect| effect.estimate),
            interval: judgement.effect.map_or([None; 2], |effect| [effect.lower, effect.upper]),
            n: sides(|tally| tally.trials),
            x: sides(|tally| tally.hits),
            why: judgement.explain(),
        };
        serde_json::to_string(&said).expect("numbers and texts are written as JSON")
    }

    /// What all windows of all metrics say.
    pub(crate) fn judgements(&self) -> Vec<Judgement> {
        self.cases.values().map(|case| case.judge.judgement()).collect()
    }

    /// Evidence and confidence of every metric over time, as an SVG file; nothing before the first window.
    pub(crate) fn picture(&self) -> Option<String> {
        let evidence: Vec<_> = self.cases.values().map(|case| case.windows.evidence()).collect();
        let time = TimeAxis::of(&evidence)?;
        let judged = self.cases.values().zip(&evidence);
        let pictures: Vec<_> =
            judged.map(|(case, evidence)| plot::judged(case.judge.criterion(), evidence, time)).collect();
        Some(plot::standalone("What the windows say", &pictures))
    }

    fn case(&mut self, metric: &Metric, place: &Place) -> Result<&mut Case, Failure> {
        if !self.cases.contains_key(metric) {
            let unknown = || {
                let known: Vec<_> = self.cases.keys().map(Metric::as_str).collect();
                let known = known.join(", ");
                place.wrong(format!(
                    "is of {metric}, for which there is no criterion; there is one for {known}"
                ))
            };
            let criterion = self.criteria.of(metric).ok_or_else(unknown)?;
            let case = Case::new(criterion).map_err(|why| place.wrong(format!("cannot be judged: {why}")))?;
            self.cases.insert(metric.clone(), case);
        }
        Ok(self.cases.get_mut(metric).expect("it is there now"))
    }
}

impl Case {
    fn new(criterion: Criterion) -> Result<Self, String> {
        let judge = Judge::new(criterion).map_err(|invalid| invalid.to_string())?;
        Ok(Self { judge, windows: Windows::default() })
    }

    /// Judges all windows again, in their order: one came late.
    fn begin_anew(&mut self) -> Result<(), String> {
        let criterion = self.judge.criterion().clone();
        self.judge = Judge::new(criterion).map_err(|invalid| invalid.to_string())?;
        for (window, pair) in self.windows.iter() {
            self.judge.take(window, pair);
        }
        Ok(())
    }
}
