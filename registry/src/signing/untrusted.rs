//! Why something that is signed is not believed.

use crate::{Digest, Invalid};

/// Why a signed thing is not what it should be: it is signed by somebody else, or says something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// A file is not the one that was signed.
    #[error("file `{file}` is not the one that was signed ({signed} was signed, {actual} is there)")]
    FileChanged {
        /// The file's path.
        file: String,
        /// The digest in the signature.
        signed: Digest,
        /// The digest in the manifest.
        actual: Digest,
    },
    /// The signature lists a file twice, so that it does not say what the file is.
    #[error("the signature lists file `{file}` twice; sign the model again")]
    FileListedTwice {
        /// The file's path.
        file: String,
    },
    /// A file that was signed is not in the version.
    #[error("file `{file}` was signed and is not in the version; the signature is of other content")]
    FileMissing {
        /// The file's path, as the signature has it.
        file: String,
    },
    /// The version has a file that was not signed.
    #[error("file `{file}` was not signed; remove it from the version, or sign the model again")]
    FileUnlisted {
        /// The file's path.
        file: String,
    },
    /// The signature holds, but what was signed has no valid meaning.
    #[error("{0}")]
    Malformed(#[from] Invalid),
    /// The statement is about something else.
    #[error("the statement is about `{found}`, not about {expected}")]
    OtherSubject {
        /// What it should be about.
        expected: String,
        /// What it is about: the first subject's name.
        found: String,
    },
    /// The digest over all files is not that of the files listed.
    #[error("the signature does not agree with itself: it says {signed} of files that add up to {listed}")]
    RootChanged {
        /// The digest that stands there, as text.
        signed: String,
        /// The digest of what is listed.
        listed: Digest,
    },
    /// There is no signature.
    #[error("it is not signed; ask for a signature by one of the trusted keys")]
    Unsigned,
    /// It is in a form that this crate does not verify.
    #[error("{what} `{found}` is not supported; only {supported} can be verified")]
    Unsupported {
        /// Which part of it.
        what: &'static str,
        /// What it says.
        found: String,
        /// What can be verified.
        supported: &'static str,
    },
    /// None of the trusted keys made any of the signatures.
    #[error(
        "none of the {keys} trusted keys made it (it names key `{named}`); check that the right public key is given"
    )]
    WrongKey {
        /// How many keys were tried.
        keys: usize,
        /// The key that the first signature names, empty if it names none.
        named: String,
    },
}

/// As much of `text`, which came from outside, as a message can show.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 200;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
