//! What was observed in one window, as a line of JSON.

use std::{
    collections::BTreeMap,
    fmt, iter,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use tidegate::metrics::{Measurement, Metric, Missing, Observation, Pair, Window};

use super::lines::{Line, Place};
use crate::failure::Failure;

/// An example for those whose line was none.
const EXAMPLE: &str = r#"write for example {"end": 60, "metric": "errors", "baseline": {"n": 900, "x": 9}, "candidate": {"n": 100, "x": 3}}"#;

/// What was observed in one window.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) place: Place,
    /// The window's end as it was written.
    pub(crate) end: Box<RawValue>,
    pub(crate) metric: Metric,
    pub(crate) window: Window,
    /// Without a baseline if the line has none.
    pub(crate) pair: Pair,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    end: &'a RawValue,
    #[serde(borrow, default)]
    start: Option<&'a RawValue>,
    metric: String,
    #[serde(borrow, default)]
    baseline: Option<&'a RawValue>,
    #[serde(borrow, default)]
    candidate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Side<'a> {
    n: Option<Whole>,
    x: Option<Whole>,
    values: Option<Vec<f64>>,
    edges: Option<Vec<f64>>,
    counts: Option<Vec<Whole>>,
    sum: Option<f64>,
    count: Option<Whole>,
    #[serde(borrow)]
    strata: Option<BTreeMap<String, &'a RawValue>>,
}

/// A count: `100`, and `100.0` and `1e2` as well, as many programs know no other numbers.
struct Whole(u64);

impl Observed {
    pub(crate) fn parse(line: Line) -> Result<Self, Failure> {
        let Line { place, text, .. } = line;
        if !text.starts_with('{') {
            return Err(place.wrong(format!("is no JSON object; {EXAMPLE}")));
        }
        let written: Written<'_> = serde_json::from_str(&text)
            .map_err(|error| place.wrong(format!("is no window: {}; {EXAMPLE}", said(&error, 0))))?;
        let side = |name: &str, raw: &RawValue| {
            // Where in the line the side begins, so that columns are those of the line.
            let before = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            observation(raw, before, true).map_err(|why| place.wrong(format!("is no window: {name}: {why}")))
        };
        let candidate = written.candidate.map(|raw| side("candidate", raw)).transpose()?;
        let baseline = written.baseline.map(|raw| side("baseline", raw)).transpose()?;
        let window =
            window(written.start, written.end).map_err(|why| place.wrong(format!("is no window: {why}")))?;
        let candidate = candidate.map_or(Measurement::Missing(Missing::NoData), Measurement::Observed);
        let pair = Pair::new(candidate, baseline.map(Measurement::Observed));
        Ok(Self { end: written.end.to_owned(), metric: Metric::new(written.metric), window, pair, place })
    }

    /// The window's end for people.
    pub(crate) fn ended(&self) -> String {
        let raw = self.end.get();
        serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned())
    }
}

/// What an error says, with the column as it is in the line: JSON is counted from line 1 of itself.
fn said(error: &serde_json::Error, before: usize) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = shortened(text.strip_suffix(&place).unwrap_or(&text), 300);
    format!("{what} (column {})", before + error.column())
}

fn observation(raw: &RawValue, before: usize, may_have_strata: bool) -> Result<Observation, String> {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err(format!("{} is no side; {SHAPES}", shortened(text, 40)));
    }
    let side: Side<'_> = serde_json::from_str(text).map_err(|error| said(&error, before))?;
    let Side { n, x, values, edges, counts, sum, count, strata } = side;
    match (n, x, values, edges, counts, sum, count, strata) {
        (Some(Whole(n)), Some(Whole(x)), None, None, None, None, None, None) => Observation::proportion(x, n)
            .ok_or_else(|| format!("x is {x} of {n}, but no more than all requests can be hits")),
        (None, None, Some(values), None, None, None, None, None) => {
            Observation::values(values).ok_or_else(|| "values must be finite".to_owned())
        }
        (None, None, None, Some(edges), Some(counts), None, None, None) => {
            let counts = counts.into_iter().map(|Whole(count)| count).collect();
            Observation::histogram(edges, counts).ok_or_else(|| EDGES.to_owned())
        }
        (None, None, None, None, None, Some(sum), Some(Whole(count)), None) => {
            Observation::total(sum, count).ok_or_else(|| format!("sum is {sum}, but count is 0"))
        }
        (None, None, None, None, None, None, None, Some(strata)) if may_have_strata => {
            let stratum = |(name, raw): (String, &RawValue)| {
                let before = before + (raw.get().as_ptr() as usize - text.as_ptr() as usize);
                match observation(raw, before, false) {
                    Ok(observation) => Ok((name, observation)),
                    Err(why) => Err(format!("stratum `{name}`: {why}")),
                }
            };
            let strata = strata.into_iter().map(stratum).collect::<Result<_, _>>()?;
            Observation::strata(strata).ok_or_else(|| STRATA.to_owned())
        }
        _ => Err(format!("it is not clear what was observed; {SHAPES}")),
    }
}

