//! The curves, each with its hash.

use std::fmt;

use p256::{
    NistP256,
    elliptic_curve::ALGORITHM_OID,
    pkcs8::{AlgorithmIdentifierRef, AssociatedOid, ObjectIdentifier},
};
use p384::NistP384;
use p521::NistP521;
use sha2::{Sha256, Sha384, Sha512};

use crate::{Envelope, Invalid};

/// A curve of ECDSA keys, used with the hash that OpenSSF model signing gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256 (`secp256r1`, `prime256v1`) with SHA-256.
    P256,
    /// NIST P-384 (`secp384r1`) with SHA-384.
    P384,
    /// NIST P-521 (`secp521r1`) with SHA-512.
    P521,
}

/// What is wrong with a key file that is one, and cannot be read.
pub(super) const DAMAGED: &str = "its content is damaged";

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The curve of a key that a file labels so.
    pub(super) fn of(algorithm: &AlgorithmIdentifierRef<'_>, label: &str) -> Result<Self, Invalid> {
        if algorithm.oid != ALGORITHM_OID {
            let why = "it is not an elliptic-curve key; only ECDSA on P-256, P-384 and P-521 is known";
            return Err(Invalid::new("key", label, why));
        }
        let curve = algorithm.parameters_oid().map_err(|_| Invalid::new("key", label, DAMAGED))?;
        Self::of_name(curve, label)
    }

    /// The curve of this name.
    pub(super) fn of_name(oid: ObjectIdentifier, label: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|curve| curve.oid() == oid).ok_or_else(|| {
            let why = format!("its curve {oid} is not P-256, P-384 or P-521; make a key of one of these");
            Invalid::new("key", label, why)
        })
    }

    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => NistP256::OID,
            Self::P384 => NistP384::OID,
            Self::P521 => NistP521::OID,
        }
    }

    /// The hash of what is signed of `envelope`.
    pub(super) fn prehash(self, envelope: &Envelope) -> Vec<u8> {
        fn hash<D: sha2::Digest>(envelope: &Envelope) -> Vec<u8> {
            D::new()
                .chain_update(envelope.signed_header())
                .chain_update(envelope.payload())
                .finalize()
                .to_vec()
        }
        match self {
            Self::P256 => hash::<Sha256>(envelope),
            Self::P384 => hash::<Sha384>(envelope),
            Self::P521 => hash::<Sha512>(envelope),
        }
    }
}

/// `P-256`, `P-384` or `P-521`.
impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}
