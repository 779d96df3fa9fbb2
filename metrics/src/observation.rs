//! What was observed in one closed window, and the ways in which nothing was.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Error;

/// What was counted or measured in a window.
///
/// The constructors and deserialisation refuse what [`is_valid`](Self::is_valid) does not accept; an invalid
/// value written as a literal is never evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
#[non_exhaustive]
pub enum Observation {
    /// Counts by upper edge: `counts[i]` values were at most `edges[i]` and above the edge before;
    /// the last count is of values above every edge, so there is one more count than there are edges.
    Histogram {
        /// Upper edges, ascending and finite, in the metric's unit.
        edges: Vec<f64>,
        /// Values in each bucket.
        counts: Vec<u64>,
    },
    /// So many of so many: errors of requests, refusals of replies.
    Proportion {
        /// Trials that were hits, at most `trials`.
        hits: u64,
        /// Trials.
        trials: u64,
    },
    /// The same metric by stratum (route, tenant, length of the prompt), none of them by strata again. What
    /// the sides have more or less of is then no difference between them.
    Strata(BTreeMap<String, Self>),
    /// The sum of so many values whose single values are not known: what they cost together.
    Total {
        /// The sum, finite, in the metric's unit.
        sum: f64,
        /// Values.
        count: u64,
    },
    /// Single values, finite, in the metric's unit.
    Values(Vec<f64>),
}

/// The answer to "what was it in that window": an observation, or the reason why there is none.
///
/// Nothing but an observation is evidence. What its absence means is for the
/// [`Criterion`](crate::Criterion) to say, and by default it means that nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measurement {
    /// There is none, for this reason.
    Missing(Missing),
    /// There is one.
    Observed(Observation),
}

/// Why there is no observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Missing {
    /// The source holds a value without bound. Whether that is a failure depends on where the bound lies.
    Infinite {
        /// Whether it is below every number, not above.
        negative: bool,
    },
    /// The source holds nothing for the window.
    NoData,
    /// The source holds something that is not a number.
    NotANumber,
    /// The source could not be asked, or answered in part only.
    SourceError {
        /// What went wrong, in the source's words.
        cause: String,
        /// Whether asking again may help.
        retryable: bool,
    },
    /// The newest value is too old for the window.
    Stale {
        /// So long before the window's end it was taken.
        #[serde(with = "humantime_serde")]
        age: Duration,
    },
    /// There are values, but not enough.
    TooFew {
        /// So many there are.
        have: u64,
        /// So many it takes.
        need: u64,
    },
}

/// Two observations cannot be added, because they are not of the same kind, have other edges, or are together
/// more than [`Observation::MAX_TRIALS`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot add {other} to {this}; observations of one metric must have one shape")]
#[non_exhaustive]
pub struct ShapeMismatch {
    /// What there was.
    pub this: String,
    /// What should have been added.
    pub other: String,
}

impl Observation {
    /// The most trials that one observation may hold, 2⁴⁰. No window of real traffic has as many; it keeps
    /// the arithmetic of the judges exact and their time bounded.
    pub const MAX_TRIALS: u64 = 1 << 40;

    /// `hits` of `trials`. `None` if there are more hits than trials or more than [`Self::MAX_TRIALS`].
    #[must_use]
    pub fn proportion(hits: u64, trials: u64) -> Option<Self> {
        Self::Proportion { hits, trials }.valid()
    }

    /// Counts by upper edge, see [`Self::Histogram`]. `None` unless the edges are finite and strictly
    /// ascending, there is at least one, there is one more count than edges, and at most [`Self::MAX_TRIALS`]
    /// in all.
    #[must_use]
    pub fn histogram(edges: Vec<f64>, counts: Vec<u64>) -> Option<Self> {
        Self::Histogram { edges, counts }.valid()
    }

    /// Single values. `None` if one is not finite.
    #[must_use]
    pub fn values(values: Vec<f64>) -> Option<Self> {
        Self::Values(values).valid()
    }

    /// The sum of so many values. `None` if it is not finite, of nothing and yet something, or of more than
    /// [`Self::MAX_TRIALS`].
    #[must_use]
    pub fn total(sum: f64, count: u64) -> Option<Self> {
        Self::Total { sum, count }.valid()
    }

    /// The same metric by stratum. `None` if there is no stratum, if they are not of one kind, or if one is by
    /// strata again.
    #[must_use]
    pub fn strata(strata: BTreeMap<String, Self>) -> Option<Self> {
        Self::Strata(strata).valid()
    }

