//! What a comparison would have said of versions that were the same.

use serde::{Deserialize, Serialize};

use crate::{
    Comparison, Criterion, Evidence, InvalidCriterion, Judge, Measurement, Method, Metric, Observation, Pair,
    Rule, Table, Verdict, Window, statistics::bernoulli_interval,
};

/// What a comparison says of a history in which both sides were the same version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Calibration {
    /// Windows of the history with counts on both sides.
    pub windows: u64,
    /// What the comparison did as it is.
    pub as_is: FalseAlarms,
    /// By how much counts vary more than those of independent requests.
    pub dispersion: Dispersion,
    /// The dispersion to judge by.
    pub recommended: f64,
    /// What the comparison does with the recommended dispersion, on the history that it comes from.
    pub with_recommended: FalseAlarms,
    /// What the symmetric method does, where the sides are of equal size.
    pub symmetric: Option<FalseAlarms>,
}

/// How often the same version was failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FalseAlarms {
    /// Rollouts that were replayed, one from each window of the history on; they overlap.
    pub rollouts: u64,
    /// The share of them that failed.
    pub share: f64,
    /// Rollouts that fit into the history side by side: as much as it really shows.
    pub independent: u64,
    /// Between what bounds the true share lies with 95 % confidence, by the independent ones.
    pub interval: (f64, f64),
}

/// The variance of hits in units of that of independent requests (Pearson).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Dispersion {
    /// Of the candidate's share of a window's hits, given all of them: what a comparison stumbles over. Drift that
    /// both sides share has no part in it.
    pub between: f64,
    /// Of the candidate's hits around their mean, drift included.
    pub candidate: f64,
    /// Of the baseline's hits around their mean, drift included.
    pub baseline: f64,
}

/// A history that shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotCalibrate {
    /// The comparison does not hold up.
    #[error("the comparison cannot be calibrated")]
    Comparison(#[from] InvalidCriterion),
    /// There are too few windows.
    #[error(
        "the history has {have} windows with counts of both sides; it takes {need}, a rollout's length twice"
    )]
    TooShort {
        /// So many there are.
        have: u64,
        /// So many it takes.
        need: u64,
    },
}

/// Replays `history`, in which both sides ran the same version, as rollouts of `length` windows, and says how often
/// `comparison` failed it, how much more its counts vary than those of independent requests, and by which dispersion
/// to judge.
///
/// # Errors
///
/// The comparison is invalid, or the history shorter than two rollouts.
pub fn calibrate(
    comparison: &Comparison,
    history: &Evidence,
    length: u32,
) -> Result<Calibration, CannotCalibrate> {
    let windows: Vec<_> = history.windows().filter(|(_, pair)| counts(pair).is_some()).collect();
    let length = length.max(1) as usize;
    if windows.len() < 2 * length {
        return Err(CannotCalibrate::TooShort { have: windows.len() as u64, need: 2 * length as u64 });
    }
    let dispersion = Dispersion::of(&windows);
    let plain = Comparison { method: Method::Conditional, dispersion: 1.0, ..*comparison };
    let recommended = dispersion.between.clamp(1.0, 1e6);
    let symmetric = Comparison { method: Method::Symmetric, tolerated: 1.0, ..plain };
    let tables = || windows.iter().filter_map(|(_, pair)| counts(pair));
    let is_even = {
        let all =
            tables().fold((0, 0), |sum, table| (sum.0 + table.candidate().1, sum.1 + table.baseline().1));
        super::judge::is_even(all.0, all.1)
            && tables().all(|table| super::judge::is_even(table.candidate().1, table.baseline().1))
    };
    Ok(Calibration {
        windows: windows.len() as u64,
        as_is: replay(*comparison, &windows, length)?,
        dispersion,
        recommended,
        with_recommended: replay(Comparison { dispersion: recommended, ..plain }, &windows, length)?,
        symmetric: if is_even { Some(replay(symmetric, &windows, length)?) } else { None },
    })
}

type Windows<'a> = [(&'a Window, &'a Pair)];

fn replay(
    comparison: Comparison,
    windows: &Windows<'_>,
    length: usize,
) -> Result<FalseAlarms, InvalidCriterion> {
    let criterion = Criterion::new(Metric::errors(), Rule::Compare(comparison));
    criterion.check()?;
    let starts = windows.windows(length);
    let rollouts = starts.len() as u64;
    let mut failed = 0_u64;
    for rollout in starts {
        let mut judge = Judge::new(criterion.clone())?;
        let fails = rollout.iter().any(|(window, pair)| {
            judge.take(**window, pair);
            judge.verdict() == Verdict::Fail
        });
        failed += u64::from(fails);
    }
    let independent = (windows.len() / length) as u64;
    let share = failed as f64 / rollouts as f64;
    let alarms = (share * independent as f64).round() as u64;
    let interval = bernoulli_interval(alarms, independent, 0.05, independent as f64);
    Ok(FalseAlarms { rollouts, share, independent, interval })
}

impl Dispersion {
    fn of(windows: &Windows<'_>) -> Self {
        let tables: Vec<Table> = windows.iter().filter_map(|(_, pair)| counts(pair)).collect();
        let around_mean = |side: fn(&Table) -> (u64, u64)| {
            let (hits, trials) =
                tables.iter().map(side).fold((0, 0), |(x, n), (hits, trials)| (x + hits, n + trials));
            let rate = hits as f64 / trials as f64;
            let squares = tables.iter().map(side).filter(|(_, trials)| *trials > 0).map(|(hits, trials)| {
                let (hits, trials) = (hits as f64, trials as f64);
                (hits - trials * rate).powi(2) / (trials * rate * (1.0 - rate))
            });
            mean(squares)
        };
        let between = tables.iter().filter_map(|table| {
            let (expected, variance) = table.central()?;
            Some((table.candidate().0 as f64 - expected).powi(2) / variance)
        });
        Self {
            between: mean(between),
            candidate: around_mean(|table| table.candidate()),
            baseline: around_mean(|table| table.baseline()),
        }
    }
}

/// 1 of nothing, and where nothing varies.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|value| value.is_finite())
        .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 1.0 }
}

/// The counts of both sides, strata added up.
fn counts(pair: &Pair) -> Option<Table> {
    let side = |measurement: &Measurement| match &*measurement.observed()?.overall() {
        Observation::Proportion { hits, trials } => Some((*hits, *trials)),
        _ => None,
    };
    Table::new(side(&pair.candidate)?, side(pair.baseline.as_ref()?)?)
}
