//! What CloudWatch computes of the values of one period.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A [statistic] of CloudWatch, spelt as CloudWatch spells it, since it takes no other spelling:
///
/// * `Sum`, `SampleCount`, `Average`, `Minimum`, `Maximum`, `IQM`;
/// * `p95`, `tm90`, `wm98`, `tc90`, `ts80`: a percentile; the mean without, or with tamed, values above a
///   percentile; the count and the sum of those below it. 0 to 100, with up to ten decimals;
/// * `TM(2%:98%)`, `WM(…)`, `TC(…)`, `TS(…)` between two bounds of which one may be left out, both in percent or
///   both absolute; `PR(:300)` between absolute ones. The lower bound does not belong to the range, the upper does.
///
/// Those that count events and can make up counts are `Sum`, `SampleCount` and, for the buckets of a histogram,
/// `TC(:0.25)`: the number of values up to 0.25. Everything else is a reading.
///
/// [statistic]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stat(String);

/// A text that is no statistic of CloudWatch. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no statistic of CloudWatch: {problem}")]
#[non_exhaustive]
pub struct InvalidStat {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

const BY_NAME: [&str; 6] = ["Sum", "SampleCount", "Average", "Minimum", "Maximum", "IQM"];
const OF_PERCENTILE: [&str; 5] = ["p", "tm", "wm", "tc", "ts"];
const OF_RANGE: [&str; 5] = ["TM", "WM", "TC", "TS", "PR"];

impl Stat {
    /// As CloudWatch spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Stat {
    type Err = InvalidStat;

    fn from_str(text: &str) -> Result<Self, InvalidStat> {
        let problem = if let Some((name, bounds)) = text.split_once('(') {
            of_range(name, bounds)
        } else if let Some(digits) = text.find(|c: char| c.is_ascii_digit()) {
            of_percentile(&text[..digits], &text[digits..])
        } else {
            by_name(text)
        };
        match problem {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(problem) => Err(InvalidStat { text: text.to_owned(), problem }),
        }
    }
}

fn by_name(text: &str) -> Result<(), String> {
    if BY_NAME.contains(&text) {
        return Ok(());
    }
    Err(match BY_NAME.iter().find(|name| name.eq_ignore_ascii_case(text)) {
        Some(name) => format!("write `{name}`"),
        None => format!("write {}, a percentile like `p95` or a range like `TC(:0.5)`", BY_NAME.join(", ")),
    })
}

fn of_percentile(name: &str, number: &str) -> Result<(), String> {
    if !OF_PERCENTILE.contains(&name) {
        return Err(match OF_PERCENTILE.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => format!("write `{known}{number}`"),
            None => format!("before a number stands one of {}", OF_PERCENTILE.join(", ")),
        });
    }
    percentage(number).map(drop)
}

fn of_range(name: &str, bounds: &str) -> Result<(), String> {
    if !OF_RANGE.contains(&name) {
        return Err(match OF_RANGE.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => format!("write `{known}({bounds}`"),
            None => format!("before a range stands one of {}", OF_RANGE.join(", ")),
        });
    }
    let bounds = bounds.strip_suffix(')').ok_or("the range is not closed by )")?;
    let (from, to) = bounds.split_once(':').ok_or("a range is two bounds with a colon, like (10%:90%)")?;
    let given: Vec<_> = [from, to].into_iter().filter(|bound| !bound.is_empty()).collect();
    let percent = given.iter().filter(|bound| bound.ends_with('%')).count();
    if given.is_empty() {
        return Err("one of the two bounds must be given".to_owned());
    }
    if percent != 0 && percent != given.len() {
        return Err("both bounds are in percent, or neither is".to_owned());
    }
    if percent != 0 && name == "PR" {
        return Err("the bounds of PR are values, not percentages".to_owned());
    }
    let numbers = given
        .iter()
        .map(|bound| bound.strip_suffix('%').map_or_else(|| number(bound), percentage))
        .collect::<Result<Vec<_>, _>>()?;
    match numbers.as_slice() {
        [from, to] if from >= to => Err("the first bound must be below the second".to_owned()),
        _ => Ok(()),
    }
}

fn percentage(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value > 100.0 { Err(format!("{text} is more than 100 percent")) } else { Ok(value) }
}

/// Digits, with up to ten decimals.
fn number(text: &str) -> Result<f64, String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() > 18 || decimals.len() > 10 {
        return Err(format!("`{text}` is no number with up to ten decimals"));
    }
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Stat {
    type Error = InvalidStat;

    fn try_from(text: String) -> Result<Self, InvalidStat> {
        text.parse()
    }
}

impl From<Stat> for String {
    fn from(stat: Stat) -> Self {
        stat.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudwatch_knows_is_taken() {
        for known in [
            "Sum",
            "SampleCount",
            "Average",
            "Minimum",
            "Maximum",
            "IQM",
            "p0",
            "p95",
            "p99.9999999999",
            "p100",
            "tm90",
            "wm98.5",
            "tc90",
            "ts80",
            "TM(2%:98%)",
            "TM(150:1000)",
            "WM(:95%)",
            "TC(:0.25)",
            "TS(80%:)",
            "PR(:300)",
            "PR(100:2000)",
        ] {
            assert_eq!(known.parse::<Stat>().unwrap().as_str(), known);
        }
    }

    #[test]
    fn what_is_misspelt_is_refused_with_the_right_spelling() {
        for (wrong, problem) in [
            ("sum", "write `Sum`"),
            ("samplecount", "write `SampleCount`"),
            ("Count", "write Sum, SampleCount"),
            ("", "write Sum, SampleCount"),
            ("P95", "write `p95`"),
            ("TM90", "write `tm90`"),
            ("q95", "before a number stands one of p,"),
            ("p101", "101 is more than 100"),
            ("p95%", "no number"),
            ("p9e1", "no number"),
            ("p99.", "no number"),
            ("p99.12345678901", "no number"),
            ("tm(2%:98%)", "write `TM(2%:98%)`"),
            ("XX(1:2)", "before a range stands one of TM,"),
            ("TM(2%:98%", "not closed"),
            ("TM(98%)", "two bounds"),
            ("TM(:)", "must be given"),
            ("TM(2%:98)", "both bounds"),
            ("TM(98%:2%)", "below the second"),
            ("TM(-1:2)", "no number"),
            ("PR(2%:98%)", "values, not percentages"),
        ] {
            let error = wrong.parse::<Stat>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
