//! Numbers as people write them, and text from outside.

use std::{fmt, time::Duration};

/// `4,310`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number to three significant digits, without zeros at its end.
#[must_use]
pub fn number(value: f64) -> String {
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    // Adding zero turns -0 into 0.
    let (value, magnitude) = (value + 0.0, value.abs());
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:.2e}");
        return text
            .split_once('e')
            .map_or_else(|| text.clone(), |(digits, power)| format!("{}e{power}", trim(digits)));
    }
    let decimals = if magnitude == 0.0 { 0.0 } else { (2.0 - magnitude.log10().floor()).clamp(0.0, 6.0) };
    trim(&format!("{value:.*}", decimals as usize))
}

/// A share as `0.35%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{}%", number(share * 100.0))
}

/// Ten to this power: `0.01`, `20`, `10⁶`, `3.2 × 10⁶`.
#[must_use]
pub fn power(log10: f64) -> String {
    const SUPERSCRIPTS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    if log10 > -3.0 && log10 < 4.0 {
        let value = 10_f64.powf(log10);
        return if value < 100.0 { format!("{}", Significant(value)) } else { count(value.round() as u64) };
    }
    let exponent = log10.floor();
    let factor = (10_f64.powf(log10 - exponent) * 10.0).round() / 10.0;
    let (factor, exponent) = if factor >= 10.0 { (1.0, exponent + 1.0) } else { (factor, exponent) };
    let digits = format!("{}", exponent.abs());
    let digits = digits.chars().filter_map(|c| c.to_digit(10)).map(|d| SUPERSCRIPTS[d as usize]);
    let sign = if exponent < 0.0 { "⁻" } else { "" };
    let power: String = digits.collect();
    if (factor - 1.0).abs() < 0.05 {
        format!("10{sign}{power}")
    } else {
        format!("{factor}\u{a0}×\u{a0}10{sign}{power}")
    }
}

/// An e-value by its natural logarithm.
#[must_use]
pub fn e_value(log_e: f64) -> String {
    power(log_e / std::f64::consts::LN_10)
}

/// `45 s`, `12 min 30 s`, `2 h 5 min`, `3 d 4 h`: the two greatest units.
#[must_use]
pub fn duration(duration: Duration) -> String {
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
#[must_use]
pub fn offset(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("+{minutes:02}:{seconds:02}")
    } else {
        format!("+{hours}:{minutes:02}:{seconds:02}")
    }
}

/// `1 window`, `2 windows`.
#[must_use]
pub fn counted(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// The first `most` characters of a text from outside, for places where there is no room for all of it. What
/// [is deceptive](is_deceptive) in them is replaced.
///
/// ```
/// # use tidegate_metrics::plot::words::clip;
/// assert_eq!(clip("errors \u{202e}sdrawkcab", 9), "errors \u{fffd}s…");
/// ```
#[must_use]
pub fn clip(text: impl fmt::Display, most: usize) -> String {
    let text = text.to_string();
    let (shown, more) = match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], "…"),
        None => (&*text, ""),
    };
    shown.replace(is_deceptive, "\u{fffd}") + more
}

/// Whether a character makes other text look like what it is not: controls, and overrides of the writing direction
/// (Unicode Technical Report 36, §2.5). What no XML file may contain is among them.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Two significant digits.
struct Significant(f64);

impl fmt::Display for Significant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_f64.powf(self.0.log10().floor() - 1.0);
        f.write_str(&number((self.0 / unit).round() * unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, -0.0, 5.0, 0.05, 123.456, 1e9, 1.234_567e9, 2.5e-7, -0.5].map(number),
            ["0", "0", "5", "0.05", "123", "1e9", "1.23e9", "2.5e-7", "-0.5"]
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 1.301, 2.0, -2.0, 3.5, 6.0, 34.2, -7.0].map(power),
            ["1", "20", "100", "0.01", "3,162", "10⁶", "1.6\u{a0}×\u{a0}10³⁴", "10⁻⁷"]
        );
        assert_eq!(clip("añb", 2), "añ…");
    }

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
