//! Is the answer the right number?

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, Texts, words::quoted};
use crate::{Reply, dataset::Question, excerpt::excerpt};

/// The answer gives the expected number, within a tolerance.
///
/// Numbers are found in running text: `The total is $1,234.50.` gives 1234.5. A point separates
/// decimals; commas, narrow spaces and underscores may separate groups of three digits. A minus sign counts where
/// no word or digit stands before it, so `GPT-4` and `3-5` hold no negative number; digits within a word, as
/// in `x2`, are no number. Units, currencies and per cent signs are passed over: 50 % is 50.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Number {
    /// The expected number, any of them; each is text with one number in it.
    pub value: Texts,
    /// How far off it may be.
    pub absolute: f64,
    /// How far off it may be, as a share of the expected number. The wider of the two counts.
    pub relative: f64,
    /// Which number of the answer is the answer.
    pub which: Which,
}

/// Which of several numbers is the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Which {
    /// Any of them.
    Any,
    /// The first.
    First,
    /// The last, as after a calculation.
    #[default]
    Last,
    /// The only one; several are wrong.
    Only,
}

impl Number {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let expected = self.value.or_targets(question)?;
        let wanted: Vec<f64> = expected.iter().filter_map(|text| only(text)).collect();
        if wanted.len() < expected.len() {
            let why = format!("{} should each hold one number", quoted(expected));
            return Err(ScoreError::unscorable(why));
        }
        let found = numbers(&reply.text);
        let candidates: &[f64] = match (self.which, found.as_slice()) {
            (_, []) => &[],
            (Which::Any, all) => all,
            (Which::First, [first, ..]) => &[*first],
            (Which::Last, [.., last]) => &[*last],
            (Which::Only, [one]) => &[*one],
            (Which::Only, _) => &[],
        };
        let near = |found: f64, wanted: f64| {
            (found - wanted).abs() <= self.absolute.max(self.relative * wanted.abs())
        };
        let hit = candidates.iter().find(|&&found| wanted.iter().any(|&wanted| near(found, wanted)));
        Ok(match hit {
            Some(number) => Score::whether(true, format!("gives {number}")),
            None => {
                let answered = excerpt(&reply.text, 200);
                let found = candidates.first().map_or_else(|| "no number".to_owned(), f64::to_string);
                Score::whether(false, format!("{} expected, {found} found in: {answered}", quoted(expected)))
            }
        })
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        let wrong = |tolerance: f64| !(tolerance >= 0.0 && tolerance.is_finite());
        if wrong(self.absolute) {
            return Some(("absolute", format!("{} must be a number from 0", self.absolute)));
        }
        if wrong(self.relative) {
            return Some(("relative", format!("{} must be a number from 0", self.relative)));
        }
        let no_number = self.value.0.iter().find(|text| only(text).is_none());
        no_number.map(|text| ("value", format!("`{}` must hold one number", excerpt(text, 40))))
    }
}

/// The number in `text`, if there is exactly one.
fn only(text: &str) -> Option<f64> {
    match numbers(text).as_slice() {
        [number] => Some(*number),
        _ => None,
    }
}

/// All numbers in `text`, in order.
fn numbers(text: &str) -> Vec<f64> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let before = at.checked_sub(1).map(|i| chars[i]);
        let is_start = chars[at].is_ascii_digit()
            || chars[at] == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit);
        if !is_start {
            at += 1;
            continue;
        }
        let (number, end) = scan(&chars, at);
        let in_word = before.is_some_and(|c| c.is_alphabetic() || c == '_');
        let hyphenated = before == Some('-') && at >= 2 && chars[at - 2].is_alphabetic();
        if !in_word && !hyphenated {
            let negative = match before {
                Some('-' | '\u{2212}') => {
                    at < 2 || !(chars[at - 2].is_alphanumeric() || chars[at - 2] == ')')
                }
                _ => false,
            };
            found.extend(number.map(|number| if negative { -number } else { number }));
        }
        at = end;
    }
    found
}