const EDGES: &str =
    "edges must ascend, and there is one count more than edges, for what lies above all of them";
const STRATA: &str = "strata must be of one kind, and there must be at least one";
const SHAPES: &str = r#"write one of {"n": requests, "x": hits}, {"values": []}, {"edges": [], "counts": []}, {"sum": 0, "count": 0} and {"strata": {"name": side}}, or null"#;

/// Windows here begin and end a nanosecond later than they say, so that there is one that ends at 0. One
/// that does not say where it starts is a nanosecond long.
fn window(start: Option<&RawValue>, end: &RawValue) -> Result<Window, String> {
    let instant = |name: &str, raw: &RawValue| {
        since_epoch(raw.get()).and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)).ok_or_else(|| {
            let raw = shortened(raw.get(), 40);
            format!("{name} is {raw}; write seconds since 1970, or a time such as \"2026-11-24T15:04:05Z\"")
        })
    };
    let end = instant("end", end)?;
    let start = start.map(|start| instant("start", start)).transpose()?;
    let nanosecond = Duration::from_nanos(1);
    start
        .map_or(Some(end), |start| start.checked_add(nanosecond))
        .zip(end.checked_add(nanosecond))
        .and_then(|(start, end)| Window::new(start, end))
        .ok_or_else(|| "a window starts before it ends, and ends before the year 10000".to_owned())
}

fn since_epoch(json: &str) -> Option<Duration> {
    if json.starts_with('"') {
        return rfc3339(&serde_json::from_str::<String>(json).ok()?);
    }
    match json.split_once('.') {
        _ if json.contains(['e', 'E']) => Duration::try_from_secs_f64(json.parse().ok()?).ok(),
        None => json.parse().ok().map(Duration::from_secs),
        // Not by way of an `f64`, which tells no two nanoseconds of our time apart.
        Some((whole, fraction)) => {
            let nanos: String = fraction.chars().chain(iter::repeat('0')).take(9).collect();
            Some(Duration::new(whole.parse().ok()?, nanos.parse().ok()?))
        }
    }
}

fn rfc3339(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let (local, ahead) = match text.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => {
            let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, seconds_ahead(offset)?)
        }
    };
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let since = local.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let seconds = since.as_secs().checked_add_signed(-ahead)?;
    Some(Duration::new(seconds, since.subsec_nanos()))
}

/// `+02:00`
fn seconds_ahead(offset: &str) -> Option<i64> {
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |text: &str, most: i64| -> Option<i64> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

/// The beginning of what may be long.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 0 to {}", Observation::MAX_TRIALS)
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Whole, E> {
                if count > Observation::MAX_TRIALS {
                    return Err(E::invalid_value(de::Unexpected::Unsigned(count), &self));
                }
                Ok(Whole(count))
            }

            fn visit_f64<E: de::Error>(self, count: f64) -> Result<Whole, E> {
                if !(0.0..=Observation::MAX_TRIALS as f64).contains(&count) || count.fract() != 0.0 {
                    return Err(E::invalid_value(de::Unexpected::Float(count), &self));
                }
                Ok(Whole(count as u64))
            }
        }

        deserializer.deserialize_u64(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_or_rfc_3339() {
        let nanos = |json: &str| since_epoch(json).map(|since| since.as_nanos());
        assert_eq!(nanos("0"), Some(0));
        assert_eq!(nanos("1764331380.000000001"), Some(1_764_331_380_000_000_001));
        assert_eq!(nanos("2.5"), Some(2_500_000_000));
        assert_eq!(nanos("1e3"), Some(1_000_000_000_000));
        assert_eq!(nanos(r#""1970-01-01T00:00:01Z""#), Some(1_000_000_000));
        assert_eq!(nanos(r#""1970-01-01t02:00:01.5+02:00""#), Some(1_500_000_000));
        assert_eq!(nanos(r#""1970-01-01T00:00:01-00:30""#), Some(1_801_000_000_000));
        for wrong in
            ["-1", "1e400", "null", "true", "[]", "1e30", "18446744073709551616", r#""noon""#, r#""é2:00""#]
        {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
    }
}
