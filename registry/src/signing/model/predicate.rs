//! The predicate of a model signature: the list of files.

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    super::{Untrusted, untrusted::shown},
    ModelSignature, coverage,
};
use crate::{Digest, Envelope, Hasher, Invalid, Manifest, Statement, bounded::bounded};

/// What is signed: the files, and how they were listed. Other keys are skipped when it is read.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Predicate {
    pub(super) serialization: Serialization,
    pub(super) resources: Vec<Resource>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    /// Absent before 1.1 of the tool.
    #[serde(default, deserialize_with = "bounded::<_, _, 4096>")]
    pub(super) ignore_paths: Vec<String>,
}

/// One file.
#[derive(Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) name: String,
    algorithm: String,
    digest: String,
}

impl Predicate {
    /// The files of `manifest` that are signed, ascending by path, which is the order of the format: by
    /// code point and by byte are the same in UTF-8.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let ignore_paths: Vec<_> = coverage::LEFT_OUT.map(str::to_owned).into();
        let covered = manifest.files.iter().filter(|file| !coverage::is_ignored(&file.path, &ignore_paths));
        let resources = covered
            .map(|file| Resource {
                name: file.path.as_str().to_owned(),
                algorithm: SHA_256.to_owned(),
                digest: file.digest.hex(),
            })
            .collect();
        let serialization = Serialization {
            method: FILES.to_owned(),
            hash_type: SHA_256.to_owned(),
            allow_symlinks: false,
            ignore_paths,
        };
        Self { serialization, resources }
    }

    /// The digest over the digests of all files in the order in which they are listed: the tool's order is
    /// by path component, the format's by code point. Refused if no file is listed, or one without a digest.
    pub(super) fn root(&self) -> Result<Digest, Invalid> {
        if self.resources.is_empty() {
            let why = "no file is listed in it; a model has at least one";
            return Err(Invalid::new("statement", ModelSignature::PREDICATE_TYPE, why));
        }
        let mut hasher = Hasher::default();
        for resource in &self.resources {
            hasher.update(resource.digest()?.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Whether it is of a form that can be verified.
    fn check(&self) -> Result<(), Untrusted> {
        let Serialization { method, hash_type, .. } = &self.serialization;
        if method != FILES {
            return unsupported("serialization method", method, "`files`");
        }
        let mut algorithms = self.resources.iter().map(|resource| &resource.algorithm);
        match std::iter::once(hash_type).chain(algorithms.by_ref()).find(|hash| *hash != SHA_256) {
            Some(hash) => unsupported("hash", hash, "`sha256`"),
            None => Ok(()),
        }
    }
}

impl Resource {
    /// The digest, which stands there in lower-case hex.
    pub(super) fn digest(&self) -> Result<Digest, Invalid> {
        format!("sha256:{}", self.digest).parse()
    }
}

const FILES: &str = "files";
const SHA_256: &str = "sha256";

/// The statement in `envelope`, whose signature has been verified.
pub(super) fn read(envelope: &Envelope) -> Result<Statement<Predicate>, Untrusted> {
    if envelope.payload_type() != Statement::PAYLOAD_TYPE {
        return unsupported("payload type", envelope.payload_type(), Statement::PAYLOAD_TYPE);
    }
    let malformed = |error| {
        Invalid::new("statement", ModelSignature::PREDICATE_TYPE, format!("it cannot be read: {error}"))
    };
    let outline: Statement<Option<IgnoredAny>> =
        serde_json::from_slice(envelope.payload()).map_err(malformed)?;
    if outline.predicate_type != ModelSignature::PREDICATE_TYPE {
        return unsupported("predicate type", &outline.predicate_type, ModelSignature::PREDICATE_TYPE);
    }
    let statement: Statement<Predicate> = serde_json::from_slice(envelope.payload()).map_err(malformed)?;
    statement.predicate.check()?;
    Ok(statement)
}

fn unsupported<T>(what: &'static str, found: &str, supported: &'static str) -> Result<T, Untrusted> {
    Err(Untrusted::Unsupported { what, found: shown(found), supported })
}
