//! The numbers in an answer, and their times.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::request::{Look, TimeUnit};
use crate::{
    Window,
    query::{Failure, Points},
};

/// So many values an answer may have: some hundred bytes of memory and a few looks at each.
const MOST_VALUES: usize = 200_000;

/// The points in an answer.
pub(super) fn points(body: &[u8], look: &Look, window: Window) -> Result<Points, Failure> {
    let values = most_values(body);
    if values > MOST_VALUES {
        return Err(Failure::malformed(format!(
            "the answer has {values} values, more than {MOST_VALUES}; ask for less"
        )));
    }
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::malformed(format!("it is not the expected JSON: {error}")))?;
    let found = look.numbers.find(&json);
    let numbers = found.iter().map(|value| number(value).map_err(|problem| at(&look.numbers, &problem)));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    let Some(times) = &look.times else {
        if numbers.len() > 1 && !look.several {
            return Err(at(
                &look.numbers,
                &format!(
                    "there are {} numbers; choose one, give their times, or allow several",
                    numbers.len()
                ),
            ));
        }
        return Ok(numbers.into_iter().flatten().map(|number| (window.end(), number)).collect());
    };
    let found = times.path.find(&json);
    if found.len() != numbers.len() {
        return Err(at(&times.path, &format!("{} times for {} numbers", found.len(), numbers.len())));
    }
    let mut points = Vec::with_capacity(numbers.len());
    for (number, found) in numbers.into_iter().zip(found) {
        let time = time(found, times.unit)
            .ok_or_else(|| at(&times.path, &format!("it is no time in {}: {found}", times.unit.name())))?;
        points.extend(number.map(|number| (time, number)));
    }
    Ok(points.into_iter().collect())
}

fn at(path: &super::JsonPath, problem: &str) -> Failure {
    Failure::malformed(format!("at `{path}`: {problem}"))
}

/// No fewer than the values in a text of JSON: what begins one, or divides two, outside of strings.
fn most_values(body: &[u8]) -> usize {
    let (mut inside, mut escaped, mut values) = (false, false, 1);
    for &byte in body {
        if inside {
            inside = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
        } else {
            inside = byte == b'"';
            values += usize::from(matches!(byte, b',' | b'[' | b'{'));
        }
    }
    values
}

fn number(value: &Value) -> Result<Option<f64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(_) | Value::Bool(_) | Value::Object(_) => None,
    };
    number.map(Some).ok_or_else(|| format!("it is no number: {}", short(value)))
}

/// Something of a value, however large it is.
fn short(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(members) => format!("an object of {} members", members.len()),
        scalar => scalar.to_string(),
    }
}

fn time(value: &Value, unit: TimeUnit) -> Option<SystemTime> {
    let nanoseconds = match unit {
        TimeUnit::Rfc3339 => return rfc3339(value.as_str()?),
        TimeUnit::Seconds => 1_000_000_000,
        TimeUnit::Milliseconds => 1_000_000,
        TimeUnit::Microseconds => 1000,
        TimeUnit::Nanoseconds => 1,
    };
    let since = if let Some(whole) = value.as_u64() {
        let whole = u128::from(whole) * nanoseconds;
        Duration::new(u64::try_from(whole / 1_000_000_000).ok()?, (whole % 1_000_000_000) as u32)
    } else {
        Duration::try_from_secs_f64(value.as_f64()? * nanoseconds as f64 / 1e9).ok()?
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// With `Z`, an offset, or none, which is UTC.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let offset_at = text.len().checked_sub(6).filter(|&at| text.is_char_boundary(at));
    let Some((local, offset)) = offset_at
        .map(|at| text.split_at(at))
        .filter(|(_, offset)| offset.starts_with(['+', '-']) && offset.as_bytes()[3] == b':')
    else {
        return humantime::parse_rfc3339_weak(text).ok();
    };
    let local = humantime::parse_rfc3339_weak(local).ok()?;
    let digits =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (hours, minutes) = (digits(offset.get(1..3)?)?, digits(offset.get(4..6)?)?);
    let offset_by = Duration::from_secs(hours * 3600 + minutes * 60);
    if offset.starts_with('+') { local.checked_sub(offset_by) } else { local.checked_add(offset_by) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(nanoseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
    }

    #[test]
    fn times_are_read_in_their_unit() {
        let expected = at(1_800_000_000_500_000_000);
        for (value, unit) in [
            (json!("2027-01-15T08:00:00.5Z"), TimeUnit::Rfc3339),
            (json!("2027-01-15T08:00:00.5"), TimeUnit::Rfc3339),
            (json!("2027-01-15 10:30:00.5+02:30"), TimeUnit::Rfc3339),
            (json!("2027-01-15T00:00:00.500-08:00"), TimeUnit::Rfc3339),
            (json!(1_800_000_000.5), TimeUnit::Seconds),
            (json!(1_800_000_000_500_u64), TimeUnit::Milliseconds),
            (json!(1_800_000_000_500_000_u64), TimeUnit::Microseconds),
            (json!(1_800_000_000_500_000_000_u64), TimeUnit::Nanoseconds),
        ] {
            assert_eq!(time(&value, unit), Some(expected), "{value}");
        }
        for value in
            [json!("yesterday"), json!("+12:34"), json!("é+12:34"), json!("2027-01-15T08:00:00+aa:bb")]
        {
            assert_eq!(time(&value, TimeUnit::Rfc3339), None, "{value}");
        }
        for value in [json!(-1), json!(1e300), json!(u64::MAX), json!("1"), json!(null), json!(true)] {
            assert_eq!(time(&value, TimeUnit::Seconds), None, "{value}");
        }
    }

    #[test]
    fn values_are_counted_before_they_are_read() {
        for text in [r#"[1, "a,[{\",", {"b": [2, {}]}]"#, "[]", "1", r#"{"a\\": [1, 2, 3]}"#] {
            fn count(value: &Value) -> usize {
                match value {
                    Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
                    Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
                    _ => 1,
                }
            }
            let values = count(&serde_json::from_str(text).unwrap());
            let most = most_values(text.as_bytes());
            assert!((values..=values + 3).contains(&most), "{text}: {values}, {most}");
        }
    }
}
