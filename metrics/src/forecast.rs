//! How long a comparison will take, before it begins.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    Better, Comparison, Criterion, InvalidCriterion, Judge, Method, Metric, Observation, Pair, Rule, Verdict,
    Window, chance::binomial, judge::GRID,
};

/// What a rollout would be like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "written as a literal")]
pub struct Scenario {
    /// The baseline's share of bad requests, in (0, 1): its error rate.
    pub rate: f64,
    /// The regression to be seen: the candidate's odds of a hit in units of the baseline's; above what the
    /// comparison tolerates.
    pub odds_ratio: f64,
    /// The candidate's share of requests, in (0, 1).
    pub weight: f64,
    /// Requests in a window, both sides together; at least 1.
    pub requests: u64,
}

/// How the time to a decision is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "written as a literal")]
pub struct Simulation {
    /// Rollouts that are simulated; default 400.
    pub runs: u32,
    /// Windows after which a simulated rollout ends undecided; default 200.
    pub horizon: u32,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// How long a comparison will take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Forecast {
    /// Hits on both sides together that evidence for the regression takes, about:
    /// `(ln 1/α + ln 8) / KL(θ_r ‖ θ_t)`, where `θ_r = r·w / (r·w + 1 − w)` is the candidate's share of hits at odds
    /// ratio `r` and weight `w`, `t` the tolerated odds ratio, and 8 the number of alternatives. It is that of the
    /// conditional method.
    pub hits: f64,
    /// Requests on both sides that have so many hits.
    pub requests: f64,
    /// Windows that have so many requests.
    pub windows: f64,
    /// A candidate with the regression.
    pub regression: Outlook,
    /// A candidate that is the same as the baseline.
    pub same: Outlook,
    /// What was simulated.
    pub simulation: Simulation,
}

/// What became of simulated rollouts, each looked at after every window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Outlook {
    /// Those that failed.
    pub fail: Decided,
    /// Those that passed, failures after it aside.
    pub pass: Decided,
}

/// How many simulated rollouts were decided in one way, and after how many windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Decided {
    /// Their share of all.
    pub share: f64,
    /// Windows until half of all were; `None` beyond the horizon.
    pub median: Option<u32>,
    /// Windows until nine tenths of all were; `None` beyond the horizon.
    pub p90: Option<u32>,
}

/// A scenario that cannot be simulated. Mend the field that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScenario {
    /// The comparison does not hold up.
    #[error("the comparison cannot be planned for")]
    Comparison(#[from] InvalidCriterion),
    /// A field is out of its range.
    #[error("{0}")]
    Field(String),
}

impl Default for Simulation {
    fn default() -> Self {
        Self { runs: 400, horizon: 200, seed: 0 }
    }
}

/// How many windows and requests it takes to see the regression of `scenario`, by a formula and by simulation,
/// and how long a candidate that is the same takes to pass.
///
/// Latency is planned for by its share of requests beyond one edge: `rate` is the baseline's.
///
/// # Errors
///
/// Names what is out of its range.
pub fn plan(
    comparison: &Comparison,
    scenario: &Scenario,
    simulation: Simulation,
) -> Result<Forecast, InvalidScenario> {
    scenario.check(comparison)?;
    let windows = u64::from(simulation.runs) * u64::from(simulation.horizon);
    if !(1..=10_000_000).contains(&windows) {
        let problem = "runs times horizon must lie between 1 and 10000000".to_owned();
        return Err(InvalidScenario::Field(problem));
    }
    let criterion = Criterion::new(Metric::errors(), Rule::Compare(*comparison));
    criterion.check()?;
    let hits = scenario.hits_needed(comparison);
    let share = scenario.weight * scenario.candidate_rate(scenario.odds_ratio)
        + (1.0 - scenario.weight) * scenario.rate;
    let requests = hits / share;
    Ok(Forecast {
        hits,
        requests,
        windows: requests / scenario.requests as f64,
        regression: scenario.simulate(&criterion, scenario.odds_ratio, simulation)?,
        same: scenario.simulate(&criterion, 1.0, simulation)?,
        simulation,
    })
}

