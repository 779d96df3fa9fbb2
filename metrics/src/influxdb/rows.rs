//! Rows of JSON, in which InfluxDB 3 answers.

use serde_json::{Map, Value};

use crate::{
    Window,
    query::{Failure, Points},
};

/// The points in rows of `time` and one column of numbers.
///
/// A column that is left out is null. What is there as `null` was no finite number: JSON cannot say which.
pub(super) fn points(rows: &[Map<String, Value>], window: Window) -> Result<Points, Failure> {
    const TIME: &str = "time";
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(Map::keys).filter(|name| *name != TIME) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
        if names.len() > 4 {
            break;
        }
    }
    let [name] = names.as_slice() else {
        if names.is_empty() {
            return Ok(Points::none());
        }
        return Err(Failure::malformed(format!(
            "the query gives several columns ({}); select one number, and `time` if it has several rows",
            names.join(", ")
        )));
    };
    let mut points = Vec::new();
    for row in rows {
        let time = match row.get(TIME) {
            Some(Value::String(text)) => humantime::parse_rfc3339_weak(text)
                .map_err(|_| Failure::malformed(format!("`time` is no time in UTC: {text}")))?,
            None if rows.len() == 1 => window.end(),
            None => {
                return Err(Failure::malformed(format!(
                    "the query gives {} rows without `time`; aggregate them to one, or select their times",
                    rows.len()
                )));
            }
            Some(other) => return Err(Failure::malformed(format!("`time` is no time: {other}"))),
        };
        match row.get(*name) {
            None => {}
            Some(Value::Null) => points.push((time, f64::NAN)),
            Some(value) => match value.as_f64() {
                Some(value) => points.push((time, value)),
                None => return Err(Failure::malformed(format!("`{name}` is no number: {value}"))),
            },
        }
    }
    Ok(points.into_iter().collect())
}
