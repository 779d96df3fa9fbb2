//! Numbers and durations as people write them.

use std::time::Duration;

pub(super) use tidegate_metrics::plot::words::{clip, count, e_value, is_deceptive, number, percent};

/// `45 s`, `12 min 30 s`, `2 h 5 min`, `3 d 4 h`: the two greatest units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return if duration.is_zero() {
            "0 s".to_owned()
        } else {
            format!("{} ms", duration.as_millis().max(1))
        };
    }
    let (great, of, small, by) = match seconds {
        // Under ten seconds, tenths are worth saying.
        0..10 if duration.subsec_millis() >= 100 => {
            return format!("{seconds}.{} s", duration.subsec_millis() / 100);
        }
        0..60 => return format!("{seconds} s"),
        60..3600 => ("min", 60, "s", 1),
        3600..86_400 => ("h", 3600, "min", 60),
        _ => ("d", 86_400, "h", 3600),
    };
    match (seconds / of, seconds % of / by) {
        (whole, 0) => format!("{whole} {great}"),
        (whole, part) => format!("{whole} {great} {part} {small}"),
    }
}

/// `+12:30`, or `+1:02:30` from an hour on.
pub(super) fn offset(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("+{minutes:02}:{seconds:02}")
    } else {
        format!("+{hours}:{minutes:02}:{seconds:02}")
    }
}

/// `1 window`, `2 windows`.
pub(super) fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let words = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [0, 45, 60, 750, 7500, 100_000].map(words),
            ["0 s", "45 s", "1 min", "12 min 30 s", "2 h 5 min", "1 d 3 h"]
        );
        assert_eq!(duration(Duration::from_micros(3)), "1 ms");
        assert_eq!(duration(Duration::from_millis(1_500)), "1.5 s");
        assert_eq!(duration(Duration::from_millis(1_050)), "1 s");
        assert_eq!(
            [offset(Duration::from_secs(90)), offset(Duration::from_secs(3700))],
            ["+01:30", "+1:01:40"]
        );
    }
}
