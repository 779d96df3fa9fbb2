//! Why a file could not be scanned.

use std::io;

/// A file could not be opened or read. It says nothing about the file's content: see that it is
/// there and may be read, and scan again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`; see that it is a file that may be read")]
#[non_exhaustive]
pub struct ScanError {
    /// The file.
    pub path: String,
    /// Why not.
    pub source: io::Error,
}

impl ScanError {
    /// Longest path that is kept, in characters.
    pub(crate) const SHOWN: usize = 1000;
}
