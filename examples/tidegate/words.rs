//! Numbers, times and tables as people read them.

use std::time::{Duration, SystemTime};

use indicatif::HumanBytes;
use tidegate::registry::{Digest, Stamp};

/// `1 file` or `3 files`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `12.30 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    HumanBytes(n).to_string()
}

/// `134.5 M`: thousands (K), millions, billions (B, as in "a 7B model") and trillions.
pub(crate) fn amount(n: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")];
    match UNITS.iter().find(|(unit, _)| n >= *unit) {
        None => n.to_string(),
        // Cut off, not rounded: 999 999 is no million.
        Some((unit, letter)) => format!("{}.{} {letter}", n / unit, n % unit * 10 / unit),
    }
}

/// The first twelve digits: enough to tell versions apart by eye.
pub(crate) fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// `2026-11-22 20:46:38 UTC by alice`.
pub(crate) fn stamp(stamp: &Stamp) -> String {
    format!("{} by {}", time(stamp.at), plain(&stamp.by))
}

/// `2026-11-22 20:46:38 UTC`.
pub(crate) fn time(at: SystemTime) -> String {
    let at = humantime::format_rfc3339_seconds(at).to_string();
    format!("{} UTC", at.trim_end_matches('Z').replace('T', " "))
}

/// `45 s`, `12 min 30 s`, `2 h 5 min`, `3 d 4 h`: the two greatest units.
pub(crate) fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    let (great, of, small, by) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => ("min", 60, "s", 1),
        3600..86_400 => ("h", 3600, "min", 60),
        _ => ("d", 86_400, "h", 3600),
    };
    match (seconds / of, seconds % of / by) {
        (whole, 0) => format!("{whole} {great}"),
        (whole, part) => format!("{whole} {great} {part} {small}"),
    }
}

/// `45 s`, `12 min`, `2 h`, `3 d`: the greatest unit.
pub(crate) fn roughly(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `text` on one line and without control characters: it was written by others, and neither moves the
/// cursor nor reorders what a person reads (CVE-2021-42574).
pub(crate) fn plain(text: &str) -> String {
    let moves = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if moves(c) { ' ' } else { c }).collect()
}

/// Rows in columns, two blanks between them; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A row of a [`table`].
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(plain).to_vec()
}
