//! Differences as text: where the bounds lie, and how the cases are spread.

use serde_json::{Value, json};
use tidegate::validation::Evidence;

use crate::judge::numbers::short;

/// Characters of the scale.
const WIDTH: usize = 48;
/// Characters of the longest bar.
const LONGEST: usize = 32;
/// Bins of differences on either side of 0.
const SIDE: i32 = 4;

/// The bounds of a number on a scale, with the threshold (`|`): `-0.05 |  [--o--]  0.04`. None without both.
pub(super) fn bounds(evidence: &Evidence) -> Option<String> {
    let (lower, upper) = (evidence.lower?, evidence.upper?);
    let least = lower.min(evidence.threshold);
    let span = upper.max(evidence.threshold) - least;
    if !(span > 0.0 && span.is_finite()) {
        return None;
    }
    let at = |value: f64| (((value - least) / span) * (WIDTH - 1) as f64).round() as usize;
    let mut scale = [' '; WIDTH];
    scale[at(lower)..=at(upper)].fill('-');
    scale[at(evidence.threshold)] = '|';
    scale[at(lower)] = '[';
    scale[at(upper)] = ']';
    scale[at(evidence.estimate).min(WIDTH - 1)] = 'o';
    let scale: String = scale.iter().collect();
    Some(format!("{} {scale} {}", short(least), short(least + span)))
}

/// How many cases differ by how much, a line for each range that has some.
pub(super) fn differences(differences: &[f64]) -> Vec<String> {
    let counts = counted(differences);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let seen = |i: &usize| counts[*i] > 0;
    let (Some(first), Some(last)) = ((0..counts.len()).find(seen), (0..counts.len()).rev().find(seen)) else {
        return Vec::new();
    };
    (first..=last)
        .rev()
        .map(|i| {
            let length = (counts[i] * LONGEST).div_ceil(most);
            let line = format!("{:>16} {:>7} {}", range(i), counts[i], "█".repeat(length));
            line.trim_end().to_owned()
        })
        .collect()
}

/// The same for machines.
pub(super) fn bins(differences: &[f64]) -> Value {
    let bin = |(i, count): (usize, usize)| {
        let (from, to) = edges(i);
        json!({ "from": from, "to": to, "count": count })
    };
    counted(differences).into_iter().enumerate().map(bin).collect()
}

/// Four bins below 0, those that do not differ, and four above.
fn counted(differences: &[f64]) -> Vec<usize> {
    let mut counts = vec![0; 2 * SIDE as usize + 1];
    for difference in differences {
        let away = (difference.abs() * f64::from(SIDE)).ceil().min(f64::from(SIDE)) as i32;
        let bin = SIDE + if *difference < 0.0 { -away } else { away };
        counts[bin as usize] += 1;
    }
    counts
}

fn edges(bin: usize) -> (f64, f64) {
    let (bin, side) = (bin as f64, f64::from(SIDE));
    match bin - side {
        0.0 => (0.0, 0.0),
        away if away > 0.0 => ((away - 1.0) / side, away / side),
        away => (away / side, (away + 1.0) / side),
    }
}

fn range(bin: usize) -> String {
    match edges(bin) {
        (0.0, 0.0) => "alike".to_owned(),
        (from, to) => format!("{from:+.2} to {to:+.2}"),
    }
}
