//! in-toto statements: what is said about which artifact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Invalid, ModelRef};

/// An in-toto Statement v1: somebody says `predicate` about every `subject`.
///
/// Format: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>. Fields that the
/// format does not know are skipped when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Statement<P = Value> {
    #[serde(rename = "_type")]
    kind: Kind,
    /// What it is about; never empty in a statement that was read.
    pub subject: Vec<ResourceDescriptor>,
    /// What kind of statement it is: a URI.
    pub predicate_type: String,
    /// What is said.
    #[serde(default)]
    pub predicate: P,
}

/// The one version of the format that is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "https://in-toto.io/Statement/v1")]
    V1,
}

/// What in-toto calls a resource: an artifact by its name, its place, its digests.
///
/// Format: <https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md>, without
/// `content` and `annotations`, which are skipped when they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(
    clippy::exhaustive_structs,
    reason = "passive data, filled in with a literal and `..Default::default()`"
)]
pub struct ResourceDescriptor {
    /// Its name, in the terms of whoever makes the statement.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A URI that identifies it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Digests by algorithm, in lower-case hex: `sha256`, `dirHash`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Where it can be fetched from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub download_location: String,
    /// Its MIME type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
}

impl Statement {
    /// Bytes of the longest statement that is read.
    pub const LONGEST: usize = 4 << 20;

    /// The type of a statement inside an [`Envelope`](crate::Envelope).
    pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

    /// Reads a statement from JSON.
    ///
    /// # Errors
    ///
    /// When it is longer than [`LONGEST`](Self::LONGEST), not a Statement v1, or about nothing.
    pub fn decode(json: &[u8]) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::new("statement", String::from_utf8_lossy(start(json)), why);
        if json.len() > Self::LONGEST {
            return Err(wrong(format!("it is longer than {} bytes", Self::LONGEST)));
        }
        let statement: Self = serde_json::from_slice(json)
            .map_err(|error| wrong(format!("it is not an in-toto Statement v1 ({error})")))?;
        if statement.subject.is_empty() {
            return Err(wrong("it has no subject".to_owned()));
        }
        Ok(statement)
    }
}

impl<P> Statement<P> {
    /// Says `predicate`, of the type `predicate_type`, about `subject`.
    #[must_use]
    pub fn new(
        subject: impl IntoIterator<Item = ResourceDescriptor>,
        predicate_type: impl Into<String>,
        predicate: P,
    ) -> Self {
        Self {
            kind: Kind::V1,
            subject: subject.into_iter().collect(),
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// Whether it is about exactly this version with exactly this content: one of the subjects has the
    /// name and the SHA-256 of [`ResourceDescriptor::version`].
    #[must_use]
    pub fn is_about(&self, model: &ModelRef, content: &Digest) -> bool {
        let (name, hex) = (model.to_string(), content.hex());
        let digest = |there: &ResourceDescriptor| there.digest.get("sha256") == Some(&hex);
        self.subject.iter().any(|there| there.name == name && digest(there))
    }
}

impl ResourceDescriptor {
    /// The version `model` with the content identity `content`
    /// ([`Manifest::digest`](crate::Manifest::digest)).
    ///
    /// The digest stands there twice: as `sha256`, which every verifier knows, and as `dirHash`, in-toto's
    /// name for just this function of a directory, which anybody can compute from the files
    /// (<https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md>).
    #[must_use]
    pub fn version(model: &ModelRef, content: &Digest) -> Self {
        let digest = ["dirHash", "sha256"].map(|algorithm| (algorithm.to_owned(), content.hex()));
        Self { name: model.to_string(), digest: digest.into(), ..Self::default() }
    }
}

/// As much of a document as an error can show.
pub(crate) fn start(bytes: &[u8]) -> &[u8] {
    bytes.get(..400).unwrap_or(bytes)
}
