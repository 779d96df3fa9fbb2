//! What a version is: its files, and what its publisher says about it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Attestation, Digest, Error, FilePath, Hasher, ModelRef, Profile, Result, Stamp,
    transfer::source::check_paths,
};

/// Bytes of a part: every file is hashed whole and in parts of this size, so that a download can
/// verify parts in parallel and as they arrive.
pub const PART_SIZE: u64 = 64 << 20;

/// Everything that is fixed about a version when it is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// The version.
    pub model: ModelRef,
    /// The identity of its content; see [`content_digest`].
    pub digest: Digest,
    /// Bytes of all files together.
    pub size: u64,
    /// The files, ascending by path. Never empty.
    pub files: Vec<File>,
    /// Who published it, and when.
    pub created: Stamp,
    /// What the publisher says about it.
    #[serde(flatten)]
    pub card: Card,
    /// What its files say about themselves, where its publisher looked. Not part of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a file is its path, its size and its digests")]
pub struct File {
    /// Where it lies in the version.
    pub path: FilePath,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// SHA-256 of each [`PART_SIZE`] part, in order; the last may be shorter. Empty for an empty file.
    pub parts: Vec<Digest>,
}

/// What a publisher says about a version. Everything is optional; nothing is interpreted by tidegate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Card {
    /// What the model is for, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<Framework>,
    /// Numbers measured before publication, for example `accuracy = 0.93`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Statements about the version made before publication, such as validation results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Free key-value pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Ancestor>,
}

/// A training or inference framework, such as `pytorch` `2.9.1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Framework {
    /// Its name.
    pub name: String,
    /// Its version, in its own numbering.
    pub version: String,
}

/// Where a version comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Ancestor {
    /// How it descends from it.
    pub relation: Relation,
    /// What it descends from, for example `tidegate:base-model@2.1.0`.
    pub uri: String,
    /// The ancestor's content, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// How a version descends from an [`Ancestor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Relation {
    /// It is an adapter to be loaded over the ancestor.
    AdapterOf,
    /// The ancestor is a data set that it was evaluated on.
    EvaluatedBy,
    /// It was trained further from the ancestor's weights.
    FinetunedFrom,
    /// Its weights were merged from several ancestors.
    MergedFrom,
    /// It is the ancestor in fewer bits.
    QuantizedFrom,
    /// The ancestor is a data set that it was trained on.
    TrainedOn,
}

impl Manifest {
    /// Puts a manifest together; `files` are sorted by path, and size and digest follow from them.
    #[must_use]
    pub fn new(model: ModelRef, mut files: Vec<File>, created: Stamp, card: Card) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let digest = content_digest(&files);
        let size = files.iter().map(|file| file.size).sum();
        Self { model, digest, size, files, created, card, profile: None }
    }

    /// The same with what its files say about themselves, if they say anything.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> Self {
        Self { profile: Some(profile).filter(|profile| !profile.is_empty()), ..self }
    }

    /// The file at `path`.
    #[must_use]
    pub fn file(&self, path: &FilePath) -> Option<&File> {
        let at = self.position(path).ok()?;
        self.files.get(at)
    }

    /// Where the file at `path` lies in `files`, or [`Error::NotFound`].
    pub(crate) fn position(&self, path: &FilePath) -> Result<usize> {
        self.files.binary_search_by(|file| file.path.cmp(path)).map_err(|_| Error::NotFound {
            what: format!("{path} in {}", self.model),
            remedy: format!("its manifest lists {} files, {} among them", self.files.len(), self.example()),
        })
    }

    /// Whether this can be the manifest of `model`: its parts agree with each other, so that a reader
    /// may rely on each of them. Says what is wrong if it cannot.
    pub(crate) fn check(&self, model: &ModelRef) -> Result<()> {
        let wrong =
            |why: String| Error::Corrupt { what: format!("the manifest of {model}"), source: why.into() };
        if self.model != *model {
            return Err(wrong(format!("it says that it is of {}", self.model)));
        }
        if self.files.is_empty() {
            return Err(wrong("it lists no files".to_owned()));
        }
        if !self.files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(wrong("its files are not in ascending order".to_owned()));
        }
        check_paths(self.files.iter().map(|file| &file.path)).map_err(|error| wrong(error.to_string()))?;
        if let Some(file) = self.files.iter().find(|file| !file.is_consistent()) {
            return Err(wrong(format!("size, digest and parts of {} do not fit together", file.path)));
        }
        let size = self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size));
        if size != Some(self.size) {
            return Err(wrong("its size is not that of its files".to_owned()));
        }
        if content_digest(&self.files) != self.digest {
            return Err(wrong("its digest is not that of its files".to_owned()));
        }
        Ok(())
    }

    fn example(&self) -> &str {
        self.files.first().map_or("none", |file| file.path.as_str())
    }
}

impl File {
    /// As many parts as the size asks for, and where one of them is the whole file, the same digest.
    fn is_consistent(&self) -> bool {
        match self.parts.as_slice() {
            [] => self.size == 0 && self.digest == Digest::of([]),
            [only] => (1..=PART_SIZE).contains(&self.size) && self.digest == *only,
            parts => self.size.div_ceil(PART_SIZE) == parts.len() as u64,
        }
    }
}

/// The identity of a set of files: the SHA-256 of what `sha256sum` prints for them, ascending by path.
///
/// ```text
/// LC_ALL=C find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum -- | sha256sum
/// ```
///
/// Paths take part. (The root digest of an OpenSSF model signature does not cover them, so there two
/// versions that differ only in a file's name can be one; it is kept for signatures alone.)
#[must_use]
pub fn content_digest(files: &[File]) -> Digest {
    let mut hasher = Hasher::default();
    for file in files {
        hasher.update(file.digest.hex().as_bytes());
        hasher.update(b"  ");
        hasher.update(file.path.as_str().as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish()
}
