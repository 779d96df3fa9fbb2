//! What lies in a model's log: entries of facts, chained by hash.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use semver::Version;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use super::{Attested, Published, Row, Summary, version::is_zero};
use crate::{
    Attestation, BoxError, Cause, Channel, Digest, Error, Invalid, LogKey, Manifest, ModelRef, Policy,
    Result, Seq, Stamp,
};

/// The format that is written, and the only one there is to read.
const FORMAT: u32 = 1;

/// One record of a model's log. Its facts hold together or not at all.
///
/// `prev` chains each entry to the bytes of the one before, so that a history cannot be rewritten in
/// the middle. `txn` makes each entry unique, so that a writer recognises its own.
///
/// Fields may be added within a format when a reader that ignores them still reads the truth; anything
/// else is a new fact or a new format, and both are refused by readers that do not know them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    v: u32,
    pub(crate) seq: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prev: Option<Digest>,
    txn: Uuid,
    pub(crate) stamp: Stamp,
    pub(crate) facts: Vec<Fact>,
}

/// Something that is true of the model from this entry on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fact {
    /// Somebody says something about a version.
    Attest { version: Version, attestation: Attestation },
    /// Objects that no version uses, nor any ever may, are about to be removed.
    Condemn(Garbage),
    /// A version does not exist any more.
    Delete { version: Version, reason: String },
    /// A channel came to point nowhere; it had pointed where move `seq` said.
    Demote { channel: Channel, seq: Seq, reason: String },
    /// Content may be promoted again.
    Lift { digest: Digest, reason: String },
    /// What has to hold for a version that a channel is moved to, from now on.
    Policy {
        channel: Channel,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Policy>,
    },
    /// A channel came to point to a version.
    Promote {
        channel: Channel,
        to: ModelRef,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ModelRef>,
        cause: Cause,
    },
    /// A version exists.
    Publish(Publish),
    /// Content may not be promoted.
    Quarantine { digest: Digest, reason: String },
    /// The version that a channel moved to at `seq` has finished its bake.
    Settle { channel: Channel, seq: Seq },
    /// Condemned objects are gone.
    Sweep(Garbage),
    /// A version may be used again.
    Unyank { version: Version, reason: String },
    /// Nobody should start to use a version.
    Yank { version: Version, reason: String },
}

/// A version, as the log knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Publish {
    pub(crate) version: Version,
    /// The identity of its content.
    pub(crate) digest: Digest,
    /// Bytes of its content.
    pub(crate) size: u64,
    /// The SHA-256 of the stored manifest document.
    pub(crate) manifest: Digest,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// The statements in its card.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attested: Vec<Attested>,
    /// See [`Row::publication`](super::Row).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) publication: Option<Uuid>,
    /// See [`Row::blobs`](super::Row).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) blobs: usize,
    /// See [`Row::borrows`](super::Row).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) borrows: Vec<Uuid>,
}

/// Objects of a model that are to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Garbage {
    /// All blobs that these wrote.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) publications: BTreeSet<Uuid>,
    /// Single blobs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) blobs: BTreeSet<String>,
    /// Manifest documents.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) manifests: BTreeSet<Digest>,
}

impl Fact {
    /// The names of the variants as they are written.
    const NAMES: [&'static str; 13] = [
        "attest",
        "condemn",
        "delete",
        "demote",
        "lift",
        "policy",
        "promote",
        "publish",
        "quarantine",
        "settle",
        "sweep",
        "unyank",
        "yank",
    ];
}

impl Publish {
    /// A version as its manifest describes it, whose document has the digest `document`, in record `seq`.
    pub(crate) fn of(manifest: &Manifest, document: Digest, seq: Seq) -> Self {
        let card = &manifest.card;
        Self {
            version: manifest.model.version().clone(),
            digest: manifest.digest,
            size: manifest.size,
            manifest: document,
            summary: Summary::of(card),
            attested: card.attestations.iter().map(|said| Attested::new(seq, None, said)).collect(),
            publication: None,
            blobs: 0,
            borrows: Vec::new(),
        }
    }

    #[cfg(feature = "object-store")]
    /// With the publication that wrote so many blobs for it, and those whose blobs it uses besides.
    pub(crate) fn written_by(self, publication: Uuid, blobs: usize, borrows: Vec<Uuid>) -> Self {
        Self { publication: Some(publication), blobs, borrows, ..self }
    }
}

impl Publish {
    /// What the log says about the version from record `seq` on, which `stamp` wrote.
    pub(crate) fn into_row(self, seq: Seq, stamp: &Stamp) -> Row {
        let Self { version, digest, size, manifest, summary, attested, publication, blobs, borrows } = self;
        let mut published = Published::new(version, digest, size, stamp.clone());
        published.summary = summary;
        published.attested =
            attested.into_iter().map(|attested| Attested { seq, fact: None, ..attested }).collect();
        Row { published, manifest, publication, blobs, borrows, deleted: None }
    }
}

impl Garbage {
    #[cfg(feature = "object-store")]
    pub(crate) fn is_empty(&self) -> bool {
        self.publications.is_empty() && self.blobs.is_empty() && self.manifests.is_empty()
    }
}

impl Entry {
    /// An entry that nobody else can have written.
    pub(crate) fn new(seq: Seq, prev: Option<Digest>, stamp: Stamp, facts: Vec<Fact>) -> Self {
        Self { v: FORMAT, seq, prev, txn: Uuid::now_v7(), stamp, facts }
    }

    pub(crate) fn encode(&self, key: &LogKey) -> Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| {
            Invalid::new("record", what(key, self.seq), format!("it cannot be written as JSON ({error})"))
                .into()
        })
    }

    /// Reads record `seq` of `key`.
    pub(crate) fn decode(key: &LogKey, seq: Seq, bytes: &[u8]) -> Result<Self> {
        let outline: Outline = serde_json::from_slice(bytes).map_err(|error| corrupt(key, seq, error))?;
        if let Some(found) = outline.unknown() {
            return Err(Error::TooNew { what: what(key, seq), found });
        }
        serde_json::from_slice(bytes).map_err(|error| corrupt(key, seq, error))
    }
}

/// The part of an entry that every format has: enough to tell a later one from a damaged one.
#[derive(Deserialize)]
struct Outline {
    v: u32,
    #[serde(default)]
    facts: IgnoredOr<Vec<BTreeMap<String, IgnoredAny>>>,
}

/// A `T` if it looks like one, nothing otherwise.
#[derive(Deserialize)]
#[serde(untagged)]
enum IgnoredOr<T> {
    Is(T),
    Other(IgnoredAny),
}

impl<T> Default for IgnoredOr<T> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl Outline {
    /// What a later tidegate has put here, if it did.
    fn unknown(&self) -> Option<String> {
        if self.v != FORMAT {
            return Some(format!("format {}", self.v));
        }
        let IgnoredOr::Is(facts) = &self.facts else { return None };
        let mut names = facts.iter().flat_map(|fact| fact.keys());
        names
            .find(|name| !Fact::NAMES.contains(&name.as_str()))
            .map(|name| format!("fact `{}`", name.escape_debug()))
    }
}

/// How a record is named in errors.
pub(crate) fn what(key: &LogKey, seq: Seq) -> String {
    format!("record {seq} of {key}")
}

pub(crate) fn corrupt(key: &LogKey, seq: Seq, source: impl Into<BoxError>) -> Error {
    Error::Corrupt { what: what(key, seq), source: source.into() }
}
