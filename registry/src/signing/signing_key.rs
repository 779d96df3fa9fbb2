//! Private keys.

use std::fmt;

use p256::{
    ecdsa::signature::hazmat::PrehashSigner as _,
    elliptic_curve::Generate as _,
    pkcs8::{EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef},
};
use sec1::{EcParameters, EcPrivateKey};

use super::{Curve, PrivatePem, VerifyingKey, cost, curve::DAMAGED, pem, verifying_key::Key as Public};
use crate::{Envelope, Error, Invalid, Result};

/// A private key. Wiped from memory when dropped, and never printed by `Debug`.
#[derive(Clone)]
pub struct SigningKey(Key);

/// One variant a curve.
#[derive(Clone)]
enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

/// Calls `$body` with the key of whichever curve.
macro_rules! with {
    ($key:expr, |$inner:ident| $body:expr) => {
        match $key {
            Key::P256($inner) => $body,
            Key::P384($inner) => $body,
            Key::P521($inner) => $body,
        }
    };
}

impl SigningKey {
    /// A new key from the system's random number generator.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the system has no randomness to give.
    pub fn generate(curve: Curve) -> Result<Self> {
        let key = match curve {
            Curve::P256 => p256::ecdsa::SigningKey::try_generate().map(Key::P256),
            Curve::P384 => p384::ecdsa::SigningKey::try_generate().map(Key::P384),
            Curve::P521 => p521::ecdsa::SigningKey::try_generate().map(Key::P521),
        };
        key.map(Self).map_err(|error| no_randomness("generate a key", error.to_string()))
    }

    /// Whether [`from_pem`](Self::from_pem) needs a passphrase for this key file.
    #[must_use]
    pub fn is_encrypted(pem: &str) -> bool {
        pem::decode(pem).is_ok_and(|(label, _)| label == ENCRYPTED)
    }

