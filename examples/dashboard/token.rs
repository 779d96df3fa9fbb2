//! The token that people sign in with.

use std::{fmt, path::Path};

use anyhow::{Context as _, Result, ensure};
use subtle::ConstantTimeEq as _;
use tidegate::registry::Digest;

/// What only those know who may ask things of rollouts; its digest, to be exact.
pub(crate) struct Token(Digest);

/// A token that can be guessed is none: 16 random characters cannot.
const FEWEST: usize = 16;
const MOST: u64 = 4096;

impl Token {
    /// The only line of a file that nobody but its owner can read.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let named = || format!("the token file {}", file.display());
        let found = std::fs::metadata(file).with_context(|| format!("{} cannot be read", named()))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            ensure!(
                found.permissions().mode() & 0o077 == 0,
                "{} can be read by others; run chmod 600 on it, and better make a new token",
                named()
            );
        }
        ensure!(found.is_file() && found.len() <= MOST, "{} is no file of one line", named());
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", named()))?;
        let token = text.trim();
        ensure!(
            token.len() >= FEWEST && !token.contains(char::is_whitespace),
            "{} has to hold one line of {FEWEST} or more random characters",
            named()
        );
        Ok(Self(Digest::of(token)))
    }

    /// Whether `offered` is the token. How long that takes tells nothing.
    pub(crate) fn is(&self, offered: &str) -> bool {
        same(&self.0.hex(), &Digest::of(offered.trim()).hex())
    }
}

/// Whether two secrets are equal. How long that takes tells nothing but their lengths.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
