//! Names of messages that any header can carry.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// `text` percent-encoded but for letters, digits, `-`, `_`, `~` and `/`. A full stop is encoded too, since it ends
/// the id in what Standard Webhooks sign.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `text` itself if it has at most `most` bytes, or else its hash after `prefix`.
pub(super) fn at_most(most: usize, prefix: &str, text: String) -> String {
    if text.len() <= most { text } else { format!("{prefix}{}", hash(&text)) }
}

/// The SHA-256 of `text` in hexadecimal, of 64 characters.
pub(super) fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
