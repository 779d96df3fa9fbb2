//! Whose signatures a version has.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::{Value, json};
use tidegate::registry::{
    Manifest,
    signing::{ModelSignature, Untrusted, VerifyingKey},
};

use crate::{
    failure::{Failure, unreadable},
    registry::Registry,
    secret::small_file,
    words::plain,
};

/// The public keys that are trusted, and the files that they are in.
#[derive(Debug)]
pub(crate) struct Trusted {
    keys: Vec<VerifyingKey>,
    files: Vec<PathBuf>,
}

/// A key that signed a version.
#[derive(Debug)]
pub(crate) struct Signer {
    id: String,
    file: String,
}

impl Trusted {
    pub(crate) fn read(files: Vec<PathBuf>) -> Result<Self> {
        let wrong = |path: &Path, error| Failure::Misused(format!("key `{}`: {error}", path.display()));
        let read = |path: &PathBuf| {
            let pem = small_file("key", path)?;
            VerifyingKey::from_pem(&pem).map_err(|error| wrong(path, error))
        };
        let keys = files.iter().map(read).collect::<Result<_, Failure>>()?;
        Ok(Self { keys, files })
    }

    /// Those that signed `manifest`: in the file `signature`, or else in the statements about it.
    pub(crate) async fn signers(
        &self,
        manifest: &Manifest,
        signature: Option<&Path>,
        registry: &Registry,
    ) -> Result<Vec<Signer>> {
        let found = match signature {
            Some(path) => {
                let signature = decode(path)?;
                signature.and_then(|signature| Ok(signature.verify(manifest, &self.keys)?.keys))
            }
            None => self.attested(manifest, registry).await?,
        };
        let untrusted = |source| Failure::Untrusted { model: manifest.model.clone(), source };
        Ok(found.map_err(untrusted)?.into_iter().map(|key| self.named(key)).collect())
    }

    /// Those that signed it according to the registry, or why none did: of several reasons the last one's.
    async fn attested(
        &self,
        manifest: &Manifest,
        registry: &Registry,
    ) -> Result<Result<Vec<&VerifyingKey>, Untrusted>> {
        let (mut signers, mut refused) = (Vec::<&VerifyingKey>::new(), Untrusted::Unsigned);
        for said in registry.attestations.of(&manifest.model).await? {
            let signature = said.envelope().filter(|_| said.predicate_type == ModelSignature::PREDICATE_TYPE);
            let Some(envelope) = signature else { continue };
            match ModelSignature::signers(envelope, &manifest.digest, &self.keys) {
                Ok(keys) => {
                    let new: Vec<_> = keys.into_iter().filter(|key| !signers.contains(key)).collect();
                    signers.extend(new);
                }
                Err(error) => refused = error,
            }
        }
        Ok(if signers.is_empty() { Err(refused) } else { Ok(signers) })
    }

    fn named(&self, key: &VerifyingKey) -> Signer {
        let at = self.keys.iter().position(|trusted| trusted == key).expect("only trusted keys were tried");
        Signer { id: key.id(), file: self.files[at].display().to_string() }
    }
}

impl Signer {
    pub(crate) fn text(&self) -> String {
        format!("signed by key {} ({})", self.id, plain(&self.file))
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "id": self.id, "file": self.file })
    }
}

/// What is in a signature file; a file that cannot be read is a mistake, one that makes no sense is no
/// signature.
fn decode(path: &Path) -> Result<Result<ModelSignature, Untrusted>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(ModelSignature::LONGEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::Misused(format!("signature `{}` {}", path.display(), unreadable(&error))))?;
    Ok(ModelSignature::decode(bytes).map_err(Untrusted::Malformed))
}
