//! Watching a transfer.

use crate::FilePath;

/// Is told what a transfer does while it does it. `()` ignores it all; any closure over
/// [`Transfer`] will do.
///
/// Called often and from several tasks at once: return quickly and do not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn tell(&self, transfer: Transfer<'_>);
}

/// What happened in a transfer: [`Start`](Self::Start) once, then bytes and files in any order, and phases
/// between. There is no event for the end: the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer<'a> {
    /// From here on it does this.
    Phase(Phase),
    /// The size of the whole is known: so many files, so many bytes, where streams have not hidden it.
    Start {
        /// Files.
        files: usize,
        /// Bytes, if they are known beforehand.
        bytes: Option<u64>,
    },
    /// So many more bytes were moved and hashed.
    Bytes(u64),
    /// This file is complete and verified.
    File(&'a FilePath),
}

/// What a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It looks at what there is, on both sides.
    Preparing,
    /// It reads and hashes what is offered, because the version exists already: nothing is sent.
    Hashing,
    /// It reads, hashes and sends what is offered.
    Uploading,
    /// It writes the manifest and the record that makes a version.
    Committing,
    /// It fetches, verifies and writes files.
    Downloading,
    /// It reads and verifies what is stored.
    Verifying,
    /// It makes durable what was moved, and gives files their names.
    Finishing,
}

impl Progress for () {
    fn tell(&self, _: Transfer<'_>) {}
}

impl<F: Fn(Transfer<'_>) + Send + Sync> Progress for F {
    fn tell(&self, transfer: Transfer<'_>) {
        self(transfer);
    }
}
