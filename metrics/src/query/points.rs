//! Numbers over time, and the observations in them.

use std::time::SystemTime;

use super::Query;
use crate::{Missing, Observation, Window};

/// Numbers over time, as a server gave them: in any order, and whatever a float can be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    points: Vec<(SystemTime, f64)>,
}

impl Points {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self { points: Vec::new() }
    }

    /// One number for all of `window`.
    #[must_use]
    pub fn of(window: Window, value: f64) -> Self {
        Self { points: vec![(window.end(), value)] }
    }

    /// Those that lie in `window`, ascending by time.
    fn inside(&self, window: Window) -> Vec<f64> {
        let mut inside: Vec<_> = self.points.iter().filter(|(at, _)| window.contains(*at)).collect();
        inside.sort_by_key(|(at, _)| *at);
        inside.into_iter().map(|(_, value)| *value).collect()
    }

    /// What is missing, where nothing lies in `window`.
    fn missing(&self, window: Window) -> Missing {
        let before = self.points.iter().map(|(at, _)| *at).filter(|at| *at <= window.start()).max();
        match before.and_then(|newest| window.end().duration_since(newest).ok()) {
            Some(age) => Missing::Stale { age },
            None => Missing::NoData,
        }
    }
}

/// Each number holds for the time up to and including its own.
impl FromIterator<(SystemTime, f64)> for Points {
    fn from_iter<I: IntoIterator<Item = (SystemTime, f64)>>(points: I) -> Self {
        Self { points: points.into_iter().collect() }
    }
}

/// Why numbers are no observation: the reason for its absence, or what is wrong with the query.
#[derive(Debug)]
pub(super) enum Unread {
    Malformed(String),
    Missing(Missing),
}

impl From<Missing> for Unread {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl<E> Query<E> {
    /// The observation in the answers to [`Self::expressions`].
    pub(super) fn read(&self, answers: &[Points], window: Window) -> Result<Observation, Unread> {
        let Some(all) = answers.last() else { return Err(Missing::NoData.into()) };
        let last = all.inside(window);
        if last.is_empty() {
            return Err(all.missing(window).into());
        }
        let observation = match self {
            Self::Histogram { buckets, .. } => {
                let cumulative = answers
                    .iter()
                    .map(|points| count(&points.inside(window)))
                    .collect::<Result<Vec<_>, _>>()?;
                let edges = buckets.iter().map(|bucket| bucket.at_most).collect();
                histogram(edges, &cumulative)?
            }
            Self::Proportion { .. } => {
                let (hits, trials) = (count(&answers[0].inside(window))?, count(&last)?);
                Observation::proportion(hits, trials).ok_or_else(|| {
                    Unread::Malformed(format!("{hits} hits of {trials} trials; trials must include hits"))
                })?
            }
            Self::Total { .. } => {
                let sums = answers[0].inside(window);
                // Values that were counted add up to something, even if that is 0; a sum that is not there is not 0.
                if sums.is_empty() && count(&last)? > 0 {
                    return Err(answers[0].missing(window).into());
                }
                let sum = finite(&sums)?.iter().sum();
                Observation::total(sum, count(&last)?).ok_or_else(|| {
                    Unread::Malformed(format!("the sum {sum} is of nothing, or out of range"))
                })?
            }
            Self::Values { .. } => Observation::Values(finite(&last)?),
        };
        if observation.trials() == 0 {
            return Err(Missing::NoData.into());
        }
        Ok(observation)
    }
}

/// The differences of counts at or below ascending edges.
fn histogram(edges: Vec<f64>, cumulative: &[u64]) -> Result<Observation, Unread> {
    let below = std::iter::once(0).chain(cumulative.iter().copied());
    let counts: Option<Vec<u64>> =
        cumulative.iter().zip(below).map(|(count, below)| count.checked_sub(below)).collect();
    counts.and_then(|counts| Observation::histogram(edges, counts)).ok_or_else(|| {
        Unread::Malformed(
            "the counts of a histogram do not rise with its edges, or the edges do not".to_owned(),
        )
    })
}

/// Their sum, if it is a number of events. Servers that compute in floats miss a whole number by a hair.
fn count(points: &[f64]) -> Result<u64, Unread> {
    const HAIR: f64 = 1e-6;
    let sum: f64 = finite(points)?.iter().sum();
    let whole = sum.round();
    if (sum - whole).abs() > HAIR * whole.abs().max(1.0) || !(0.0..=9_007_199_254_740_992.0).contains(&whole)
    {
        return Err(Unread::Malformed(format!(
            "{sum} is no count; ask for sums of events, not for rates, averages or samples"
        )));
    }
    Ok(whole as u64)
}

fn finite(points: &[f64]) -> Result<Vec<f64>, Missing> {
    match points.iter().find(|value| !value.is_finite()) {
        None => Ok(points.to_vec()),
        Some(value) if value.is_nan() => Err(Missing::NotANumber),
        Some(value) => Err(Missing::Infinite { negative: *value < 0.0 }),
    }
}
