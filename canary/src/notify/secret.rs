//! The secret that signs webhooks.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::InvalidSetting;

/// A secret that is shared with a receiver of webhooks, as Standard Webhooks write it: `whsec_` and 24 to 64 bytes in
/// base64. `Debug` does not show it.
///
/// ```
/// # use tidegate_canary::notify::Secret;
/// let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// # Ok::<_, tidegate_canary::notify::InvalidSetting>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

impl Secret {
    /// The signature of a message: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, where the timestamp
    /// is in seconds since the epoch (<https://www.standardwebhooks.com>).
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// It as a receiver may repeat it.
    pub(super) fn words(&self) -> [&str; 2] {
        [&self.text, self.text.trim_start_matches("whsec_")]
    }
}

impl FromStr for Secret {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let invalid = || {
            InvalidSetting::new(
                "the secret of a webhook",
                "write `whsec_` and the base64 of 24 to 64 random bytes",
            )
        };
        let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| invalid())?;
        if !(24..=64).contains(&key.len()) {
            return Err(invalid());
        }
        Ok(Self { text: text.to_owned(), key })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
