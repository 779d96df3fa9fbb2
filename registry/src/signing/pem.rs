//! PEM text: what is read of a key file, and private keys on their way into one.

use std::fmt;

use zeroize::Zeroizing;

use crate::Invalid;

/// Bytes of the longest key file that is read. A P-521 key with everything around it has about 1 000.
const LONGEST: usize = 64 << 10;

/// A private key in PEM. Wiped from memory when dropped, and never printed by `Debug`.
#[derive(Clone)]
pub struct PrivatePem(pub(super) Zeroizing<String>);

impl PrivatePem {
    /// The text, to be written to a file that only its owner may read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivatePem").finish_non_exhaustive()
    }
}

/// The label and the content of the first block in `pem`. `openssl ecparam -genkey` writes the curve in a
/// block of its own before the key; that one is skipped, because the key names the curve as well.
pub(super) fn decode(pem: &str) -> Result<(&str, Zeroizing<Vec<u8>>), Invalid> {
    const PARAMETERS: &str = "-----END EC PARAMETERS-----";
    let pem = pem.split_once(PARAMETERS).map_or(pem, |(_, rest)| rest.trim_start());
    let wrong = |label, why: &str| Err(Invalid::new("key", label, why));
    if pem.len() > LONGEST {
        return wrong("too long", "a key file has at most 64 KiB; is this another file?");
    }
    let Ok(label) = pem_rfc7468::decode_label(pem.as_bytes()) else {
        return wrong("not PEM", "write a PEM file that begins with -----BEGIN …-----");
    };
    match pem_rfc7468::decode_vec(pem.as_bytes()) {
        Ok((label, der)) => Ok((label, Zeroizing::new(der))),
        Err(pem_rfc7468::Error::HeaderDisallowed) => wrong(
            label,
            "PEM headers such as `Proc-Type: 4,ENCRYPTED` are not read; convert it with `openssl pkcs8 -topk8`",
        ),
        Err(_) => wrong(label, "its base64 is damaged, or its lines do not have 64 characters"),
    }
}
