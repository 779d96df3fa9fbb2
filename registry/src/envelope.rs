//! DSSE envelopes: bytes, their type, and signatures over both.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Statement, base64, bounded::bounded, statement::start};

/// A DSSE v1 envelope: a payload, its type, and any number of signatures over both.
///
/// Format: <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>. The payload stays as the
/// bytes that were signed. That an envelope could be read says nothing about its signatures; with the
/// feature `signing` it is signed and verified.
///
/// ```
/// use tidegate_registry::Envelope;
///
/// let envelope = Envelope::new("http://example.com/HelloWorld", "hello world");
/// assert_eq!(envelope.signed_bytes(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    #[serde(with = "payload")]
    payload: Bytes,
    payload_type: String,
    #[serde(deserialize_with = "bounded::<_, _, { Envelope::MOST_SIGNATURES }>")]
    signatures: Vec<Signature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Signature {
    /// Which key made it, as the signer calls it. A hint, not signed itself; empty where there is none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub keyid: String,
    /// The signature: for ECDSA an ASN.1 DER sequence of two integers.
    #[serde(with = "base64")]
    pub sig: Vec<u8>,
}

impl Envelope {
    /// Bytes of the longest envelope that is read.
    pub const LONGEST: usize = 32 << 20;

    /// Signatures that an envelope may have.
    pub const MOST_SIGNATURES: usize = 64;

    /// An envelope without signatures.
    #[must_use]
    pub fn new(payload_type: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), payload_type: payload_type.into(), signatures: Vec::new() }
    }

    /// An envelope around `statement`, without signatures.
    ///
    /// # Errors
    ///
    /// When the statement is about nothing, or too long to be read again.
    pub fn of(statement: &Statement) -> Result<Self, Invalid> {
        let wrong = |why| Invalid::new("statement", &statement.predicate_type, why);
        let payload = serde_json::to_vec(statement)
            .map_err(|error| wrong(format!("it cannot be written as JSON ({error})")))?;
        Statement::decode(&payload)?;
        Ok(Self::new(Statement::PAYLOAD_TYPE, payload))
    }

    /// Reads an envelope from JSON. Payload and signatures may be in standard or URL-safe base64.
    ///
    /// # Errors
    ///
    /// When it is longer than [`LONGEST`](Self::LONGEST), has more signatures than
    /// [`MOST_SIGNATURES`](Self::MOST_SIGNATURES), or is no envelope.
    pub fn decode(json: &[u8]) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::new("envelope", String::from_utf8_lossy(start(json)), why);
        if json.len() > Self::LONGEST {
            return Err(wrong(format!("it is longer than {} bytes", Self::LONGEST)));
        }
        serde_json::from_slice(json).map_err(|error| wrong(format!("it is not a DSSE envelope ({error})")))
    }

    /// What is inside, in the encoding that [`payload_type`](Self::payload_type) says.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What kind of bytes the payload is: a media type or a URI.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The signatures, none of them verified.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// What is signed: the pre-authentication encoding of the type and the payload
    /// (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>).
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed_header();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// [`signed_bytes`](Self::signed_bytes) up to the payload.
    pub(crate) fn signed_header(&self) -> Vec<u8> {
        let (kind, payload) = (&self.payload_type, self.payload.len());
        format!("DSSEv1 {} {kind} {payload} ", kind.len()).into_bytes()
    }

    /// The statement inside. Verify the envelope before believing it.
    ///
    /// # Errors
    ///
    /// When the payload is something else, and those of [`Statement::decode`].
    pub fn statement(&self) -> Result<Statement, Invalid> {
        if self.payload_type != Statement::PAYLOAD_TYPE {
            let why = format!("only {} can be read as a statement", Statement::PAYLOAD_TYPE);
            return Err(Invalid::new("payload type", &self.payload_type, why));
        }
        Statement::decode(&self.payload)
    }

    /// This envelope with `signature` added to it.
    ///
    /// # Errors
    ///
    /// When it has [`MOST_SIGNATURES`](Self::MOST_SIGNATURES) already.
    pub fn with(mut self, signature: Signature) -> Result<Self, Invalid> {
        if self.signatures.len() >= Self::MOST_SIGNATURES {
            let why = format!("an envelope has at most {} signatures", Self::MOST_SIGNATURES);
            return Err(Invalid::new("signature", &signature.keyid, why));
        }
        self.signatures.push(signature);
        Ok(self)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("payload_type", &self.payload_type)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .field("signatures", &self.signatures)
            .finish()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("keyid", &self.keyid)
            .field("sig", &format_args!("{} bytes", self.sig.len()))
            .finish()
    }
}

/// [`Bytes`] in base64.
mod payload {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer};

    use crate::base64;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(bytes, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        base64::deserialize(deserializer).map(Bytes::from)
    }
}

/// Writers disagree on a key without a name: it is absent, empty or `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
