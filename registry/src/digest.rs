//! SHA-256 of content.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Invalid, model::text};

/// A SHA-256, printed `sha256:` and 64 lower-case hex digits, the form of the OCI image specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$")))]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Hashes bytes as they pass.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 bytes: enough to tell any number of things apart, unless somebody searches for two alike.
    #[must_use]
    pub const fn half(&self) -> [u8; 16] {
        *self.0.first_chunk().expect("32 bytes are more than 16")
    }

    /// The first 8 bytes as a number, the first of them the most significant.
    ///
    /// ```
    /// # use tidegate_registry::Digest;
    /// assert_eq!(Digest::of("abc").word(), 0xba78_16bf_8f01_cfea);
    /// ```
    #[must_use]
    pub const fn word(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("32 bytes are more than 8"))
    }

    /// 64 lower-case hex digits, as `sha256sum` prints them.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("digest", s, "write sha256: and 64 lower-case hex digits");
        let hex = s.strip_prefix("sha256:").ok_or_else(wrong)?;
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

text! {
    Digest: |self, f| write!(f, "sha256:{}", hex::encode(self.0));
}