/// The number that begins at `start`, and where it ends.
fn scan(chars: &[char], start: usize) -> (Option<f64>, usize) {
    let digits =
        |from: usize| chars[from.min(chars.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = start + digits(start);
    let mut text: String = chars[start..end].iter().collect();
    let mut group = end - start;
    // Groups of three digits, the first of one to three.
    while (1..=3).contains(&group)
        && matches!(chars.get(end), Some(',' | '_' | '\u{a0}' | '\u{202f}' | '\u{2009}'))
        && digits(end + 1) == 3
    {
        text.extend(&chars[end + 1..end + 4]);
        end += 4;
        group = 3;
    }
    if chars.get(end) == Some(&'.') && digits(end + 1) > 0 {
        let fraction = digits(end + 1);
        text.extend(&chars[end..=end + fraction]);
        end += 1 + fraction;
    }
    if matches!(chars.get(end), Some('e' | 'E')) {
        let signed = usize::from(matches!(chars.get(end + 1), Some('+' | '-')));
        let exponent = digits(end + 1 + signed);
        let glued = chars.get(end + 1 + signed + exponent).is_some_and(|c| c.is_alphanumeric());
        if (1..=4).contains(&exponent) && !glued {
            text.extend(&chars[end..=end + signed + exponent]);
            end += 1 + signed + exponent;
        }
    }
    (text.parse().ok().filter(|number: &f64| number.is_finite()), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_running_text() {
        for (text, expected) in [
            ("The total is $1,234.50.", &[1234.5][..]),
            ("#### 42", &[42.0]),
            ("between 3-5 and -7", &[3.0, 5.0, -7.0]),
            ("GPT-4 and x2 and a_3", &[]),
            ("about −12 °C", &[-12.0]),
            ("6.02e23 molecules, 1e-3 m, 5 e", &[6.02e23, 1e-3, 5.0]),
            ("1, 2, 3", &[1.0, 2.0, 3.0]),
            ("1,2,3", &[1.0, 2.0, 3.0]),
            ("12,345,678 and 1,23", &[12_345_678.0, 1.0, 23.0]),
            ("2.75.", &[2.75]),
            (".5 or 50%", &[0.5, 50.0]),
            ("4km", &[4.0]),
            ("2024-11-22", &[2024.0, 11.0, 22.0]),
            ("(-3)", &[-3.0]),
            ("1 000", &[1.0, 0.0]),
            ("1\u{202f}000", &[1000.0]),
            ("", &[]),
            ("1e99999", &[1.0]),
            ("1e9999", &[]),
        ] {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn the_wider_tolerance_counts() {
        let question = Question::new("q", "?").with_target("200");
        let passes = |absolute, relative, said: &str| {
            let number = Number { absolute, relative, ..Number::default() };
            number.score(&question, &Reply::text(said)).unwrap().passed
        };
        assert!(passes(0.0, 0.0, "200.0") && !passes(0.0, 0.0, "200.1"));
        assert!(passes(1.0, 0.0, "199") && !passes(1.0, 0.0, "198.9"));
        assert!(passes(1.0, 0.01, "198") && !passes(1.0, 0.01, "197.9"));
        assert!(!passes(9.0, 9.0, "none"));
    }

    #[test]
    fn one_of_several_numbers_is_the_answer() {
        let question = Question::new("q", "?").with_target("7");
        let passes = |which, said: &str| {
            let number = Number { which, ..Number::default() };
            number.score(&question, &Reply::text(said)).unwrap().passed
        };
        assert!(passes(Which::Last, "3 + 4 = 7") && !passes(Which::First, "3 + 4 = 7"));
        assert!(passes(Which::Any, "7 is 3 + 4") && !passes(Which::Last, "7 is 3 + 4"));
        assert!(passes(Which::Only, "It is 7.") && !passes(Which::Only, "7 of 8"));
    }

    #[test]
    fn a_target_without_a_number_is_unknown_never_a_miss() {
        let question = Question::new("q", "?").with_target("seven");
        assert!(Number::default().score(&question, &Reply::text("7")).is_err());
    }
}
