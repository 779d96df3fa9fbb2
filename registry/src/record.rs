//! What lies in a model's log: entries of facts, chained by hash.

use std::collections::BTreeMap;

use bytes::Bytes;
use semver::Version;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use crate::{
    Attestation, BoxError, Cause, Channel, Digest, Error, Invalid, LogKey, ModelRef, Result, Seq, Stamp,
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
    /// A channel came to point to a version.
    Promote {
        channel: Channel,
        to: ModelRef,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ModelRef>,
        cause: Cause,
    },
    /// A version exists. `digest` and `size` are of its content, `manifest` is the SHA-256 of the
    /// stored manifest document.
    Publish { version: Version, digest: Digest, size: u64, manifest: Digest },
    /// The version that a channel moved to at `seq` has finished its bake.
    Settle { channel: Channel, seq: Seq },
}

impl Fact {
    /// The names of the variants as they are written.
    const NAMES: [&'static str; 4] = ["attest", "promote", "publish", "settle"];
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
