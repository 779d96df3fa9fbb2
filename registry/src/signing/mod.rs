//! Model signatures in the OpenSSF format, and signed attestations, with ECDSA keys.
//!
//! Two things are signed, with the same keys:
//!
//! * **What a version is made of**: a [`ModelSignature`], as the PyPI tool `model-signing` makes and checks
//!   them over the same files in a directory. It is made from a [`Manifest`](crate::Manifest) alone, whose
//!   digests the registry has compared with every byte it ever delivered.
//! * **What is said about a version**: [`Attestation::sign`](crate::Attestation::sign) puts a statement into
//!   an [`Envelope`](crate::Envelope) that stands in the log beside it.
//!
//! ```
//! use tidegate_registry::signing::{Curve, ModelSignature, SigningKey};
//! # use tidegate_registry::{Content, Draft, InMemory, ModelStore, Stamp};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let registry = InMemory::new();
//! # let weights = Content::bytes([("weights.safetensors".parse()?, "not yet trained".into())]);
//! # let draft = Draft::new("fraud-scorer@1.4.0".parse()?, Stamp::now("ci-8841"));
//! let manifest = registry.publish(draft, weights, &()).await?;
//! let key = SigningKey::generate(Curve::P256)?;
//! let signature = ModelSignature::sign(&manifest, "fraud-scorer", &key)?;
//!
//! // Elsewhere, with the public key: `model.sig` as it was written, or as the PyPI tool wrote it.
//! let trusted = [key.verifying_key()];
//! let verified = ModelSignature::decode(signature.json().clone())?.verify(&manifest, &trusted)?;
//! assert_eq!(verified.keys, [&trusted[0]]);
//! # Ok(())
//! # }
//! ```
//!
//! Keys are read from PEM as OpenSSL and Python's `cryptography` write them, and signatures are
//! deterministic (RFC 6979), so that signing needs no randomness.

mod attestation;
mod cost;
mod curve;
mod envelope;
mod model;
mod pem;
mod signing_key;
mod untrusted;
mod verifying_key;

pub use self::{
    curve::Curve,
    model::{ModelSignature, Verified},
    pem::PrivatePem,
    signing_key::SigningKey,
    untrusted::Untrusted,
    verifying_key::VerifyingKey,
};