    /// How many requests, replies or values were observed.
    #[must_use]
    pub fn trials(&self) -> u64 {
        match self {
            Self::Histogram { counts, .. } => counts.iter().fold(0, |sum, &count| sum.saturating_add(count)),
            Self::Proportion { trials, .. } => *trials,
            Self::Strata(strata) => {
                strata.values().fold(0, |sum, stratum| sum.saturating_add(stratum.trials()))
            }
            Self::Total { count, .. } => *count,
            Self::Values(values) => values.len() as u64,
        }
    }

    /// Adds what was observed elsewhere, or in the next window.
    ///
    /// # Errors
    ///
    /// Nothing changes if the two differ in kind or in edges, or are too many together.
    pub fn merge(&mut self, other: &Self) -> Result<(), ShapeMismatch> {
        let fits = self.trials().saturating_add(other.trials()) <= Self::MAX_TRIALS;
        match (&mut *self, other) {
            (
                Self::Proportion { hits, trials },
                Self::Proportion { hits: more_hits, trials: more_trials },
            ) if fits => {
                *hits = hits.saturating_add(*more_hits);
                *trials += more_trials;
            }
            (Self::Histogram { edges, counts }, Self::Histogram { edges: other_edges, counts: more })
                if fits && edges == other_edges && counts.len() == more.len() =>
            {
                for (count, more) in counts.iter_mut().zip(more) {
                    *count += more;
                }
            }
            (Self::Strata(strata), Self::Strata(more)) if fits => {
                let mut sum = strata.clone();
                for (name, stratum) in more {
                    match sum.get_mut(name) {
                        Some(known) => known.merge(stratum)?,
                        None => drop(sum.insert(name.clone(), stratum.clone())),
                    }
                }
                if !Self::Strata(sum.clone()).is_valid() {
                    return Err(ShapeMismatch { this: self.to_string(), other: other.to_string() });
                }
                *strata = sum;
            }
            (Self::Total { sum, count }, Self::Total { sum: more, count: of })
                if fits && (*sum + more).is_finite() =>
            {
                *sum += more;
                *count += of;
            }
            (Self::Values(values), Self::Values(more)) if fits => values.extend_from_slice(more),
            _ => return Err(ShapeMismatch { this: self.to_string(), other: other.to_string() }),
        }
        Ok(())
    }

    /// Whether it is what its variant says: no more hits than trials, ascending edges, finite values.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let shaped = match self {
            Self::Histogram { edges, counts } => {
                !edges.is_empty()
                    && counts.len() == edges.len() + 1
                    && edges.iter().all(|edge| edge.is_finite())
                    && edges.is_sorted_by(|a, b| a < b)
            }
            Self::Proportion { hits, trials } => hits <= trials,
            Self::Strata(strata) => {
                let kind = strata.values().next().map(std::mem::discriminant);
                kind.is_some()
                    && strata.values().all(|stratum| {
                        !matches!(stratum, Self::Strata(_))
                            && Some(std::mem::discriminant(stratum)) == kind
                            && stratum.is_valid()
                    })
            }
            Self::Total { sum, count } => sum.is_finite() && (*count > 0 || *sum == 0.0),
            Self::Values(values) => values.iter().all(|value| value.is_finite()),
        };
        shaped && self.trials() <= Self::MAX_TRIALS
    }

    /// All strata together; anything else as it is. Strata of one kind that cannot be added (histograms of
    /// different edges) stay strata.
    #[must_use]
    pub fn overall(&self) -> Cow<'_, Self> {
        let Self::Strata(strata) = self else { return Cow::Borrowed(self) };
        let mut strata = strata.values();
        let Some(first) = strata.next() else { return Cow::Borrowed(self) };
        let mut sum = first.clone();
        for stratum in strata {
            if sum.merge(stratum).is_err() {
                return Cow::Borrowed(self);
            }
        }
        Cow::Owned(sum)
    }

    fn valid(self) -> Option<Self> {
        self.is_valid().then_some(self)
    }
}

impl Measurement {
    /// The observation, if there is one.
    #[must_use]
    pub const fn observed(&self) -> Option<&Observation> {
        match self {
            Self::Missing(_) => None,
            Self::Observed(observation) => Some(observation),
        }
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Histogram { edges, .. } => {
                write!(f, "a histogram of {} values in {} buckets", self.trials(), edges.len() + 1)
            }
            Self::Proportion { hits, trials } => write!(f, "a proportion of {hits} in {trials}"),
            Self::Strata(strata) => write!(f, "{} trials in {} strata", self.trials(), strata.len()),
            Self::Total { sum, count } => write!(f, "a sum of {sum} over {count} values"),
            Self::Values(values) => write!(f, "{} values", values.len()),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Infinite { negative } => {
                write!(f, "a value is infinite, {} every number", if *negative { "below" } else { "above" })
            }
            Self::NoData => f.write_str("no data"),
            Self::NotANumber => f.write_str("not a number"),
            Self::SourceError { cause, .. } => f.write_str(cause),
            Self::Stale { age } => {
                write!(f, "the newest value lies {} s before the window's end", age.as_secs())
            }
            Self::TooFew { have, need } => write!(f, "only {have} of the {need} values that it takes"),
        }
    }
}

