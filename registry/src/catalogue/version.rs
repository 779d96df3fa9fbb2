//! What a model's log says about one version.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use semver::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Attestation, Card, Digest, Framework, Invalid, Seq, Stamp};

/// One published version, as a list shows it: what its log says, without asking for its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Published {
    /// The version.
    pub version: Version,
    /// The identity of its content.
    pub digest: Digest,
    /// Bytes of all its files together.
    pub size: u64,
    /// Who published it, and when.
    pub stamp: Stamp,
    /// What of its card one may look for.
    #[serde(flatten)]
    pub summary: Summary,
    /// Statements made about it, those of its card first, then oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attested: Vec<Attested>,
    /// That nobody should start to use it, if somebody said so. See [`Lifecycle::yank`](crate::Lifecycle::yank).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<Withdrawal>,
    /// That nobody may promote its content, if somebody said so. See
    /// [`Lifecycle::quarantine`](crate::Lifecycle::quarantine).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Withdrawal>,
}

/// What of a [`Card`] is in the log, so that versions are found by it without reading their manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// [`Card::framework`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<Framework>,
    /// [`Card::tags`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// [`Card::labels`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// [`Card::metrics`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// That a statement was made; the statement itself is in [`Attestations::of`](crate::Attestations::of) or,
/// for those of the card, in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attested {
    /// The record of the log that says so; that of the publication for a statement of the card.
    pub seq: Seq,
    /// What kind of statement it is.
    pub predicate_type: String,
    /// Who said so, and when.
    pub stamp: Stamp,
    /// What it comes to; see [`Attestation::result`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Which of the record's facts says so; `None` for a statement of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fact: Option<usize>,
}

/// That something was taken back, by whom, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Withdrawal {
    /// The record of the log that says so.
    pub seq: Seq,
    /// Who took it back, and when.
    pub stamp: Stamp,
    /// Why.
    pub reason: String,
}

/// Everything that the log says about a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) published: Published,
    /// The digest of its manifest document.
    pub(crate) manifest: Digest,
    /// The publication that wrote its blobs; unknown for those of before there were such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) publication: Option<Uuid>,
    /// How many blobs it wrote.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) blobs: usize,
    /// Publications that wrote blobs which this version uses as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) borrows: Vec<Uuid>,
    /// That it does not exist any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<Withdrawal>,
}

pub(super) const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A version by the precedence of semantic versions, in which build metadata does not count.
#[derive(Clone, Debug)]
pub(super) struct Precedence(pub(super) Version);

impl Published {
    /// A version of `size` bytes with the content identity `digest`, of which nothing else is said.
    #[must_use]
    pub fn new(version: Version, digest: Digest, size: u64, stamp: Stamp) -> Self {
        Self {
            version,
            digest,
            size,
            stamp,
            summary: Summary::default(),
            attested: Vec::new(),
            yanked: None,
            quarantined: None,
        }
    }

    /// Whether it may be chosen by whoever did not ask for just this version: nobody took it back.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        self.yanked.is_none() && self.quarantined.is_none()
    }
}

impl Summary {
    /// Bytes of the longest summary, as JSON. A hundred thousand versions have to fit into memory.
    const LONGEST: usize = 16 << 10;

    /// What of `card` one may look for.
    pub(crate) fn of(card: &Card) -> Self {
        Self {
            framework: card.framework.clone(),
            tags: card.tags.clone(),
            labels: card.labels.clone(),
            metrics: card.metrics.clone(),
        }
    }

    /// Whether it is short enough to be listed.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let length = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if length <= Self::LONGEST {
            return Ok(());
        }
        let why = format!(
            "framework, tags, labels and metrics may take {} bytes as JSON, these take {length}; put long text into the description",
            Self::LONGEST
        );
        Err(Invalid::new("card", "", why))
    }
}

impl Attested {
    pub(crate) fn new(seq: Seq, fact: Option<usize>, attestation: &Attestation) -> Self {
        Self {
            seq,
            predicate_type: attestation.predicate_type.clone(),
            stamp: attestation.stamp.clone(),
            result: attestation.result(),
            fact,
        }
    }
}

impl Ord for Precedence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl PartialOrd for Precedence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Precedence {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Precedence {}
