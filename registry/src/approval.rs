//! The predicate of an approval: a person says yes or no.

use serde::{Deserialize, Serialize};

use crate::{Attestation, Invalid, Stamp};

/// Somebody has looked at a version and says whether it may go on.
///
/// Who and when are part of the predicate, so that a signature covers them.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use tidegate_registry::{Approval, Decision, Stamp};
///
/// let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let stamp = Stamp { by: "alice@example.com".to_owned(), at };
/// let approval = Approval { stamp, decision: Decision::Approve, comment: "as agreed".to_owned() };
/// let attestation = approval.attestation()?;
/// assert_eq!(Approval::try_from(&attestation)?, approval);
/// # Ok::<(), tidegate_registry::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Approval {
    /// Who decides, and when.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What they decide.
    pub decision: Decision,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// What an [`Approval`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a person says yes or no")]
pub enum Decision {
    /// The version may go on.
    Approve,
    /// It may not.
    Reject,
}

impl Approval {
    /// The URI of this predicate.
    pub const PREDICATE_TYPE: &str = "tidegate:approval/v1";

    /// This approval as a statement about a version, to be recorded beside it.
    ///
    /// # Errors
    ///
    /// When the time is not one from 1970 to 9999.
    pub fn attestation(&self) -> Result<Attestation, Invalid> {
        self.stamp.check()?;
        let predicate = serde_json::to_value(self).expect("strings and a time that was checked are JSON");
        Ok(Attestation::new(Self::PREDICATE_TYPE, self.stamp.clone(), predicate))
    }
}

/// Reads the predicate; whether the attestation is signed is another question.
impl TryFrom<&Attestation> for Approval {
    type Error = Invalid;

    fn try_from(attestation: &Attestation) -> Result<Self, Invalid> {
        attestation.read(Self::PREDICATE_TYPE)
    }
}