impl From<Observation> for Measurement {
    fn from(observation: Observation) -> Self {
        Self::Observed(observation)
    }
}

impl From<Missing> for Measurement {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// A source that failed has shown nothing; the cause is kept with all that lies behind it.
impl From<&Error> for Missing {
    fn from(error: &Error) -> Self {
        let mut cause = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(behind) = source {
            cause = format!("{cause}: {behind}");
            source = behind.source();
        }
        Self::SourceError { cause, retryable: error.is_transient() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Unchecked {
    Histogram { edges: Vec<f64>, counts: Vec<u64> },
    Proportion { hits: u64, trials: u64 },
    // Observations in here are checked before, and one that is by strata again is refused as a whole.
    Strata(BTreeMap<String, Observation>),
    Total { sum: f64, count: u64 },
    Values(Vec<f64>),
}

impl TryFrom<Unchecked> for Observation {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, Self::Error> {
        let observation = match unchecked {
            Unchecked::Histogram { edges, counts } => Self::Histogram { edges, counts },
            Unchecked::Proportion { hits, trials } => Self::Proportion { hits, trials },
            Unchecked::Strata(strata) => Self::Strata(strata),
            Unchecked::Total { sum, count } => Self::Total { sum, count },
            Unchecked::Values(values) => Self::Values(values),
        };
        if observation.is_valid() {
            Ok(observation)
        } else {
            Err(format!("{observation} cannot have been observed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_shape_adds_up() {
        let mut proportion = Observation::proportion(1, 10).unwrap();
        proportion.merge(&Observation::proportion(2, 5).unwrap()).unwrap();
        assert_eq!(proportion, Observation::Proportion { hits: 3, trials: 15 });
        let mut histogram = Observation::histogram(vec![1.0], vec![1, 2]).unwrap();
        histogram.merge(&Observation::histogram(vec![1.0], vec![3, 4]).unwrap()).unwrap();
        assert_eq!(histogram, Observation::Histogram { edges: vec![1.0], counts: vec![4, 6] });
        let mut values = Observation::values(vec![1.0]).unwrap();
        values.merge(&Observation::values(vec![2.0]).unwrap()).unwrap();
        assert_eq!(values.trials(), 2);
    }

    #[test]
    fn what_has_not_stays_as_it_was() {
        let observations = [
            Observation::proportion(1, Observation::MAX_TRIALS).unwrap(),
            Observation::histogram(vec![1.0], vec![1, 2]).unwrap(),
            Observation::histogram(vec![2.0], vec![1, 2]).unwrap(),
            Observation::values(vec![1.0]).unwrap(),
        ];
        for (i, one) in observations.iter().enumerate() {
            for other in observations.iter().skip(i + 1).chain(&observations[..1]) {
                let mut sum = one.clone();
                sum.merge(other).unwrap_err();
                assert_eq!(sum, *one);
            }
        }
    }

    #[test]
    fn what_cannot_have_been_observed_has_no_constructor() {
        assert_eq!(Observation::proportion(2, 1), None);
        assert_eq!(Observation::proportion(0, Observation::MAX_TRIALS + 1), None);
        assert_eq!(Observation::histogram(vec![f64::NAN], vec![0, 0]), None);
        assert_eq!(Observation::histogram(vec![1.0, 1.0], vec![0, 0, 0]), None);
        assert_eq!(Observation::histogram(vec![1.0], vec![u64::MAX, u64::MAX]), None);
        assert_eq!(Observation::values(vec![f64::INFINITY]), None);
    }

    #[test]
    fn an_error_keeps_its_whole_cause() {
        let error = Error::Unavailable {
            source_name: "it".to_owned(),
            metric: "errors".to_owned(),
            source: std::io::Error::other("the cable is cut").into(),
        };
        let expected = "it is unavailable (asked for `errors`): the cable is cut";
        assert_eq!(
            Missing::from(&error),
            Missing::SourceError { cause: expected.to_owned(), retryable: true }
        );
    }
}
