//! Public keys.

use std::fmt;

use p256::{
    ecdsa::signature::hazmat::PrehashVerifier as _,
    pkcs8::{EncodePublicKey as _, LineEnding, spki::SubjectPublicKeyInfoRef},
};

use super::{Curve, curve::DAMAGED, pem};
use crate::{Digest, Invalid};

/// A public key: it tells whether somebody who has the private key signed something.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(pub(super) Key);

/// One variant a curve.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl VerifyingKey {
    /// Reads a public key from PEM: a `PUBLIC KEY` block, as `openssl ec -pubout` writes it.
    ///
    /// # Errors
    ///
    /// When it is something else, or a key of another kind than ECDSA on one of the [`Curve`]s.
    pub fn from_pem(pem: &str) -> Result<Self, Invalid> {
        let (label, der) = pem::decode(pem)?;
        let wrong = |why: &str| Invalid::new("key", label, why);
        match label {
            "PUBLIC KEY" => {}
            "CERTIFICATE" => return Err(wrong("take the key out of it with `openssl x509 -pubkey -noout`")),
            "PRIVATE KEY" | "EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
                return Err(wrong(
                    "this is the private key; make the public one with `openssl pkey -pubout`",
                ));
            }
            _ => return Err(wrong("a public key begins with -----BEGIN PUBLIC KEY-----")),
        }
        let damaged = || wrong(DAMAGED);
        let spki = SubjectPublicKeyInfoRef::try_from(der.as_slice()).map_err(|_| damaged())?;
        let key = match Curve::of(&spki.algorithm, label)? {
            Curve::P256 => spki.try_into().map(Key::P256),
            Curve::P384 => spki.try_into().map(Key::P384),
            Curve::P521 => spki.try_into().map(Key::P521),
        };
        key.map(Self).map_err(|_| damaged())
    }

    /// This key in PEM, a `PUBLIC KEY` block (SubjectPublicKeyInfo, RFC 5280), uncompressed.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let pem = match &self.0 {
            Key::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Key::P384(key) => key.to_public_key_pem(LineEnding::LF),
            Key::P521(key) => key.to_public_key_pem(LineEnding::LF),
        };
        pem.expect("a point on a curve has a PEM form")
    }

    /// The name of this key in signatures: the SHA-256 of [`to_pem`](Self::to_pem) in hex, as the PyPI tool
    /// `model-signing` has it.
    #[must_use]
    pub fn id(&self) -> String {
        Digest::of(self.to_pem()).hex()
    }

    /// Its curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        match &self.0 {
            Key::P256(_) => Curve::P256,
            Key::P384(_) => Curve::P384,
            Key::P521(_) => Curve::P521,
        }
    }

    /// Whether `der` is a signature by this key of what has the hash `prehash`.
    pub(super) fn made(&self, prehash: &[u8], der: &[u8]) -> bool {
        match &self.0 {
            Key::P256(key) => p256::ecdsa::Signature::from_der(der)
                .is_ok_and(|signature| key.verify_prehash(prehash, &signature).is_ok()),
            Key::P384(key) => p384::ecdsa::Signature::from_der(der)
                .is_ok_and(|signature| key.verify_prehash(prehash, &signature).is_ok()),
            Key::P521(key) => p521::ecdsa::Signature::from_der(der)
                .is_ok_and(|signature| key.verify_prehash(prehash, &signature).is_ok()),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.curve(), self.id())
    }
}