    /// Reads a private key from PEM: a `PRIVATE KEY` (PKCS#8), an `EC PRIVATE KEY` (SEC 1) or an
    /// `ENCRYPTED PRIVATE KEY` (PKCS#8 with PBES2: PBKDF2 or scrypt, and AES). The passphrase is not
    /// looked at when the key is not encrypted.
    ///
    /// Takes some hundred milliseconds where a passphrase is hashed. How long a hostile file can make it
    /// take is bounded: 4 000 000 rounds of PBKDF2, 256 MiB of scrypt.
    ///
    /// # Errors
    ///
    /// When it is something else, a key of another kind than ECDSA on one of the [`Curve`]s, encrypted with
    /// another passphrase or at a higher cost. The message shows nothing of key or passphrase.
    pub fn from_pem(pem: &str, passphrase: Option<&str>) -> Result<Self, Invalid> {
        let (label, der) = pem::decode(pem)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8(&der, label),
            "EC PRIVATE KEY" => Self::from_sec1(&der, label),
            ENCRYPTED => Self::decrypt(&der, passphrase),
            _ => {
                let why = "a private key begins with -----BEGIN PRIVATE KEY-----, EC PRIVATE KEY or ENCRYPTED PRIVATE KEY";
                Err(Invalid::new("key", label, why))
            }
        }
    }

    /// This key in PEM, not encrypted: a `PRIVATE KEY` block (PKCS#8, RFC 5958).
    #[must_use]
    pub fn to_pem(&self) -> PrivatePem {
        with!(&self.0, |key| key.to_pkcs8_pem(LineEnding::LF)).map(PrivatePem).expect(WRITABLE)
    }

    /// This key in PEM, encrypted with `passphrase`: an `ENCRYPTED PRIVATE KEY` block (PKCS#8 with PBES2:
    /// scrypt, N = 2¹⁴, r = 8, p = 1, and AES-256-CBC), which OpenSSL reads.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the system has no randomness to give.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<PrivatePem> {
        let der = with!(&self.0, |key| key.to_pkcs8_der()).expect(WRITABLE);
        let key = PrivateKeyInfoRef::try_from(der.as_bytes()).expect("it was written just now");
        let encrypted =
            key.encrypt(passphrase).map_err(|error| no_randomness("encrypt a key", error.to_string()))?;
        Ok(PrivatePem(encrypted.to_pem(ENCRYPTED, LineEnding::LF).expect(WRITABLE)))
    }

    /// The public key that goes with it.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(match &self.0 {
            Key::P256(key) => Public::P256(*key.verifying_key()),
            Key::P384(key) => Public::P384(*key.verifying_key()),
            Key::P521(key) => Public::P521(*key.verifying_key()),
        })
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

    /// The signature over `envelope`, in DER. The same each time (RFC 6979).
    pub(super) fn over(&self, envelope: &Envelope) -> Vec<u8> {
        let prehash = self.curve().prehash(envelope);
        match &self.0 {
            Key::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign_prehash(&prehash).expect(SIGNABLE);
                signature.as_bytes().to_vec()
            }
            Key::P384(key) => {
                let signature: p384::ecdsa::DerSignature = key.sign_prehash(&prehash).expect(SIGNABLE);
                signature.as_bytes().to_vec()
            }
            Key::P521(key) => {
                let signature: p521::ecdsa::DerSignature = key.sign_prehash(&prehash).expect(SIGNABLE);
                signature.as_bytes().to_vec()
            }
        }
    }

    fn from_pkcs8(der: &[u8], label: &str) -> Result<Self, Invalid> {
        let damaged = || Invalid::new("key", label, DAMAGED);
        let key = PrivateKeyInfoRef::try_from(der).map_err(|_| damaged())?;
        let key = match Curve::of(&key.algorithm, label)? {
            Curve::P256 => key.try_into().map(Key::P256),
            Curve::P384 => key.try_into().map(Key::P384),
            Curve::P521 => key.try_into().map(Key::P521),
        };
        key.map(Self).map_err(|_| damaged())
    }

    fn from_sec1(der: &[u8], label: &str) -> Result<Self, Invalid> {
        let damaged = || Invalid::new("key", label, DAMAGED);
        let key = EcPrivateKey::try_from(der).map_err(|_| damaged())?;
        let Some(EcParameters::NamedCurve(curve)) = key.parameters else {
            let why = "it does not name its curve; convert it with `openssl pkcs8 -topk8 -nocrypt`";
            return Err(Invalid::new("key", label, why));
        };
        let key = match Curve::of_name(curve, label)? {
            Curve::P256 => p256::SecretKey::try_from(key).map(|key| Key::P256(key.into())),
            Curve::P384 => p384::SecretKey::try_from(key).map(|key| Key::P384(key.into())),
            Curve::P521 => p521::SecretKey::try_from(key).map(|key| Key::P521(key.into())),
        };
        key.map(Self).map_err(|_| damaged())
    }

    fn decrypt(der: &[u8], passphrase: Option<&str>) -> Result<Self, Invalid> {
        let wrong = |why: &str| Invalid::new("key", ENCRYPTED, why);
        let Some(passphrase) = passphrase else {
            return Err(wrong("give the passphrase that it is encrypted with"));
        };
        let key = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| {
            wrong("it is damaged, or encrypted otherwise than with PBES2 and AES; encrypt it anew with `openssl pkcs8 -topk8`")
        })?;
        if let Some(why) = cost::refusal(&key.encryption_algorithm) {
            return Err(wrong(&why));
        }
        let der = key.decrypt(passphrase).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { oid }) => {
                wrong(&format!("it is encrypted with {oid}, which is not read; encrypt it anew with `openssl pkcs8 -topk8`"))
            }
            _ => wrong("the passphrase is another one, or the file is damaged"),
        })?;
        Self::from_pkcs8(der.as_bytes(), ENCRYPTED)
    }
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const WRITABLE: &str = "a key has a PEM form";
const SIGNABLE: &str = "a hash of the curve's own length can be signed";

fn no_randomness(action: &'static str, source: String) -> Error {
    let store = "the system's random number generator".to_owned();
    Error::Unavailable { store, action, source: source.into() }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.curve(), self.verifying_key().id())
    }
}
