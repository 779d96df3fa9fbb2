//! Model signatures: OpenSSF Model Signing v1.0.

mod bundle;
mod coverage;
mod identity;
mod predicate;

use bytes::Bytes;

use self::{bundle::Bundle, predicate::Predicate};
use super::{SigningKey, Untrusted, VerifyingKey, untrusted::shown};
use crate::{Digest, Envelope, FilePath, Invalid, Manifest, ResourceDescriptor, Statement, statement::start};

/// A signature over all files of a version, in the OpenSSF Model Signing format v1.0.
///
/// It is a Sigstore bundle in JSON, usually the file `model.sig` beside the model. It lists every file with
/// its SHA-256; the list is signed. The PyPI tool `model-signing` makes and verifies the same.
///
/// Format: <https://github.com/ossf/model-signing-spec/blob/main/spec/v1.0.md>, signing method `key`,
/// serialization method `files`, SHA-256. A signature in another form (keyless, by certificate, of shards) is
/// refused as [`Untrusted::Unsupported`]; [`json`](Self::json) is whole all the same, so that it can be
/// stored and given to whoever can verify it.
#[derive(Clone, Debug)]
pub struct ModelSignature {
    json: Bytes,
    bundle: Bundle,
}

/// A [`ModelSignature`] that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified<'k> {
    /// The keys that made it, each once. Never empty.
    pub keys: Vec<&'k VerifyingKey>,
    /// What the signer called the model. For people: nothing depends on it.
    pub name: String,
    /// The digest over the digests of all files, in the order in which they are listed. It does not cover the
    /// files' names, so it is no identity; [`Manifest::digest`] is.
    pub root: Digest,
    /// Files of the version that the signer chose not to sign, or that the format leaves out: `.git`,
    /// `.gitignore`, `.gitattributes`, `.github` at the top, and the signature itself.
    pub unsigned: Vec<FilePath>,
}

impl ModelSignature {
    /// Bytes of the longest signature that is read. A hundred thousand files fit.
    pub const LONGEST: usize = Envelope::LONGEST;

    /// The URI of its predicate.
    pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

    /// Signs all files of `manifest` but those that the format leaves out
    /// ([`Verified::unsigned`]). Their bytes are not read again.
    ///
    /// `name` is what the tool takes from the directory's name. Write the signature to `model.sig` at the top
    /// of that directory, or anywhere outside of it.
    ///
    /// # Errors
    ///
    /// When `name` is empty, no file is left to be signed, or the list is too long to be read again.
    pub fn sign(manifest: &Manifest, name: &str, key: &SigningKey) -> Result<Self, Invalid> {
        if name.is_empty() {
            return Err(Invalid::new("model name", name, "a signature needs a name for the model"));
        }
        let predicate = Predicate::of(manifest);
        if predicate.resources.is_empty() {
            let why = "none of its files can be signed; add one that is not left out by the format";
            return Err(Invalid::new("version", manifest.model.to_string(), why));
        }
        let root = predicate.root()?;
        let subject = ResourceDescriptor {
            name: name.to_owned(),
            digest: [("sha256".to_owned(), root.hex())].into(),
            ..ResourceDescriptor::default()
        };
        let statement = Statement::new([subject], Self::PREDICATE_TYPE, predicate);
        let payload = serde_json::to_vec(&statement).expect("strings are JSON");
        let envelope = Envelope::new(Statement::PAYLOAD_TYPE, payload);
        let bundle = Bundle::signed(envelope, key)?;
        Self::decode(bundle.encode())
    }

    /// Reads a signature, without verifying it.
    ///
    /// # Errors
    ///
    /// When it is longer than [`LONGEST`](Self::LONGEST), or no Sigstore bundle v0.3 with a DSSE envelope.
    pub fn decode(json: impl Into<Bytes>) -> Result<Self, Invalid> {
        let json = json.into();
        let wrong = |why| Invalid::new("model signature", String::from_utf8_lossy(start(&json)), why);
        if json.len() > Self::LONGEST {
            return Err(wrong(format!("it is longer than {} bytes", Self::LONGEST)));
        }
        match Bundle::decode(&json) {
            Ok(bundle) => Ok(Self { json, bundle }),
            Err(why) => Err(wrong(why)),
        }
    }

    /// The bundle in JSON, to be written to a file or stored: what was read, byte for byte.
    #[must_use]
    pub const fn json(&self) -> &Bytes {
        &self.json
    }

    /// The envelope in the bundle.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.bundle.envelope
    }

    /// Whether one of `keys` signed just the files of `manifest`: each file once, with this digest, nothing
    /// more and nothing less.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: the signature itself, then its form, then the files by path.
    pub fn verify<'k>(
        &self,
        manifest: &Manifest,
        keys: &'k [VerifyingKey],
    ) -> Result<Verified<'k>, Untrusted> {
        let envelope = self.bundle.verifiable()?;
        let keys = envelope.verify(keys).map_err(|error| self.bundle.name_key(error))?;
        let statement = predicate::read(envelope)?;
        let [subject] = statement.subject.as_slice() else {
            let why = "it must have exactly one subject, the model";
            return Err(Invalid::new("statement", Self::PREDICATE_TYPE, why).into());
        };
        let root = statement.predicate.root()?;
        let signed = subject.digest.get("sha256").map_or("", String::as_str);
        if signed != root.hex() {
            return Err(Untrusted::RootChanged { signed: shown(signed), listed: root });
        }
        let unsigned = coverage::check(manifest, &statement.predicate)?;
        Ok(Verified { keys, name: shown(&subject.name), root, unsigned })
    }
}
