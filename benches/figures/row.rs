//! How a figure is written: in a row of the table, and as JSON.

use serde_json::{Value, json};

use super::{Outcome, Spread, promised::Promise};

/// What numbers are of, and how they are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    Bytes,
    /// A number of something, such as `windows`.
    Of(&'static str),
    /// Shown as MiB.
    Mebibytes,
    Percent,
    /// Bytes in a second.
    Rate,
    Seconds,
    /// How many times as much.
    Times,
}

impl Unit {
    /// The number as it is shown, and what follows it.
    fn split(self, number: f64) -> (f64, &'static str) {
        match self {
            Self::Bytes if number >= 1e9 => (number / 1e9, " GB"),
            Self::Bytes => (number / 1e6, " MB"),
            Self::Of(what) => (number, what),
            Self::Mebibytes => (number / f64::from(1 << 20), " MiB"),
            Self::Percent => (number, " %"),
            Self::Rate => (number / 1e6, " MB/s"),
            Self::Seconds if number.abs() >= 1.0 => (number, " s"),
            Self::Seconds if number.abs() >= 1e-3 || number == 0.0 => (number * 1e3, " ms"),
            Self::Seconds => (number * 1e6, " µs"),
            Self::Times => (number, " ×"),
        }
    }

    /// With three digits that count.
    pub(crate) fn written(self, spread: Spread) -> String {
        let [(least, below), (most, above)] = [spread.least, spread.most].map(|number| self.split(number));
        let [from, to] = [least, most].map(digits);
        let space = |unit: &str| if unit.starts_with(' ') { unit.to_owned() } else { format!(" {unit}") };
        match (from == to, below == above) {
            (true, true) => format!("{to}{}", space(above)),
            (false, true) => format!("{from} to {to}{}", space(above)),
            (_, false) => format!("{from}{} to {to}{}", space(below), space(above)),
        }
    }
}

/// Three digits that count, and thousands apart.
fn digits(number: f64) -> String {
    let size = number.abs();
    let decimals = match size {
        99.95.. => 0,
        9.995.. => 1,
        0.0995.. => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    if decimals > 0 {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let (sign, whole) = text.strip_prefix('-').map_or(("", text.as_str()), |whole| ("-", whole));
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}", groups.join(" "))
}

/// How good a figure has to be: so large or so small at its worst, or in units of its yardstick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    RatioAtLeast(f64),
    RatioAtMost(f64),
}

impl Wanted {
    pub(crate) fn written(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}", unit.written(least.into())),
            Self::AtMost(most) => format!("≤ {}", unit.written(most.into())),
            Self::RatioAtLeast(least) => format!("≥ {}", Unit::Times.written(least.into())),
            Self::RatioAtMost(most) => format!("≤ {}", Unit::Times.written(most.into())),
        }
    }

    /// Nothing where there was no yardstick. What is not a number holds nothing.
    fn holds(self, measured: Spread, ratio: Option<Spread>) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(measured.least >= least),
            Self::AtMost(most) => Some(measured.most <= most),
            Self::RatioAtLeast(least) => ratio.map(|ratio| ratio.least >= least),
            Self::RatioAtMost(most) => ratio.map(|ratio| ratio.most <= most),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::AtLeast(least) => json!({ "at_least": least }),
            Self::AtMost(most) => json!({ "at_most": most }),
            Self::RatioAtLeast(least) => json!({ "ratio_at_least": least }),
            Self::RatioAtMost(most) => json!({ "ratio_at_most": most }),
        }
    }
}

pub(crate) fn wanted_written(wanted: &[Wanted], unit: Unit) -> String {
    wanted.iter().map(|wanted| wanted.written(unit)).collect::<Vec<_>>().join(" and ")
}

/// A promise, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) promise: &'static Promise,
    pub(crate) outcome: Outcome,
}

pub(crate) const HOLDS: &str = "holds";
pub(crate) const FALLS_SHORT: &str = "**falls short**";
pub(crate) const NOT_MEASURED: &str = "not measured: ";

impl Row {
    /// Whether it is as good as wanted in each way; nothing where nothing is wanted or something was not measured.
    pub(crate) fn holds(&self) -> Option<bool> {
        match &self.outcome {
            Outcome::Measured(figure) if !self.promise.wanted.is_empty() => {
                let each =
                    self.promise.wanted.iter().map(|wanted| wanted.holds(figure.measured, figure.ratio));
                each.reduce(|one, other| Some(one? && other?)).flatten()
            }
            _ => None,
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let Promise { what, unit, beside, wanted, .. } = *self.promise;
        let mut yardstick = beside.to_owned();
        let (measured, ratio) = match &self.outcome {
            Outcome::Measured(figure) => {
                match figure.yardstick {
                    Some(theirs) => yardstick = format!("{beside}: {}", unit.written(theirs)),
                    None if beside.is_empty() => {}
                    None => yardstick = format!("{beside}: {NOT_MEASURED}needs {}", self.promise.needs()),
                }
                let ratio = figure.ratio.map(|ratio| Unit::Times.written(ratio));
                (unit.written(figure.measured), ratio.unwrap_or_default())
            }
            Outcome::NotMeasured(why) => (format!("{NOT_MEASURED}{why}"), String::new()),
        };
        let wanted = wanted_written(wanted, unit);
        let verdict = match self.holds() {
            Some(true) => HOLDS,
            Some(false) => FALLS_SHORT,
            None => "",
        };
        // Cells that are empty have one space.
        let cells = [what, &measured, &yardstick, &ratio, &wanted, verdict];
        let cells = cells.map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") });
        format!("|{}|", cells.join("|"))
    }

    pub(crate) fn json(&self) -> Value {
        let Promise { run, what, unit, beside, wanted } = *self.promise;
        let mut row = json!({
            "figure": what,
            "run": run,
            "unit": match unit {
                Unit::Bytes | Unit::Mebibytes => "B",
                Unit::Of(what) => what,
                Unit::Percent => "%",
                Unit::Rate => "B/s",
                Unit::Seconds => "s",
                Unit::Times => "1",
            },
            "beside": beside,
            "wanted": wanted.iter().map(|wanted| wanted.json()).collect::<Vec<_>>(),
            "holds": self.holds(),
        });
        match &self.outcome {
            Outcome::Measured(figure) => {
                row["measured"] = json!(figure.measured);
                row["yardstick"] = json!(figure.yardstick);
                row["ratio"] = json!(figure.ratio);
            }
            Outcome::NotMeasured(why) => row["not_measured"] = json!(why),
        }
        row
    }
}
