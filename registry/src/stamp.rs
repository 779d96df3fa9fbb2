//! Who says something, and when.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

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
}