impl Scenario {
    fn check(&self, comparison: &Comparison) -> Result<(), InvalidScenario> {
        let inside = |share: f64| share > 0.0 && share < 1.0;
        let Self { rate, odds_ratio, weight, requests } = *self;
        let problem = if !inside(rate) {
            format!("rate is {rate}, not between 0 and 1")
        } else if !inside(weight) {
            format!("weight is {weight}, not between 0 and 1")
        } else if !(odds_ratio > comparison.tolerated && odds_ratio <= 1e6) {
            format!(
                "oddsRatio is {odds_ratio}, but {} is tolerated; name a regression above it",
                comparison.tolerated
            )
        } else if !(1..=1_000_000_000).contains(&requests) {
            format!("requests is {requests}, not between 1 and 1000000000")
        } else if comparison.method == Method::Symmetric && weight != 0.5 {
            format!("weight is {weight}, but the symmetric method takes sides of equal size; plan with 0.5")
        } else {
            return Ok(());
        };
        Err(InvalidScenario::Field(problem))
    }

    fn candidate_rate(&self, odds_ratio: f64) -> f64 {
        self.rate * odds_ratio / (1.0 - self.rate + self.rate * odds_ratio)
    }

    fn hits_needed(&self, comparison: &Comparison) -> f64 {
        let share = |ratio: f64| ratio * self.weight / (ratio * self.weight + 1.0 - self.weight);
        let (there, null) = (share(self.odds_ratio), share(comparison.tolerated));
        let divergence = there * (there / null).ln() + (1.0 - there) * ((1.0 - there) / (1.0 - null)).ln();
        comparison.dispersion * (-comparison.alpha.ln() + (GRID.len() as f64).ln()) / divergence
    }

    fn simulate(
        &self,
        criterion: &Criterion,
        odds_ratio: f64,
        simulation: Simulation,
    ) -> Result<Outlook, InvalidScenario> {
        let Simulation { runs, horizon, seed } = simulation;
        let rate = self.candidate_rate(odds_ratio);
        let of_candidate = (self.requests as f64 * self.weight).round() as u64;
        let good_hits = matches!(criterion.rule, Rule::Compare(Comparison { better: Better::Higher, .. }));
        let (mut failed, mut passed) = (Vec::new(), Vec::new());
        let mut seeds = fastrand::Rng::with_seed(seed);
        for _ in 0..runs {
            let mut chance = seeds.fork();
            let mut judge = Judge::new(criterion.clone())?;
            let mut has_passed = false;
            for number in 1..=horizon {
                let sides = [(of_candidate, rate), (self.requests - of_candidate, self.rate)];
                let [candidate, baseline] = sides
                    .map(|(trials, rate)| {
                        let bad = binomial(&mut chance, trials, rate);
                        let hits = if good_hits { trials - bad } else { bad };
                        Observation::Proportion { hits, trials }
                    })
                    .map(Into::into);
                judge.take(window(number), &Pair::new(candidate, Some(baseline)));
                let verdict = judge.verdict();
                if verdict == Verdict::Pass && !has_passed {
                    passed.push(number);
                    has_passed = true;
                }
                if verdict == Verdict::Fail {
                    failed.push(number);
                    break;
                }
            }
        }
        Ok(Outlook { fail: Decided::of(failed, runs), pass: Decided::of(passed, runs) })
    }
}

impl Decided {
    fn of(mut after: Vec<u32>, runs: u32) -> Self {
        after.sort_unstable();
        let by = |share: f64| after.get((share * f64::from(runs)).ceil() as usize - 1).copied();
        Self { share: after.len() as f64 / f64::from(runs), median: by(0.5), p90: by(0.9) }
    }
}

/// Simulated windows follow each other; when they are has no part in it.
fn window(number: u32) -> Window {
    let second = |number: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(number.into());
    Window::new(second(number), second(number + 1)).expect("a second after 1970 starts before it ends")
}
