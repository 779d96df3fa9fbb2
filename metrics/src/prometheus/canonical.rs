//! Answers as Prometheus itself writes them, read in one pass over their bytes:
//! `…,"result":[{"metric":{…},"values":[[1800000015.781,"7"],…]},…]}…`.
//!
//! Nearly all of an answer is samples. Times have three decimals at most, so that they are read as whole
//! milliseconds, which takes a third of what floats do. Whatever is written differently is left to the reader
//! of JSON, and so are complaints.

use super::series::{Labels, Sample, Series};

/// What stands before the series: Prometheus, and those that speak like it; VictoriaMetrics adds a remark.
const HEADS: [&str; 2] = [
    r#"{"status":"success","data":{"resultType":"matrix","result":["#,
    r#"{"status":"success","isPartial":false,"data":{"resultType":"matrix","result":["#,
];

/// The series of the answer `body`, and the answer without them, if it is written like that.
pub(super) fn matrix(body: &[u8]) -> Option<(Vec<Series>, String)> {
    let text = std::str::from_utf8(body).ok()?;
    let (head, mut rest) = HEADS.iter().find_map(|head| Some((head, text.strip_prefix(head)?)))?;
    let mut series = Vec::new();
    let mut samples = Vec::new();
    while !rest.starts_with(']') {
        if !series.is_empty() {
            rest = rest.strip_prefix(',')?;
        }
        let labels;
        (labels, rest) = self::labels(rest.strip_prefix(r#"{"metric":"#)?)?;
        rest = self::samples(rest.strip_prefix(r#","values":"#)?, &mut samples)?.strip_prefix('}')?;
        series.push(Series { labels, samples: samples.as_slice().into(), natives: Vec::new() });
    }
    Some((series, format!("{head}{rest}")))
}

/// The labels at the beginning of `text`, and what follows them.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut read = serde_json::Deserializer::from_str(text).into_iter();
    let labels = read.next()?.ok()?;
    Some((labels, &text[read.byte_offset()..]))
}

/// Reads the samples at the beginning of `text`, one at least and ascending in time; gives what follows them.
fn samples<'a>(text: &'a str, samples: &mut Vec<Sample>) -> Option<&'a str> {
    samples.clear();
    let mut rest = text.strip_prefix('[')?;
    loop {
        let (at, after) = millis(rest.strip_prefix('[')?)?;
        let (value, after) = value(after.strip_prefix(",\"")?)?;
        if samples.last().is_some_and(|last: &Sample| last.at >= at) {
            return None;
        }
        samples.push(Sample { at, value });
        rest = after.strip_prefix(']')?;
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.strip_prefix(']'),
        }
    }
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

/// A value at the beginning of `text`, and what follows the quote at its end.
fn value(text: &str) -> Option<(f64, &str)> {
    // Values are short.
    let length = text.bytes().position(|byte| byte == b'"')?;
    Some((number(&text[..length])?, &text[length + 1..]))
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

    fn read(values: &str) -> Option<Vec<(i64, f64)>> {
        let body = format!(r#"{}{{"metric":{{"a":"b"}},"values":{values}}}]}}}}"#, HEADS[0]);
        let (series, _) = matrix(body.as_bytes())?;
        Some(series[0].samples.iter().map(|sample| (sample.at, sample.value)).collect())
    }

    #[test]
    fn series_are_read_and_the_rest_is_left() {
        let one = r#"{"metric":{"a":"\u00e9]","b":""},"values":[[1,"2"],[1.5,"+Inf"]]}"#;
        for head in HEADS {
            let body = format!(
                r#"{head}{one},{{"metric":{{}},"values":[[7,"0"]]}}],"stats":{{}}}},"infos":["x"]}}"#
            );
            let (series, rest) = matrix(body.as_bytes()).unwrap();
            let expected = [
                Series::of(&[("a", "é]"), ("b", "")], &[(1000, 2.0), (1500, f64::INFINITY)]),
                Series::of(&[], &[(7000, 0.0)]),
            ];
            assert_eq!(series, expected);
            assert_eq!(rest, format!(r#"{head}],"stats":{{}}}},"infos":["x"]}}"#));
            assert_eq!(matrix(format!("{head}]}}}}").as_bytes()).unwrap().0, []);
            for other in [
                format!("{head}{one}{one}]}}}}"),
                format!("{head}{one},]}}}}"),
                format!("{head},{one}]}}}}"),
                format!("{head}{one}"),
                format!("{head}{}]}}}}", one.replace(r#""b""#, r#""a""#)),
                format!("{head}{}]}}}}", one.replace("values", "histograms")),
                format!(" {head}{one}]}}}}"),
            ] {
                assert!(matrix(other.as_bytes()).is_none(), "{other}");
            }
        }
    }

    #[test]
    fn whatever_is_written_differently_is_left() {
        assert_eq!(read(r#"[[7,"1"]]"#), Some(vec![(7000, 1.0)]));
        assert_eq!(
            read(r#"[[7.5,"1"],[8.25,"-1e3"],[9.125,"+Inf"]]"#).unwrap()[..2],
            [(7500, 1.0), (8250, -1000.0)]
        );
        for other in [
            "",
            "[",
            "{}",
            "[]",
            "[[]]",
            r#"[[7,"1"],]"#,
            r#"[[7,"1"][8,"1"]]"#,
            r#"[[7,"1"],[7,"1"]]"#,
            r#"[[7,"1"],[6,"1"]]"#,
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
        fn it_reads_what_floats_would(samples in prop::collection::btree_map(0..20_000_000_000_000_i64, any::<f64>(), 1..9)) {
            let written: Vec<_> = samples
                .iter()
                .map(|(at, value)| format!(r#"[{},"{value}"]"#, *at as f64 / 1000.0))
                .collect();
            let read = read(&format!("[{}]", written.join(","))).unwrap();
            prop_assert_eq!(read.len(), samples.len());
            for ((read_at, read), (at, value)) in read.into_iter().zip(samples) {
                prop_assert_eq!(read_at, at);
                prop_assert!(read == value || (read.is_nan() && value.is_nan()));
            }
        }
    }
}
