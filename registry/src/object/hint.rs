//! Where a log ends and which snapshots there are of it, so that nobody has to look for either.
//!
//! What a hint says is only ever used to ask for the right objects first. It may be missing, old or wrong.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{TryStreamExt as _, stream, stream::StreamExt as _};
use object_store::{Error as Failure, ObjectStore as _, PutMode};
use serde::{Deserialize, Serialize};

use super::{ObjectBacked, failure::failure, keys};
use crate::{Invalid, LogKey, Result, Seq, Snapshot};

/// Bytes of the longest hint.
const LONGEST: u64 = 4096;

/// Bytes of the longest snapshot.
pub(super) const LONGEST_SNAPSHOT: u64 = 256 << 20;

/// A hint follows so many records. More often would mean another request for each record; some stores
/// slow down whoever writes the same object more than once a second.
const EVERY: u64 = 8;

/// Snapshots that are kept: readers may be about to read the one before the last.
const KEPT: usize = 3;

/// The content of `hint.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hint {
    /// A record that is there.
    seq: Option<Seq>,
    /// Snapshots, the newest first.
    snapshots: Vec<Seq>,
}

/// What was seen of each log. Records are never removed, so a sighting of one stays true.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<LogKey, Head>>);

#[derive(Debug, Default)]
struct Head {
    /// The highest record that was seen.
    seen: Option<Seq>,
    /// The highest record that a hint says there is.
    hinted: Option<Seq>,
    /// Snapshots that are known of, the newest first.
    snapshots: Vec<Seq>,
}

impl Heads {
    pub(super) fn saw(&self, key: &LogKey, seq: Seq) {
        self.with(key, |head| head.seen = head.seen.max(Some(seq)));
    }

    pub(super) fn has(&self, key: &LogKey, seq: Seq) -> bool {
        self.with(key, |head| head.seen >= Some(seq))
    }

    /// The log was read to its end, which was there.
    pub(super) fn ends(&self, key: &LogKey, last: Option<Seq>) {
        self.with(key, |head| {
            head.seen = head.seen.max(last);
            head.hinted = None;
        });
    }

    /// The highest record that is there, or may be.
    pub(super) fn hint(&self, key: &LogKey) -> Option<Seq> {
        self.with(key, |head| head.seen.max(head.hinted))
    }

    fn with<T>(&self, key: &LogKey, change: impl FnOnce(&mut Head) -> T) -> T {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heads.get_mut(key) {
            Some(head) => change(head),
            None => change(heads.entry(key.clone()).or_default()),
        }
    }
}

impl Head {
    fn add(&mut self, snapshots: &[Seq]) {
        self.snapshots.extend_from_slice(snapshots);
        self.snapshots.sort_unstable_by(|a, b| b.cmp(a));
        self.snapshots.dedup();
    }

    fn told(&self) -> Hint {
        Hint { seq: self.seen, snapshots: self.snapshots.clone() }
    }
}

impl ObjectBacked {
    /// Takes note of a record that this registry wrote.
    pub(super) async fn wrote(&self, key: &LogKey, seq: Seq) {
        self.heads.saw(key, seq);
        // Only the logs of models have snapshots.
        if key.as_model().is_some() && seq.get().is_multiple_of(EVERY) {
            let hint = self.heads.with(key, |head| head.told());
            self.put_hint(key, &hint).await;
        }
    }

    pub(super) async fn newest_snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        let Some(hint) = self.hint(key).await? else { return Ok(None) };
        for &seq in &hint.snapshots {
            if let Some(bytes) = self.get(&keys::snapshot(key, seq), LONGEST_SNAPSHOT).await? {
                return Ok(Some(Snapshot { seq, bytes }));
            }
        }
        if hint.snapshots.is_empty() {
            return Ok(None);
        }
        // An old hint: of what it names nothing is left.
        let Some(&seq) = self.snapshots(key).await?.first() else { return Ok(None) };
        let bytes = self.get(&keys::snapshot(key, seq), LONGEST_SNAPSHOT).await?;
        Ok(bytes.map(|bytes| Snapshot { seq, bytes }))
    }

    pub(super) async fn keep_snapshot(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        let Snapshot { seq, bytes } = snapshot;
        if bytes.len() as u64 > LONGEST_SNAPSHOT {
            let why = format!("it is longer than {LONGEST_SNAPSHOT} bytes, and would not be read");
            return Err(Invalid::new("snapshot", format!("{key} at {seq}"), why).into());
        }
        let path = keys::snapshot(key, seq);
        let put = self.soft.put_opts(&path, bytes.into(), PutMode::Overwrite.into()).await;
        put.map_err(failure(self, "keep a snapshot"))?;
        // Others may have kept some since this registry last looked.
        self.hint(key).await?;
        let mut dropped = Vec::new();
        let hint = self.heads.with(key, |head| {
            // What claims to be newer is of somebody else, who names it, or of nobody.
            head.snapshots.retain(|known| *known < seq);
            head.add(&[seq]);
            dropped = head.snapshots.split_off(head.snapshots.len().min(KEPT));
            head.told()
        });
        self.put_hint(key, &hint).await;
        self.drop_snapshots(key, dropped).await;
        Ok(())
    }

    /// Removes all snapshots but the last few, also those that no hint names.
    pub(super) async fn drop_old_snapshots(&self, key: &LogKey) -> Result<()> {
        let old = self.snapshots(key).await?.into_iter().skip(KEPT).collect();
        self.drop_snapshots(key, old).await;
        Ok(())
    }

    async fn drop_snapshots(&self, key: &LogKey, dropped: Vec<Seq>) {
        let dropped: Vec<_> = dropped.into_iter().map(|seq| Ok(keys::snapshot(key, seq))).collect();
        let mut deleted = self.store.delete_stream(stream::iter(dropped).boxed());
        while let Some(deleted) = deleted.next().await {
            if let Err(error) = deleted {
                tracing::debug!(%key, %error, "an old snapshot stays behind");
            }
        }
    }

    /// Every snapshot that there is, the newest first.
    pub(super) async fn snapshots(&self, key: &LogKey) -> Result<Vec<Seq>> {
        let folder = keys::snapshots(key);
        let listed = self.store.list(Some(&folder)).map_ok(|there| keys::snapshot_seq(&there.location));
        let mut found: Vec<Seq> = match listed.try_collect::<Vec<_>>().await {
            Ok(found) => found.into_iter().flatten().collect(),
            Err(Failure::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(failure(self, "list snapshots")(error)),
        };
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    /// What the store hints at. A record that is said to be there is only asked for first.
    async fn hint(&self, key: &LogKey) -> Result<Option<Hint>> {
        let Some(bytes) = self.get(&keys::hint(key), LONGEST).await? else { return Ok(None) };
        let hint: Hint = serde_json::from_slice(&bytes).unwrap_or_default();
        self.heads.with(key, |head| {
            head.hinted = hint.seq;
            head.add(&hint.snapshots);
        });
        Ok(Some(hint))
    }

    /// Best effort: a hint may be old.
    async fn put_hint(&self, key: &LogKey, hint: &Hint) {
        let bytes = Bytes::from(serde_json::to_vec(hint).expect("numbers are JSON"));
        let path = keys::hint(key);
        let put = self.soft.put_opts(&path, bytes.into(), PutMode::Overwrite.into());
        if let Err(error) = put.await {
            tracing::debug!(%key, %error, "a hint stays old");
        }
    }
}
