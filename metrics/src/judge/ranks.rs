//! Candidate against baseline by the ranks of their values, at looks that are fixed in advance.

use serde::{Deserialize, Serialize};

use super::{
    Better, Seen, Standing, Tally, Test,
    comparison::sides,
    criterion::{Problems, five_percent, inside},
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
};
use crate::{
    Observation, Pair, Verdict, Window,
    statistics::{hodges_lehmann, mann_whitney, obrien_fleming, pocock, shift_interval},
};

/// Whether the candidate's values tend to be worse than the baseline's, by the Mann–Whitney test.
///
/// Unlike the other rules it may not be looked at whenever one likes: it decides at its declared looks, after
/// [`windows`](Self::windows), twice as many, and so on, and says nothing in between. Fails on evidence that the
/// candidate's values are worse, passes on evidence that they are worse by less than [`margin`](Self::margin).
///
/// Values must be independent of each other. Points a minute apart of one gauge are not: at one look the test
/// then fails 24 % (autocorrelation 0.5) or 53 % (0.8) of identical versions in place of 5 %. Judge single
/// requests, or use [`Rule::Compare`](crate::Rule::Compare).
///
/// H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18(1), 1947; S. J. Pocock, Biometrika 64(2),
/// 1977; P. C. O'Brien and T. R. Fleming, Biometrics 35(3), 1979.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct RankComparison {
    /// The chance of failing a candidate that is no worse, over all looks together; in (0, 0.5), default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub alpha: f64,
    /// The chance of passing a candidate that is worse by the margin, over all looks together; in (0, 0.5),
    /// default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub beta: f64,
    /// Windows before the first look, and between looks; default 30.
    pub windows: u32,
    /// How many looks there are; default 1, at most 50.
    pub looks: u32,
    /// How the chance of error is spent over several looks; default O'Brien and Fleming's.
    pub boundary: Boundary,
    /// How much worse the candidate may be for a pass, as a share of the baseline's median; positive, default
    /// 0.25.
    pub margin: f64,
    /// Which way is better; default lower.
    pub better: Better,
}

/// How the chance of error is spent over several looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Boundary {
    /// Little at first: the last look is nearly that of a single test.
    #[default]
    ObrienFleming,
    /// Evenly.
    Pocock,
}

impl Default for RankComparison {
    fn default() -> Self {
        Self {
            alpha: five_percent(),
            beta: five_percent(),
            windows: 30,
            looks: 1,
            boundary: Boundary::default(),
            margin: 0.25,
            better: Better::default(),
        }
    }
}

