//! Durable facts: append-only logs of opaque records.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Invalid, ModelName, Result};

/// Append-only logs. Everything durable in tidegate stands on this.
///
/// # Contract
///
/// * **One winner.** Of any number of appends of the same `seq` to the same `key` with different
///   bytes, exactly one succeeds, for ever; the others are [`Error::SeqTaken`](crate::Error::SeqTaken).
/// * **Idempotent.** Appending bytes that are already record `seq` succeeds. So a lost answer can be
///   retried, and so records must carry something unique to their writer: [`Journal`](crate::Journal)
///   puts a transaction id into each.
/// * **No holes.** `seq` is [`Seq::FIRST`] for a new log and then one more each time. Appending
///   beyond the end is [`Error::Invalid`](crate::Error::Invalid).
/// * **Read your writes.** `read` sees every append that returned before it was called.
/// * **Unknown is said.** An append whose fate cannot be established is
///   [`Error::CommitUnknown`](crate::Error::CommitUnknown), never an ordinary failure.
/// * Records are never changed or removed.
/// * **Snapshots are a cache.** [`snapshot`](Self::snapshot) gives the newest one that was
///   [kept](Self::keep), an older one, or none, and never one that was not kept. What they hold is the
///   caller's affair. A log that keeps none answers `None` and `Ok`.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait Log: fmt::Debug + Send + Sync + 'static {
    /// Creates record `seq` of `key`, if it is absent.
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()>;

    /// The records of `key` from `from` on, in order. An unknown log is an empty one.
    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>>;

    /// Record `seq` of `key` alone, if it is there.
    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>>;

    /// What somebody made of the records of `key` up to some number, to spare others reading them.
    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>>;

    /// Keeps a snapshot, perhaps instead of older ones.
    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()>;
}

/// What the records of a log up to [`seq`](Self::seq) come to, in the words of whoever folded them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "bytes and what they are of")]
pub struct Snapshot {
    /// The last record that is folded in.
    pub seq: Seq,
    /// At most 256 MiB.
    pub bytes: Bytes,
}

/// The name of a log: what kind of thing it is about, and which one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogKey {
    kind: &'static str,
    id: String,
}

/// The number of a record in its log, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Seq(u64);

impl LogKey {
    /// The log of everything said about a model: its versions, channels and attestations.
    #[must_use]
    pub fn model(name: &ModelName) -> Self {
        Self { kind: "model", id: name.to_string() }
    }

    /// A log of another kind, for example `("route", "serving/fraud")`. `kind` must match `[a-z-]+`
    /// and not be `model`; `id` must be 1 to 255 bytes without control characters.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when either is not.
    pub fn new(kind: &'static str, id: impl Into<String>) -> Result<Self, Invalid> {
        let id = id.into();
        if kind.is_empty() || kind == "model" || !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return Err(Invalid::new("log kind", kind, "use lower-case letters and `-`, and not `model`"));
        }
        if id.is_empty() || id.len() > 255 || id.chars().any(char::is_control) {
            return Err(Invalid::new("log id", id, "use 1 to 255 bytes without control characters"));
        }
        Ok(Self { kind, id })
    }

    /// What kind of thing the log is about.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Which one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The model that this is the log of, if it is a model's.
    pub(crate) fn as_model(&self) -> Option<ModelName> {
        if self.kind == "model" { self.id.parse().ok() } else { None }
    }
}

impl Seq {
    /// The number of the first record.
    pub const FIRST: Self = Self(1);

    /// The number, if it is one: zero is not.
    #[must_use]
    pub const fn new(n: u64) -> Option<Self> {
        if n == 0 { None } else { Some(Self(n)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of the record after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number of the record `n` after this one.
    #[must_use]
    pub const fn plus(self, n: usize) -> Self {
        Self(self.0.saturating_add(n as u64))
    }

    /// The number of the record before this one; the first has none.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        Self::new(self.0 - 1)
    }

    /// Where this record lies in a list of all of them.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0 - 1).unwrap_or(usize::MAX)
    }

    /// What is wrong with appending this record to a log that does not reach up to it.
    pub(crate) fn beyond(self, key: &LogKey) -> Invalid {
        Invalid::new(
            "record number",
            self.to_string(),
            format!("{key} ends before it; append after its last record"),
        )
    }
}

impl TryFrom<u64> for Seq {
    type Error = Invalid;

    fn try_from(n: u64) -> Result<Self, Invalid> {
        Self::new(n).ok_or_else(|| Invalid::new("record number", "0", "records are counted from 1"))
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> Self {
        seq.0
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl<T: Log + ?Sized> Log for Arc<T> {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        (**self).append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        (**self).read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        (**self).record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        (**self).snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        (**self).keep(key, snapshot).await
    }
}
