//! The one error of this crate: a variant is a decision for the caller.

use std::{fmt, path::PathBuf};

use crate::{Channel, Digest, FilePath, LogKey, ModelName, ModelRef, Seq, Unmet};

/// A boxed cause, for backends whose own errors are not part of this API.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry call did not do what was asked.
///
/// Messages name the input and the remedy and never repeat their [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The version exists with other content. Publish under a new version.
    #[error(
        "{model} is already published with other content ({existing}, this is {offered}); publish it under a new version"
    )]
    AlreadyPublished {
        /// The version that exists.
        model: ModelRef,
        /// The identity of its content.
        existing: Digest,
        /// The identity of the content that was offered.
        offered: Digest,
    },
    /// A channel was not where the caller expected it. Look at it again, then decide again.
    #[error(
        "{channel} of {name} is at {found}, not at {expected}; somebody moved it, look at its history first"
    )]
    ChannelMoved {
        /// The model.
        name: ModelName,
        /// The channel.
        channel: Channel,
        /// What the caller expected, as text (`none`, a version or a sequence number).
        expected: String,
        /// What is there, as text.
        found: String,
    },
    /// The record may or may not have been written. Read the log before doing anything else.
    #[error("it is unknown whether record {seq} of {key} was written; read the log again before retrying")]
    CommitUnknown {
        /// The log.
        key: LogKey,
        /// The record's number.
        seq: Seq,
        /// The last failure seen.
        source: BoxError,
    },
    /// Stored bytes are not what was written. Restore them; retrying does not help.
    #[error(
        "{what} is damaged in the store; restore it from a copy or publish the content again under a new version"
    )]
    Corrupt {
        /// The damaged object, named so that a person can find it.
        what: String,
        /// What was wrong with it.
        source: BoxError,
    },
    /// Bytes of a file do not have the digest that the manifest promises. They were not delivered.
    #[error(
        "{file} of {model} does not match its manifest ({expected} expected, {actual} read); nothing wrong was delivered, restore the file in the store"
    )]
    DigestMismatch {
        /// The version.
        model: ModelRef,
        /// The file.
        file: FilePath,
        /// What the manifest says.
        expected: Digest,
        /// What the bytes say.
        actual: Digest,
    },
    /// Channels point to the version, so it cannot be deleted. Move them first.
    #[error("{model} is what {} points to; promote another version or demote it first", list(channels))]
    InUse {
        /// The version.
        model: ModelRef,
        /// The channels.
        channels: Vec<Channel>,
    },
    /// The caller's input cannot be used. The message says which and what to do.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// Reading or writing a local file failed.
    #[error("cannot {action} {}", path.display())]
    Local {
        /// What was tried, as a verb: `read`, `create`, `rename`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The failure.
        source: std::io::Error,
    },
    /// The policy of the channel does not allow it to point to the version. The message says which rules do
    /// not hold and what would satisfy each.
    #[error("{channel} may not point to {model}: {}", list(unmet))]
    NotAllowed {
        /// The version.
        model: ModelRef,
        /// The channel.
        channel: Channel,
        /// The rules that do not hold, at least one.
        unmet: Vec<Unmet>,
    },
    /// There is no such thing in this registry.
    #[error("{what} does not exist in this registry; {remedy}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// What exists instead, or where to look.
        remedy: String,
    },
    /// The destination holds another file under a name that is needed. Choose an empty directory.
    #[error("{} exists already with other content; pull into an empty directory or remove it first", path.display())]
    Occupied {
        /// The file in the way.
        path: PathBuf,
    },
    /// The store understood and refused: credentials, permissions, an unsupported operation.
    #[error("{store} refused to {action}")]
    Refused {
        /// The store, as it prints itself.
        store: String,
        /// What was asked of it.
        action: &'static str,
        /// Its answer.
        source: BoxError,
    },
    /// Another writer wrote this record first. Read from it on, then decide again.
    #[error("record {seq} of {key} is already written; read it and decide again")]
    SeqTaken {
        /// The log.
        key: LogKey,
        /// The record's number.
        seq: Seq,
    },
    /// It was written by a later version of this crate. Upgrade.
    #[error("{what} has {found}, which this version of tidegate does not know; upgrade tidegate to read it")]
    TooNew {
        /// The object, named so that a person can find it.
        what: String,
        /// What is new about it.
        found: String,
    },
    /// The store could not be reached or did not answer. Retry later.
    #[error("{store} is unavailable (tried to {action})")]
    Unavailable {
        /// The store, as it prints itself.
        store: String,
        /// What was asked of it.
        action: &'static str,
        /// The last failure.
        source: BoxError,
    },
    /// A signature does not hold, or what is signed is something else. Do not use it.
    #[cfg(feature = "signing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
    #[error("{0}")]
    Untrusted(#[from] crate::signing::Untrusted),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::CommitUnknown { .. })
    }

    /// There is no version of `name`.
    pub(crate) fn unknown(name: &ModelName) -> Self {
        Self::NotFound {
            what: format!("model {name}"),
            remedy: "publish a version of it first, or list the models for their names".to_owned(),
        }
    }
}

/// `production, staging`
fn list(of: &[impl fmt::Display]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An input that has no valid meaning: which one, what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{input}` is not valid: {why}")]
pub struct Invalid {
    what: &'static str,
    input: String,
    why: String,
}

impl Invalid {
    /// Longest piece of the offending input that is repeated in the message, in characters.
    const SHOWN: usize = 80;

    /// `what` names the kind of input (`model name`), `why` says what is wrong and what would be right.
    pub fn new(what: &'static str, input: impl AsRef<str>, why: impl Into<String>) -> Self {
        let input = input.as_ref();
        let mut shown: String = input.chars().take(Self::SHOWN).flat_map(char::escape_debug).collect();
        if input.chars().nth(Self::SHOWN).is_some() {
            shown.push('…');
        }
        Self { what, input: shown, why: why.into() }
    }
}
