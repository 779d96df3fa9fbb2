//! Arguments that several subcommands read alike.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use clap::Args;
use tidegate::registry::{Expect, Invalid, ModelName, ModelRef, Seq};

use crate::failure::Failure;

/// What the caller believes about a channel that is to be moved.
#[derive(Debug, Args)]
pub(crate) struct Expectation {
    /// Only if the channel is here now: a version, `none` if it points nowhere, or the SEQ of its last move
    #[arg(long, value_name = "REF|none|SEQ")]
    expect: Option<Expected>,
}

/// Where a channel is expected to be.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Nothing,
    Seq(Seq),
    Version(ModelRef),
}

impl Expectation {
    pub(crate) fn of(self, name: &ModelName) -> Result<Expect, Failure> {
        self.expect.map_or(Ok(Expect::Any), |expected| expected.of(name))
    }
}

impl Expected {
    /// The same of a channel of `name`, which can only point to versions of that model.
    pub(crate) fn of(self, name: &ModelName) -> Result<Expect, Failure> {
        match self {
            Self::Nothing => Ok(Expect::Absent),
            Self::Seq(seq) => Ok(Expect::Seq(seq)),
            Self::Version(at) if at.name() == name => Ok(Expect::At(at)),
            Self::Version(at) => {
                let why = format!("--expect {at} is another model than {name}; write {name}@VERSION or none");
                Err(Failure::Misused(why))
            }
        }
    }
}

impl FromStr for Expected {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        match s.parse::<u64>() {
            _ if s == "none" => Ok(Self::Nothing),
            Ok(n) => Seq::try_from(n).map(Self::Seq),
            Err(_) => s.parse().map(Self::Version),
        }
    }
}

/// `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for example team=risk")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A time in UTC; a day alone is its beginning.
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    let day = format!("{text}T00:00:00Z");
    humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339(&day)).map_err(|_| {
        "write it in UTC, for example 2026-11-24T15:04:05Z, or 2026-11-24 for its beginning".into()
    })
}

/// A length of time.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write numbers with their units, for example 90s, 12h or 7d".to_owned())
}

/// How many.
pub(crate) fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number".to_owned())
}

/// How many, at least one.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    number(text).ok().filter(|n| *n > 0).ok_or_else(|| "write a whole number from 1 on".to_owned())
}

/// The number of a record.
pub(crate) fn seq(text: &str) -> Result<Seq, String> {
    let n: u64 = text.parse().map_err(|_| "write a number from the column SEQ of `tidegate history`")?;
    Seq::try_from(n).map_err(|error| error.to_string())
}

/// Bytes: `50MB`, `1.5 GiB`, or a number alone.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("b", 1),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ];
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let bytes = number.parse::<f64>().ok().zip(unit).map(|(number, (_, unit))| number * *unit as f64);
    // Saturates: what is larger than any machine limits nothing.
    bytes
        .map(|bytes| bytes as u64)
        .ok_or_else(|| "write bytes with a unit, for example 50MB or 40MiB".to_owned())
}

/// Why something is done.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > 1024 {
        return Err("say why, in 1 to 1024 bytes; somebody will ask".to_owned());
    }
    Ok(text.to_owned())
}
