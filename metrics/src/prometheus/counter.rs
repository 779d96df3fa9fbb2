//! How far counters rose in a window, in whole numbers, from the raw samples.
//!
//! `increase()` extrapolates to the window's edges and so gives fractions that are no counts. Here the growth
//! of a series in `(start, end]` is what lies between its last sample up to `start` and its last up to `end`.
//! The next window begins with the sample that this one ended with, so that consecutive windows neither lose
//! nor double anything.

use std::collections::{BTreeSet, HashMap};

use super::series::{Sample, Series};
use crate::{Window, prometheus::millis_since_1970};

/// A window in milliseconds since 1970, which is as fine as Prometheus keeps time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl From<Window> for Span {
    fn from(window: Window) -> Self {
        Self { start: millis_since_1970(window.start()), end: millis_since_1970(window.end()) }
    }
}

/// Why samples are no counts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum NoCount {
    #[error("a sample is not a number")]
    NotANumber,
    #[error("a sample is {0}; a counter of events holds whole numbers from zero up")]
    NotWhole(f64),
}

/// When each target (`job` and `instance`) was first seen.
pub(crate) type FirstSeen<'a> = HashMap<(&'a str, &'a str), i64>;

/// Adds when the target of each of `series` was first seen in any of them.
pub(super) fn see<'a>(seen: &mut FirstSeen<'a>, series: impl IntoIterator<Item = &'a Series>) {
    for series in series {
        if let (Some(target), Some(first)) = (target(series), series.first()) {
            seen.entry(target).and_modify(|at| *at = first.min(*at)).or_insert(first);
        }
    }
}

/// How far the counter of events `series` rose in `span`, in whole numbers.
pub(super) fn growth(
    series: &Series,
    span: Span,
    seen: &FirstSeen<'_>,
    resets: &BTreeSet<i64>,
) -> Result<u64, NoCount> {
    let grown = rise(series, span, seen, resets, |value| whole(value).map(|_| value))?;
    Ok(grown as u64)
}

/// How far `series` rose in `span`; `checked` refuses values that it cannot have. A value below the one
/// before, or a time in `resets`, is a restart from zero.
///
/// A series that is born in the window has nothing to be compared with. If its target had been scraped
/// before, the series is new since then (a first error makes the first series of its status code) and rose
/// from zero. If the target is new as well, what its counters held when they were first scraped may be older
/// than the window, and is left out.
pub(super) fn rise<E>(
    series: &Series,
    span: Span,
    seen: &FirstSeen<'_>,
    resets: &BTreeSet<i64>,
    checked: impl Fn(f64) -> Result<f64, E>,
) -> Result<f64, E> {
    let mut last = None;
    let mut sum = 0.0;
    for &Sample { at, value } in series.samples.iter().filter(|sample| sample.at <= span.end) {
        let value = checked(value)?;
        if at > span.start {
            sum += value
                - match last {
                    Some(last) if value < last || resets.contains(&at) => 0.0,
                    Some(last) => last,
                    None if is_known(series, at, seen) => 0.0,
                    None => value,
                };
        }
        last = Some(value);
    }
    Ok(sum)
}

/// Whether the target of `series` had been scraped before `at`.
pub(super) fn is_known(series: &Series, at: i64, seen: &FirstSeen<'_>) -> bool {
    target(series).and_then(|target| seen.get(&target)).is_some_and(|&first| first < at)
}

/// The times at which some of `series` fell.
pub(super) fn resets<'a>(series: impl IntoIterator<Item = &'a Series>) -> BTreeSet<i64> {
    let falls = |series: &'a Series| {
        series.samples.windows(2).filter(|pair| pair[1].value < pair[0].value).map(|pair| pair[1].at)
    };
    series.into_iter().flat_map(falls).collect()
}

/// The time of the newest sample of all up to the end of `span`.
pub(super) fn newest<'a>(series: impl IntoIterator<Item = &'a Series>, span: Span) -> Option<i64> {
    series.into_iter().filter_map(|series| series.last_until(span.end)).max()
}

fn target(series: &Series) -> Option<(&str, &str)> {
    Some((series.labels.get("job")?, series.labels.get("instance")?))
}

/// A number of events.
pub(super) fn whole(value: f64) -> Result<u64, NoCount> {
    /// Beyond this a float skips whole numbers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return Err(NoCount::NotANumber);
    }
    if value.fract() != 0.0 || !(0.0..=EXACT).contains(&value) {
        return Err(NoCount::NotWhole(value));
    }
    Ok(value as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(values: &[(i64, f64)]) -> Series {
        Series::of(&[("job", "a"), ("instance", "b")], values)
    }

    fn first_seen<'a>(series: impl IntoIterator<Item = &'a Series>) -> FirstSeen<'a> {
        let mut seen = FirstSeen::new();
        see(&mut seen, series);
        seen
    }

    fn rise(values: &[(i64, f64)], start: i64, end: i64) -> Result<u64, NoCount> {
        let series = series(values);
        growth(&series, Span { start, end }, &first_seen([&series]), &BTreeSet::new())
    }

    #[test]
    fn the_base_is_the_last_sample_up_to_the_start() {
        let samples = [(500, 1.0), (1000, 3.0), (1500, 7.0), (2000, 8.0), (2500, 100.0)];
        assert_eq!(rise(&samples, 1000, 2000), Ok(5));
        assert_eq!(rise(&samples, 999, 2499), Ok(7));
    }

    #[test]
    fn a_restart_counts_from_zero() {
        assert_eq!(rise(&[(1, 90.0), (2, 100.0), (3, 4.0), (4, 6.0)], 1, 4), Ok(16));
    }

    #[test]
    fn a_new_series_of_a_known_target_rose_from_zero_and_one_of_a_new_target_is_unknown() {
        let (old, new) = (series(&[(1, 50.0), (2, 60.0)]), series(&[(2, 3.0), (3, 5.0)]));
        let span = Span { start: 1, end: 3 };
        assert_eq!(growth(&new, span, &first_seen([&old, &new]), &BTreeSet::new()), Ok(5));
        assert_eq!(growth(&new, span, &first_seen([&new]), &BTreeSet::new()), Ok(2));
    }

    #[test]
    fn what_is_no_count_is_refused() {
        assert_eq!(rise(&[(1, 1.0), (2, f64::NAN)], 1, 2), Err(NoCount::NotANumber));
        assert_eq!(rise(&[(1, 1.0), (2, f64::INFINITY)], 1, 2), Err(NoCount::NotANumber));
        assert_eq!(rise(&[(1, 1.0), (2, 1.5)], 1, 2), Err(NoCount::NotWhole(1.5)));
        assert_eq!(rise(&[(1, -1.0)], 0, 2), Err(NoCount::NotWhole(-1.0)));
    }

    proptest! {
        #[test]
        fn consecutive_windows_add_up(
            steps in prop::collection::vec((1_i64..50, 0_u32..9, 0_u8..10), 2..40),
            cut in 0_i64..2000,
        ) {
            let (mut at, mut value, mut samples) = (0, 0, Vec::new());
            for (pause, rise, restart) in steps {
                at += pause;
                value = if restart == 0 { rise } else { value + rise };
                samples.push((at, f64::from(value)));
            }
            let start = samples[0].0;
            let cut = start + cut % (at - start + 1);
            let whole = rise(&samples, start, at).unwrap();
            prop_assert_eq!(rise(&samples, start, cut).unwrap() + rise(&samples, cut, at).unwrap(), whole);
        }
    }
}
