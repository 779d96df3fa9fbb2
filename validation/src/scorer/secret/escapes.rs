//! What strings of JSON say that are written with escapes.

use std::iter::{Peekable, successors};

/// How deep strings of JSON are read that hold JSON themselves.
const DEPTH: usize = 3;

/// The JSON `text` as it is; with the strings and keys in it decoded; and so on for the JSON in those.
///
/// Escapes are decoded wherever they stand: outside of strings JSON has none, and what a model wrote need not be JSON to
/// its end. A key that is there twice is read twice.
pub(super) fn readings(text: &str) -> impl Iterator<Item = String> {
    let decoded = |text: &String| text.contains('\\').then(|| decoded(text)).filter(|next| next != text);
    successors(Some(text.to_owned()), decoded).take(1 + DEPTH)
}

fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            decoded.push(c);
            continue;
        }
        match rest.next() {
            Some('b') => decoded.push('\u{8}'),
            Some('f') => decoded.push('\u{c}'),
            Some('n') => decoded.push('\n'),
            Some('r') => decoded.push('\r'),
            Some('t') => decoded.push('\t'),
            Some('u') => {
                decoded.extend(char::decode_utf16(units(&mut rest)).map(|c| c.unwrap_or('\u{fffd}')))
            }
            // A quote, a slash or a backslash; nothing else is allowed, and whoever is lenient leaves it.
            Some(other) => decoded.push(other),
            None => decoded.push('\\'),
        }
    }
    decoded
}

/// The units of UTF-16 after `\u`: one, or two that are one character.
fn units(rest: &mut Peekable<impl Iterator<Item = char> + Clone>) -> Vec<u16> {
    let Some(first) = unit(rest) else { return vec![0xfffd] };
    let mut ahead = rest.clone();
    let low = |unit: &u16| (0xdc00..0xe000).contains(unit);
    let second =
        ((0xd800..0xdc00).contains(&first) && ahead.next() == Some('\\') && ahead.next() == Some('u'))
            .then(|| unit(&mut ahead).filter(low));
    match second.flatten() {
        Some(second) => {
            *rest = ahead;
            vec![first, second]
        }
        None => vec![first],
    }
}

/// Four digits in base 16; what is none of them is left.
fn unit(rest: &mut Peekable<impl Iterator<Item = char>>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = rest.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_read_as_they_were_written(text in any::<String>()) {
            let ascii = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decoded(&written), format!("\"{text}\""));
            prop_assert_eq!(decoded(&ascii(&text)), text);
        }
    }

    #[test]
    fn json_in_json_is_read_and_there_is_an_end() {
        let last = |text: &str| readings(text).last().unwrap();
        assert_eq!(last("plain"), "plain");
        assert_eq!(last(r#"{"a": "{\"b\": \"\\u0054\\nE\"}"}"#), "{\"a\": \"{\"b\": \"T\nE\"}\"}");
        assert_eq!(
            readings(&"\\".repeat(1 << 10)).map(|text| text.len()).collect::<Vec<_>>(),
            [1 << 10, 1 << 9, 1 << 8, 1 << 7]
        );
        assert_eq!(
            decoded(r"\ud83d\ude00 \ud83d \ud83d\u0041 \u12 \uzz \q \"),
            "😀 \u{fffd} \u{fffd}A \u{fffd} \u{fffd}zz q \\"
        );
    }
}
