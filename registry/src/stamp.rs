//! Who says something, and when.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Who says something, and when: every write to a registry carries one.
///
/// Serialised with the time in RFC 3339, to the nanosecond.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "who and when is all there is to say")]
pub struct Stamp {
    /// A person, a service account or a pipeline run, in the caller's own terms.
    pub by: String,
    /// The caller's clock. Nothing is ordered by it; logs are ordered by [`Seq`](crate::Seq).
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
}

impl Stamp {
    /// `by`, now. The only place in this crate that reads a clock; give `at` yourself to replay.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the registry asks what time it is")]
    pub fn now(by: impl Into<String>) -> Self {
        Self { by: by.into(), at: SystemTime::now() }
    }

    /// Whether the time can be written as RFC 3339, which has the years up to 9999; of those before
    /// 1970 nobody has published anything.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        const YEAR_10000: u64 = 253_402_300_800;
        match self.at.duration_since(UNIX_EPOCH) {
            Ok(since) if since.as_secs() < YEAR_10000 => Ok(()),
            _ => Err(Invalid::new("time", format!("{:?}", self.at), "stamp with a time from 1970 to 9999")),
        }
    }
}

/// `alice (2026-11-24T15:04:05Z)`, without control characters, as a part of a sentence.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by: String = self.by.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match self.check() {
            Ok(()) => write!(f, "{by} ({})", humantime::format_rfc3339_seconds(self.at)),
            Err(_) => f.write_str(&by),
        }
    }
}
