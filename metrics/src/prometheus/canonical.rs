//! Samples as Prometheus itself writes them: `[[1800000015.781,"7"],[1800000030.781,"8"]]`.
//!
//! Nearly all of an answer is this. Times have three decimals at most, so that they are read as whole
//! milliseconds, which takes a third of what floats do. Whatever is written differently is left to the reader
//! of JSON, and so are complaints.

use super::series::Sample;

/// The samples in `text`, if every one of them is written like that.
pub(super) fn samples(text: &str) -> Option<Vec<Sample>> {
    /// What a sample takes at least.
    const SHORTEST: usize = r#"[0,"0"],"#.len();
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
    let brackets = rest.bytes().filter(|&byte| byte == b'[').count();
    let mut samples = Vec::with_capacity(brackets.min(1 + rest.len() / SHORTEST));
    while !rest.is_empty() {
        let (at, after) = millis(rest.strip_prefix('[')?)?;
        let after = after.strip_prefix(",\"")?;
        // Values are short.
        let (value, after) = after.split_at(after.bytes().position(|byte| byte == b'"')?);
        samples.push(Sample { at, value: number(value)? });
        rest = after.strip_prefix("\"]")?;
        if !rest.is_empty() {
            // No comma stands after the last.
            rest = rest.strip_prefix(',').filter(|next| !next.is_empty())?;
        }
    }
    Some(samples)
}

/// A time in seconds at the beginning of `text`, and what follows it.
fn millis(text: &str) -> Option<(i64, &str)> {
    let (seconds, length) = digits(text, 11)?;
    let rest = &text[length..];
    let Some(decimals) = rest.strip_prefix('.') else { return Some((1000 * seconds, rest)) };
    let (fraction, length) = digits(decimals, 3)?;
    let rest = &decimals[length..];
    Some((1000 * seconds + fraction * [100, 10, 1][length - 1], rest))
}

/// The number at the beginning of `text` and how many digits it has: one at least, and no more than `most`.
fn digits(text: &str, most: usize) -> Option<(i64, usize)> {
    let (mut number, mut length) = (0, 0);
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        number = 10 * number + i64::from(digit - b'0');
        length += 1;
        if length > most {
            return None;
        }
    }
    (length > 0).then_some((number, length))
}

/// A number as Prometheus writes it. One too large for a float is none, in place of infinity.
pub(crate) fn number(text: &str) -> Option<f64> {
    // Most are counts; fewer digits than a float has can be added up.
    if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        let whole = text.bytes().fold(0_u64, |whole, digit| 10 * whole + u64::from(digit - b'0'));
        return Some(whole as f64);
    }
    let value: f64 = text.parse().ok()?;
    let says_infinite = || text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    (!value.is_infinite() || says_infinite()).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_is_written_differently_is_left() {
        let read =
            |text| samples(text).map(|samples| samples.iter().map(|s| (s.at, s.value)).collect::<Vec<_>>());
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read(r#"[[7,"1"]]"#), Some(vec![(7000, 1.0)]));
        assert_eq!(
            read(r#"[[7.5,"1"],[8.25,"-1e3"],[9.125,"+Inf"]]"#).unwrap()[..2],
            [(7500, 1.0), (8250, -1000.0)]
        );
        for other in [
            "",
            "[",
            "{}",
            "[[]]",
            r#"[[7,"1"],]"#,
            r#"[[7,"1"][8,"1"]]"#,
            r#"[[7, "1"]]"#,
            r#"[ [7,"1"]]"#,
            r#"[[7e3,"1"]]"#,
            r#"[[7.1234,"1"]]"#,
            r#"[[7.,"1"]]"#,
            r#"[[-7,"1"]]"#,
            r#"[[123456789012,"1"]]"#,
            r#"[[7,1]]"#,
            r#"[[7,"\u0031"]]"#,
            r#"[[7,"1",2]]"#,
            r#"[[7,"1e999"]]"#,
            r#"[[7,""]]"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_those_of_prometheus() {
        for (text, value) in [
            ("0", Some(0.0)),
            ("1e3", Some(1000.0)),
            ("999999999999999", Some(999_999_999_999_999.0)),
            ("9007199254740993", Some(9_007_199_254_740_992.0)),
            ("-Inf", Some(f64::NEG_INFINITY)),
            ("+Inf", Some(f64::INFINITY)),
            ("1e999", None),
            ("", None),
            ("0x10", None),
            ("1_000", None),
            (" 1", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
        assert!(number("NaN").unwrap().is_nan());
    }

    proptest! {
        #[test]
        fn it_reads_what_floats_would(samples_in in prop::collection::vec((0..20_000_000_000_000_i64, any::<f64>()), 0..9)) {
            let written: Vec<_> = samples_in
                .iter()
                .map(|(at, value)| format!(r#"[{},"{value}"]"#, *at as f64 / 1000.0))
                .collect();
            let read = samples(&format!("[{}]", written.join(","))).unwrap();
            prop_assert_eq!(read.len(), samples_in.len());
            for (read, (at, value)) in read.iter().zip(samples_in) {
                prop_assert_eq!(read.at, at);
                prop_assert!(read.value == value || (read.value.is_nan() && value.is_nan()));
            }
        }
    }
}
