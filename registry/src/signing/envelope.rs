//! Envelopes, signed and verified.

use std::collections::BTreeMap;

use super::{SigningKey, Untrusted, VerifyingKey, untrusted::shown};
use crate::{Envelope, Invalid, Signature};

impl Envelope {
    /// This envelope, signed with `key` as well.
    ///
    /// # Errors
    ///
    /// When it has [`MOST_SIGNATURES`](Self::MOST_SIGNATURES) already.
    #[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
    pub fn sign(self, key: &SigningKey) -> Result<Self, Invalid> {
        let signature = Signature { keyid: key.verifying_key().id(), sig: key.over(&self) };
        self.with(signature)
    }

    /// The keys, each once and in the order of `keys`, that signed this envelope. There is at least one;
    /// compare their number with a threshold where several people have to agree.
    ///
    /// What a signature says of its key is a hint, and not relied upon: every key is tried on every
    /// signature.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Unsigned`], or [`Untrusted::WrongKey`] when none of `keys` made any of the signatures.
    #[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
    pub fn verify<'k>(&self, keys: &'k [VerifyingKey]) -> Result<Vec<&'k VerifyingKey>, Untrusted> {
        let Some(first) = self.signatures().first() else { return Err(Untrusted::Unsigned) };
        let mut prehashes = BTreeMap::new();
        let mut signers: Vec<&VerifyingKey> = Vec::new();
        for key in keys {
            if signers.contains(&key) {
                continue;
            }
            let prehash = prehashes.entry(key.curve()).or_insert_with_key(|curve| curve.prehash(self));
            if self.signatures().iter().any(|signature| key.made(prehash, &signature.sig)) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            return Err(Untrusted::WrongKey { keys: keys.len(), named: shown(&first.keyid) });
        }
        Ok(signers)
    }
}
