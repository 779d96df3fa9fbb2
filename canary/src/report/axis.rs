//! Where values lie on the axes of a chart.

use std::time::{Duration, SystemTime};

use super::calendar;

/// The x-axis.
#[derive(Clone, Copy)]
pub(super) struct TimeAxis {
    start: SystemTime,
    end: SystemTime,
}

/// The y-axis, linear.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl TimeAxis {
    /// From `start` to `end`; a second at least, so that there is something to see.
    pub(super) fn new(start: SystemTime, end: SystemTime) -> Self {
        let least = start.checked_add(Duration::from_secs(1)).unwrap_or(start);
        Self { start, end: end.max(least) }
    }

    /// Where `at` lies, from 0 to 1.
    pub(super) fn place(&self, at: SystemTime) -> f64 {
        let length = self.end.duration_since(self.start).unwrap_or_default().as_secs_f64();
        let since = at.duration_since(self.start).unwrap_or_default().as_secs_f64();
        if length > 0.0 { (since / length).min(1.0) } else { 0.0 }
    }

    /// At most about `most` ticks with their places.
    pub(super) fn ticks(&self, most: usize) -> impl Iterator<Item = (f64, String)> {
        calendar::ticks(self.start, self.end, most).into_iter().map(|(at, label)| (self.place(at), label))
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
    fn ticks_on_a_scale_are_few_and_whole() {
        assert_eq!(Scale { from: -1.2, to: 3.0 }.whole_ticks(6), [-1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(Scale { from: -3.0, to: 17.0 }.whole_ticks(6), [0.0, 4.0, 8.0, 12.0, 16.0]);
    }
}