impl RankComparison {
    const MOST_LOOKS: u32 = 50;

    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { alpha, beta, windows, looks, margin, .. } = *self;
        for (name, chance) in [("alpha", alpha), ("beta", beta)] {
            problems.unless(inside(2.0 * chance), format!("{name} is {chance}, not between 0 and 0.5"));
        }
        problems.unless(
            windows > 0,
            "windows is 0, so that there is nothing to look at; take at least 1".to_owned(),
        );
        problems.unless(
            (1..=Self::MOST_LOOKS).contains(&looks),
            format!("looks is {looks}, not from 1 to {}", Self::MOST_LOOKS),
        );
        problems.unless(
            margin.is_finite() && margin > 0.0,
            format!("margin is {margin}, not a positive share of the baseline's median"),
        );
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        Box::new(Ranking {
            rule: self,
            seen: 0,
            candidate: Vec::new(),
            baseline: Vec::new(),
            fail: self.boundaries(self.alpha),
            pass: self.boundaries(self.beta),
            verdict: Verdict::Inconclusive,
            last: None,
        })
    }

    /// What |z| must exceed at each look. The boundaries are of two-sided tests, of which one side has half the
    /// chance at most.
    fn boundaries(&self, chance: f64) -> Vec<f64> {
        let bounds = match self.boundary {
            Boundary::ObrienFleming => obrien_fleming(self.looks, 2.0 * chance),
            Boundary::Pocock => pocock(self.looks, 2.0 * chance).map(|z| vec![z; self.looks as usize]),
        };
        bounds.unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
struct Ranking {
    rule: RankComparison,
    seen: u32,
    candidate: Vec<f64>,
    baseline: Vec<f64>,
    fail: Vec<f64>,
    pass: Vec<f64>,
    verdict: Verdict,
    last: Option<Look>,
}

/// What the last look showed.
#[derive(Clone, Debug, Default)]
struct Look {
    number: u32,
    p: f64,
    common_language: f64,
    shift: f64,
    interval: Option<(f64, f64)>,
}

impl Ranking {
    fn look(&mut self, number: u32) {
        let place = number as usize - 1;
        let (Some(fail), Some(pass)) = (self.fail.get(place), self.pass.get(place)) else { return };
        let Some(test) = mann_whitney(&self.candidate, &self.baseline) else { return };
        let worse = match self.rule.better {
            Better::Higher => -1.0,
            Better::Lower => 1.0,
        };
        let allowed = worse * self.rule.margin * median(&self.baseline).abs();
        let moved: Vec<f64> = self.candidate.iter().map(|value| value - allowed).collect();
        let within = mann_whitney(&moved, &self.baseline).map_or(0.0, |test| -worse * test.z);
        if self.verdict == Verdict::Inconclusive {
            if worse * test.z > *fail {
                self.verdict = Verdict::Fail;
            } else if within > *pass {
                self.verdict = Verdict::Pass;
            }
        }
        self.last = Some(Look {
            number,
            p: match self.rule.better {
                Better::Higher => {
                    mann_whitney(&self.baseline, &self.candidate).map_or(1.0, |test| test.p_greater)
                }
                Better::Lower => test.p_greater,
            },
            common_language: test.common_language,
            shift: hodges_lehmann(&self.candidate, &self.baseline).unwrap_or(0.0),
            interval: shift_interval(&self.candidate, &self.baseline, 1.0 - 2.0 * self.rule.alpha),
        });
    }
}

impl Test for Ranking {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let (candidate, baseline) = match sides(pair) {
            Ok((candidate, baseline)) => (candidate.overall(), baseline.overall()),
            Err(seen) => return seen,
        };
        let (Observation::Values(candidate), Observation::Values(baseline)) = (&*candidate, &*baseline)
        else {
            return Seen::Unusable(format!("ranks are of values, not of {candidate} and {baseline}"));
        };
        let last = self.rule.windows.saturating_mul(self.rule.looks);
        if self.seen < last {
            self.seen += 1;
            self.candidate.extend_from_slice(candidate);
            self.baseline.extend_from_slice(baseline);
            if self.seen.is_multiple_of(self.rule.windows) {
                self.look(self.seen / self.rule.windows);
            }
        }
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn standing(&self) -> Standing {
        let RankComparison { windows, looks, .. } = self.rule;
        let tally = |values: &[f64]| Tally { hits: 0, trials: values.len() as u64 };
        let done = self.last.as_ref().map_or(0, |look| look.number);
        let next = windows.saturating_mul(done + 1);
        let reason = match &self.last {
            Some(look) => format!(
                "at look {} of {looks} a value of the candidate exceeds one of the baseline {:.1} % of the time",
                look.number,
                100.0 * look.common_language
            ),
            None => format!("window {} of the {next} before the first look", self.seen),
        };
        Standing {
            verdict: self.verdict,
            reason: Some(reason),
            p: self.last.as_ref().map(|look| look.p),
            candidate: tally(&self.candidate),
            baseline: Some(tally(&self.baseline)),
            effect: self.last.as_ref().map(|look| Effect {
                measure: Measure::Shift,
                estimate: Some(look.shift),
                lower: look.interval.map(|(lower, _)| lower),
                upper: look.interval.map(|(_, upper)| upper),
            }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.small(&mut self.seen)?;
        tape.list(&mut self.candidate, || 0.0, Tape::float)?;
        tape.list(&mut self.baseline, || 0.0, Tape::float)?;
        tape.verdict(&mut self.verdict)?;
        tape.option(&mut self.last, Look::default, |tape, look| {
            tape.small(&mut look.number)?;
            tape.floats([&mut look.p, &mut look.common_language, &mut look.shift])?;
            tape.option(&mut look.interval, Default::default, |tape, (lower, upper)| {
                tape.floats([lower, upper])
            })
        })?;
        let possible = self.last.as_ref().is_none_or(|look| look.number <= self.rule.looks);
        possible.then_some(())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}
