//! A closed interval of time.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A closed interval of time: everything after `start`, up to and including `end`.
///
/// Consecutive windows (`a.end() == b.start()`) neither share an instant nor leave one out. Windows are
/// ordered by their end.
///
/// Serialised as `{"start": …, "end": …}` in RFC 3339, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bounds", into = "Bounds")]
pub struct Window {
    end: SystemTime,
    start: SystemTime,
}

impl Window {
    /// Not a window, but what one is read into.
    pub(crate) const BLANK: Self = Self { end: SystemTime::UNIX_EPOCH, start: SystemTime::UNIX_EPOCH };

    /// The window after `start`, up to `end`. `None` unless `start < end` and both lie in the years 1970 to
    /// 9999, which is what RFC 3339 can say.
    #[must_use]
    pub fn new(start: SystemTime, end: SystemTime) -> Option<Self> {
        let last_second = Duration::from_secs(253_402_300_799);
        let sayable = start >= SystemTime::UNIX_EPOCH
            && end.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since <= last_second);
        (start < end && sayable).then_some(Self { end, start })
    }

    /// The window of this length that ends at `end`. `None` where [`Self::new`] gives none.
    #[must_use]
    pub fn ending(end: SystemTime, length: Duration) -> Option<Self> {
        Self::new(end.checked_sub(length)?, end)
    }

    /// The first window of the grid of `length` that lies whole after `at`. The grid starts at the epoch, so
    /// every driver and every source that looks once in a `length` means the same windows. `None` where
    /// [`Self::new`] gives none.
    #[must_use]
    pub fn first_after(at: SystemTime, length: Duration) -> Option<Self> {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let start = since.div_ceil(length.as_nanos().max(1)).checked_mul(length.as_nanos())?;
        let (seconds, nanos) = (u64::try_from(start / 1_000_000_000).ok()?, (start % 1_000_000_000) as u32);
        let start = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))?;
        Self::new(start, start.checked_add(length)?)
    }

    /// Its first instant, which is not part of it.
    #[must_use]
    pub const fn start(&self) -> SystemTime {
        self.start
    }

    /// Its last instant, which is part of it.
    #[must_use]
    pub const fn end(&self) -> SystemTime {
        self.end
    }

    /// How long it is; never zero.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.end.duration_since(self.start).unwrap_or_default()
    }

    /// Whether `at` lies in it.
    #[must_use]
    pub fn contains(&self, at: SystemTime) -> bool {
        self.start < at && at <= self.end
    }

    /// Whether some instant lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    #[serde(with = "humantime_serde")]
    start: SystemTime,
    #[serde(with = "humantime_serde")]
    end: SystemTime,
}

impl From<Window> for Bounds {
    fn from(window: Window) -> Self {
        Self { start: window.start, end: window.end }
    }
}

impl TryFrom<Bounds> for Window {
    type Error = &'static str;

    fn try_from(bounds: Bounds) -> Result<Self, Self::Error> {
        Self::new(bounds.start, bounds.end)
            .ok_or("a window must start before it ends, between the years 1970 and 9999")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn it_has_a_length_and_can_be_said() {
        assert_eq!(Window::new(at(2), at(2)), None);
        assert_eq!(Window::new(at(3), at(2)), None);
        assert_eq!(Window::new(at(1), at(300_000_000_000)), None);
        assert_eq!(Window::ending(at(5), Duration::from_secs(6)), None);
        assert_eq!(Window::ending(at(5), Duration::from_secs(2)), Window::new(at(3), at(5)));
    }

    #[test]
    fn consecutive_windows_share_nothing() {
        let (a, b) = (Window::new(at(1), at(2)).unwrap(), Window::new(at(2), at(3)).unwrap());
        assert!(!a.overlaps(&b) && a.contains(at(2)) && !b.contains(at(2)));
    }

    #[test]
    fn the_grid_starts_at_the_epoch() {
        let length = Duration::from_secs(30);
        assert_eq!(Window::first_after(at(60), length), Window::new(at(60), at(90)));
        assert_eq!(Window::first_after(at(61), length), Window::new(at(90), at(120)));
        assert_eq!(Window::first_after(at(61), Duration::ZERO), None);
        let year_8999 = 221_800_000_000;
        assert_eq!(
            Window::first_after(at(year_8999 + 1), length),
            Window::new(at(year_8999 + 20), at(year_8999 + 50))
        );
    }

    #[test]
    fn it_reads_back_and_refuses_to_run_backwards() {
        let window = Window::new(at(1), at(2) + Duration::from_nanos(7)).unwrap();
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(text, r#"{"start":"1970-01-01T00:00:01Z","end":"1970-01-01T00:00:02.000000007Z"}"#);
        assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), window);
        let backwards = r#"{"start":"1970-01-01T00:00:02Z","end":"1970-01-01T00:00:01Z"}"#;
        assert!(
            serde_json::from_str::<Window>(backwards).unwrap_err().to_string().contains("before it ends")
        );
    }
}
