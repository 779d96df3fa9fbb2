//! Sigstore bundles, as far as model signatures by key use them.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;

use super::super::{SigningKey, Untrusted, untrusted::shown};
use crate::{Envelope, Invalid, Signature};

/// What a bundle says of itself (<https://docs.sigstore.dev/about/bundle/>), and the spelling that came before.
const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"];

/// A bundle, without what only keyless signatures have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(rename = "dsseEnvelope")]
    pub(super) envelope: Envelope,
}

/// How the signer is known.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<PublicKey>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

/// Which key. Before 1.1 the tool wrote the key itself here (`rawBytes`), which nobody has to believe.
#[derive(Clone, Debug, Deserialize)]
struct PublicKey {
    #[serde(default)]
    hint: Option<String>,
}

impl Bundle {
    /// `envelope` signed with `key`.
    pub(super) fn signed(envelope: Envelope, key: &SigningKey) -> Result<Self, Invalid> {
        // The tool writes no keyid; the key is named in the bundle.
        let signature = Signature { keyid: String::new(), sig: key.over(&envelope) };
        let public_key = PublicKey { hint: Some(key.verifying_key().id()) };
        Ok(Self {
            media_type: MEDIA_TYPES[0].to_owned(),
            verification_material: Material {
                public_key: Some(public_key),
                certificate: None,
                x509_certificate_chain: None,
            },
            envelope: envelope.with(signature)?,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            media_type: &'a str,
            verification_material: serde_json::Value,
            dsse_envelope: &'a Envelope,
        }
        let hint = self.hint();
        let written = Written {
            media_type: &self.media_type,
            verification_material: json!({ "publicKey": { "hint": hint }, "tlogEntries": [] }),
            dsse_envelope: &self.envelope,
        };
        serde_json::to_vec(&written).expect("strings are JSON")
    }

    pub(super) fn decode(json: &[u8]) -> Result<Self, String> {
        let bundle: Self =
            serde_json::from_slice(json).map_err(|error| format!("it is not a Sigstore bundle ({error})"))?;
        if !MEDIA_TYPES.contains(&bundle.media_type.as_str()) {
            return Err(format!("its mediaType is not {}", MEDIA_TYPES[0]));
        }
        Ok(bundle)
    }

    /// The envelope, if it is signed by key.
    pub(super) fn verifiable(&self) -> Result<&Envelope, Untrusted> {
        let material = &self.verification_material;
        let found = if material.public_key.is_some() {
            return Ok(&self.envelope);
        } else if material.certificate.is_some() {
            "sigstore"
        } else if material.x509_certificate_chain.is_some() {
            "certificate"
        } else {
            "none"
        };
        Err(Untrusted::Unsupported { what: "signing method", found: found.to_owned(), supported: "`key`" })
    }

    /// `error`, naming the key that the bundle names.
    pub(super) fn name_key(&self, error: Untrusted) -> Untrusted {
        match (error, self.hint()) {
            (Untrusted::WrongKey { keys, .. }, hint) if !hint.is_empty() => {
                Untrusted::WrongKey { keys, named: shown(hint) }
            }
            (error, _) => error,
        }
    }

    fn hint(&self) -> &str {
        let key = self.verification_material.public_key.as_ref();
        key.and_then(|key| key.hint.as_deref()).unwrap_or_default()
    }
}
