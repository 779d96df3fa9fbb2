//! Where values lie on the axes of a chart.

use std::time::{Duration, SystemTime};

use super::{calendar, words};
use crate::Evidence;

/// The time that a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAxis {
    start: SystemTime,
    end: SystemTime,
}

/// How a picture lays out what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Axis {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart.
    Log,
    /// Linear, from 0 to 1 at most, in per cent.
    Share,
}

/// The y-axis, linear in what lies on it.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl TimeAxis {
    /// From `start` to `end`; a second at least, so that there is something to see.
    #[must_use]
    pub fn new(start: SystemTime, end: SystemTime) -> Self {
        let least = start.checked_add(Duration::from_secs(1)).unwrap_or(start);
        Self { start, end: end.max(least) }
    }

    /// From the first to the last window of all of `evidence`, so that their pictures can be compared. `None` where no
    /// window was observed.
    #[must_use]
    pub fn of<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> Option<Self> {
        let windows = evidence.into_iter().flat_map(Evidence::windows).map(|(window, _)| window);
        let extent = windows.map(|window| (window.start(), window.end()));
        let extent = extent.reduce(|(start, end), (other, last)| (start.min(other), end.max(last)));
        extent.map(|(start, end)| Self::new(start, end))
    }

    /// Where `at` lies, from 0 to 1.
    #[must_use]
    pub fn place(&self, at: SystemTime) -> f64 {
        let length = self.end.duration_since(self.start).unwrap_or_default().as_secs_f64();
        let since = at.duration_since(self.start).unwrap_or_default().as_secs_f64();
        if length > 0.0 { (since / length).min(1.0) } else { 0.0 }
    }

    /// At most about `most` ticks with their places.
    pub fn ticks(&self, most: usize) -> impl Iterator<Item = (f64, String)> {
        calendar::ticks(self.start, self.end, most).into_iter().map(|(at, label)| (self.place(at), label))
    }
}

impl Axis {
    /// Where `value` lies on a [`Scale`]; minus infinity for what no logarithm shows.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear | Self::Share => value,
            Self::Log if value > 0.0 => value.log10(),
            Self::Log => f64::NEG_INFINITY,
        }
    }

    /// The value at this place, in words.
    pub(super) fn say(self) -> fn(f64) -> String {
        match self {
            Self::Linear => words::number,
            Self::Log => |place| words::number(10_f64.powf(place)),
            Self::Share => words::percent,
        }
    }

    /// At most `most` places at round values.
    pub(super) fn ticks(self, scale: Scale, most: usize) -> Vec<f64> {
        match self {
            Self::Linear | Self::Share => scale.round_ticks(most),
            Self::Log => scale.log_ticks(most),
        }
    }
}

impl Scale {
    /// Where `value` lies, from 0 at the lower end to 1 at the upper; beyond both for what is off the scale.
    pub(super) fn place(self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }

    /// At most `most` whole numbers at equal distances, 0 among them if it is on the scale.
    pub(super) fn whole_ticks(self, most: i32) -> Vec<f64> {
        let (from, to) = (self.from.ceil() as i32, self.to.floor() as i32);
        let step = (1..).find(|step| (to - from) / step < most).unwrap_or(1);
        (from..=to).filter(|tick| tick % step == 0).map(f64::from).collect()
    }

    /// At most `most` multiples of 1, 2 or 5 times a power of ten.
    fn round_ticks(self, most: usize) -> Vec<f64> {
        let rough = (self.to - self.from) / most.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
        let Some(step) = step.filter(|step| step.is_normal()) else { return Vec::new() };
        let first = (self.from / step).ceil();
        let ticks = (0..most).map(|n| (first + n as f64) * step);
        ticks.filter(|tick| (self.from..=self.to).contains(tick)).collect()
    }

    /// At most `most` decimal logarithms of round values: as many to the decade as there is room for.
    fn log_ticks(self, most: usize) -> Vec<f64> {
        let decades = || self.from.floor() as i32..=self.to.ceil() as i32;
        let at = |times: &[f64], every: i32| -> Vec<f64> {
            let decades = decades().filter(|decade| decade % every == 0);
            let ticks =
                decades.flat_map(|decade| times.iter().map(move |times| f64::from(decade) + times.log10()));
            ticks.filter(|tick| (self.from..=self.to).contains(tick)).collect()
        };
        let dense = at(&[1.0, 2.0, 5.0], 1);
        if dense.len() < 3 {
            // Less than a decade: values at equal distances are as good.
            let values = Self { from: 10_f64.powf(self.from), to: 10_f64.powf(self.to) };
            return values.round_ticks(most).into_iter().map(f64::log10).collect();
        }
        let sparser = std::iter::once(at(&[1.0, 3.0], 1)).chain((1..=1000).map(|every| at(&[1.0], every)));
        std::iter::once(dense).chain(sparser).find(|ticks| ticks.len() <= most).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn places_are_between_the_ends_of_an_axis() {
        let time = TimeAxis::new(at(100), at(200));
        assert_eq!([50, 100, 150, 200, 300].map(|second| time.place(at(second))), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(TimeAxis::new(at(7), at(7)).place(at(7)), 0.0);
        let scale = Scale { from: -2.0, to: 2.0 };
        assert_eq!([-2.0, 0.0, 4.0].map(|value| scale.place(value)), [0.0, 0.5, 1.5]);
    }

    #[test]
    fn ticks_on_a_scale_are_few_and_round() {
        assert_eq!(Scale { from: -1.2, to: 3.0 }.whole_ticks(6), [-1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(Scale { from: -3.0, to: 17.0 }.whole_ticks(6), [0.0, 4.0, 8.0, 12.0, 16.0]);
        let said = |axis: Axis, from: f64, to: f64| -> Vec<String> {
            let scale = Scale { from: axis.place(from), to: axis.place(to) };
            axis.ticks(scale, 6).into_iter().map(axis.say()).collect()
        };
        assert_eq!(said(Axis::Share, 0.0, 0.052), ["0%", "1%", "2%", "3%", "4%", "5%"]);
        assert_eq!(said(Axis::Linear, -130.0, 260.0), ["-100", "0", "100", "200"]);
        assert_eq!(said(Axis::Log, 0.3, 12.0), ["0.5", "1", "2", "5", "10"]);
        assert_eq!(said(Axis::Log, 0.88, 1.43), ["0.9", "1", "1.1", "1.2", "1.3", "1.4"]);
        assert_eq!(said(Axis::Log, 0.05, 20.0), ["0.1", "0.3", "1", "3", "10"]);
        assert_eq!(said(Axis::Log, 1e-3, 1e3), ["0.01", "1", "100"]);
    }

    #[test]
    fn any_scale_has_few_ticks_and_all_of_them_on_it() {
        for from in [-1e300, -7.3, -1e-9, 0.0, 1e-300, 0.1, 3.0, 1e18] {
            for length in [1e-12, 1e-3, 0.7, 1.0, 12.0, 1e6, 1e300] {
                let scale = Scale { from, to: from + length };
                let ticks = scale.round_ticks(6);
                assert!(
                    ticks.len() <= 6 && ticks.iter().all(|tick| (0.0..=1.0).contains(&scale.place(*tick)))
                );
                if (-300.0..300.0).contains(&from) && length < 600.0 {
                    let ticks = scale.log_ticks(6);
                    assert!(ticks.len() <= 6, "{from} {length}: {ticks:?}");
                }
            }
        }
    }
}
