//! Base64 in JSON, as DSSE and Sigstore bundles have it.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Readers of DSSE must take the standard and the URL-safe alphabet, with or without padding
/// (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>).
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The standard alphabet, padded.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    general_purpose::STANDARD.encode(bytes)
}

/// Either alphabet, but not both in one text.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(text)
}

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text).map_err(|error| D::Error::custom(format_args!("not base64: {error}")))
}
