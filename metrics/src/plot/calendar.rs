//! Times of day and dates, UTC.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Steps between ticks, in seconds, that read well on a clock.
const STEPS: [i64; 23] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// A time as an element: `22 Nov 2026 14:05:30`.
#[must_use]
pub fn time(at: SystemTime) -> Markup {
    html! { time datetime=(machine(at)) { (date(at)) " " (clock(at)) } }
}

/// A time of day as an element, `14:05:30`, whose date is clear from what is around it.
#[must_use]
pub fn time_of_day(at: SystemTime) -> Markup {
    html! { time datetime=(machine(at)) { (clock(at)) } }
}

/// `14:05:30`.
#[must_use]
pub fn clock(at: SystemTime) -> String {
    let second = seconds(at).rem_euclid(DAY);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// `22 Nov 2026`.
#[must_use]
pub fn date(at: SystemTime) -> String {
    let (year, month, day) = civil(seconds(at).div_euclid(DAY));
    format!("{day} {} {year}", MONTHS[month - 1])
}

/// At most `most` ticks (but at least one) at round times from `start` to `end`: `14:05`, and the day at midnight.
pub(super) fn ticks(start: SystemTime, end: SystemTime, most: usize) -> Vec<(SystemTime, String)> {
    let (first, last) = (seconds(start), seconds(end));
    let fits = |step: &&i64| last.div_euclid(**step) - first.div_euclid(**step) <= most as i64;
    let longest = STEPS[STEPS.len() - 1];
    let step = STEPS
        .iter()
        .find(fits)
        .copied()
        .unwrap_or_else(|| longest * ((last - first) / longest / most as i64 + 1));
    let mut ticks = Vec::new();
    let mut tick = first.div_euclid(step) * step;
    while tick <= last {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(tick.unsigned_abs()));
        if let Some(at) = at.filter(|&at| tick >= 0 && at >= start && at <= end) {
            ticks.push((at, label(at, tick, step)));
        }
        tick += step;
    }
    ticks
}

fn label(at: SystemTime, tick: i64, step: i64) -> String {
    let (year, month, day) = civil(tick.div_euclid(DAY));
    match step {
        _ if step >= 90 * DAY => format!("{} {year}", MONTHS[month - 1]),
        _ if tick % DAY == 0 => format!("{day} {}", MONTHS[month - 1]),
        _ if step < 60 => clock(at),
        _ => clock(at)[..5].to_owned(),
    }
}

fn machine(at: SystemTime) -> String {
    let (year, month, day) = civil(seconds(at).div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02}T{}Z", clock(at))
}

/// Whole seconds since the epoch, rounded down; kept within the years 1970 to 9999, which is what a journal can say.
fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX).min(253_402_300_799)
}

/// Year, month and day of a day since the epoch (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: i64) -> (i64, usize, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let month = usize::try_from(month).expect("a month is 1 to 12");
    (year_of_era + era * 400 + carry, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates_are_those_of_humantime() {
        for day in (0..2_900_000).step_by(37) {
            let at = at(day * 86_400 + day % 86_400);
            assert_eq!(machine(at), humantime::format_rfc3339_seconds(at).to_string());
        }
        assert_eq!(date(at(1_709_164_800)), "29 Feb 2024");
    }

    #[test]
    fn ticks_are_few_and_round() {
        let labels = |from: u64, to: u64| -> Vec<String> {
            ticks(at(from), at(to), 6).into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(
            labels(86_400 * 3 - 3600, 86_400 * 3 + 5000),
            ["23:00", "23:30", "4 Jan", "00:30", "01:00"]
        );
        assert_eq!(labels(100, 100), Vec::<String>::from(["00:01:40".to_owned()]));
        for length in (0..60).map(|power| 1_u64 << power) {
            assert!(ticks(at(12_345), at(12_345 + length), 6).len() <= 7, "{length}");
        }
    }
}
