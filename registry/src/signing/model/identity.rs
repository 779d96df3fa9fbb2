//! Which content a model signature is about.

use super::{ModelSignature, predicate};
use crate::{
    Digest, Envelope, File, Invalid, content_digest,
    signing::{Untrusted, VerifyingKey},
};

impl ModelSignature {
    /// The keys, at least one of `keys` and each once, that signed exactly the content with the identity
    /// `content` ([`Manifest::digest`](crate::Manifest::digest)): the paths and digests that are listed add
    /// up to it. Needs no manifest, and admits no file that was left out.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify); [`Untrusted::OtherSubject`] for other content.
    pub fn signers<'k>(
        envelope: &Envelope,
        content: &Digest,
        keys: &'k [VerifyingKey],
    ) -> Result<Vec<&'k VerifyingKey>, Untrusted> {
        let signers = envelope.verify(keys)?;
        let statement = predicate::read(envelope)?;
        let listed = statement.predicate.resources.iter().map(|resource| {
            let path = resource.name.parse()?;
            Ok(File { path, size: 0, digest: resource.digest()?, parts: Vec::new() })
        });
        let mut files = listed.collect::<Result<Vec<_>, Invalid>>()?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let found = content_digest(&files);
        if found != *content {
            let expected = format!("the content {content}");
            return Err(Untrusted::OtherSubject { expected, found: found.to_string() });
        }
        Ok(signers)
    }
}
