//! A log with typed records.

use std::{marker::PhantomData, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Error, Invalid, Log, LogKey, Result, Seq,
    catalogue::{corrupt, what},
    telemetry::{Kind, observe, operation},
};

/// One writer's view of a log whose records are `T`.
///
/// **Whoever writes the next record owns the log**: a journal knows how far it has read, appends
/// exactly there, and is told [`Error::SeqTaken`] when somebody else has been there since. That one
/// rule is the lock, the audit trail, the recovery log and the fence of a rollout.
#[derive(Debug)]
pub struct Journal<T> {
    log: Arc<dyn Log>,
    key: LogKey,
    next: Seq,
    records: PhantomData<fn(T) -> T>,
}

/// A record as it lies in the log. `v` is the format's version; `txn` makes each append unique, so
/// that two writers of equal records can never both believe that theirs was written.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    txn: Uuid,
    record: T,
}

const FORMAT: u32 = 1;

impl<T: Serialize + DeserializeOwned + Sync> Journal<T> {
    /// Reads the whole log and stands at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a record cannot be read as `T`, [`Error::TooNew`] when its envelope is of
    /// a later format; otherwise those of [`Log::read`].
    pub async fn open(log: Arc<dyn Log>, key: LogKey) -> Result<(Self, Vec<T>)> {
        let mut journal = Self { log, key, next: Seq::FIRST, records: PhantomData };
        let records = journal.catch_up().await?;
        Ok((journal, records))
    }

    /// Reads what comes after record `seq`, for those who know otherwise what the log says up to there, and stands at
    /// its end.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_after(log: Arc<dyn Log>, key: LogKey, seq: Seq) -> Result<(Self, Vec<T>)> {
        let mut journal = Self { log, key, next: seq.next(), records: PhantomData };
        let records = journal.catch_up().await?;
        Ok((journal, records))
    }

    /// Record `seq` alone, if it is there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn record(log: &dyn Log, key: &LogKey, seq: Seq) -> Result<Option<T>> {
        let record = log.record(key, seq).await?;
        record.map(|bytes| decode(key, seq, &bytes)).transpose()
    }

    /// Stands at the end of the log without looking at what it says: to add to a log that this program cannot
    /// read, because it is damaged or newer.
    ///
    /// # Errors
    ///
    /// Those of [`Log::read`].
    pub async fn at_end(log: Arc<dyn Log>, key: LogKey) -> Result<Self> {
        let mut journal = Self { log, key, next: Seq::FIRST, records: PhantomData };
        journal.skip().await?;
        Ok(journal)
    }

    /// Stands at the end again, without looking at what others have written since.
    ///
    /// # Errors
    ///
    /// Those of [`Log::read`].
    pub async fn skip(&mut self) -> Result<()> {
        self.next = self.next.plus(self.log.read(&self.key, self.next).await?.len());
        Ok(())
    }

    /// Reads what others have written since, and stands at the end again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the journal then still stands where it stood.
    pub async fn catch_up(&mut self) -> Result<Vec<T>> {
        let span = operation!(DEBUG, "tidegate.journal.read", tidegate.journal = %self.key);
        let raw = observe(Kind::Journal("read"), span, self.log.read(&self.key, self.next)).await?;
        let records = raw
            .iter()
            .enumerate()
            .map(|(i, bytes)| decode(&self.key, self.next.plus(i), bytes))
            .collect::<Result<Vec<T>>>()?;
        self.next = self.next.plus(records.len());
        Ok(records)
    }

    /// Whether somebody else has written since. It reads one record at most.
    ///
    /// # Errors
    ///
    /// Those of [`Log::record`].
    pub async fn is_behind(&self) -> Result<bool> {
        Ok(self.log.record(&self.key, self.next).await?.is_some())
    }

    /// Writes the next record and returns its number.
    ///
    /// # Errors
    ///
    /// [`Error::SeqTaken`] when another writer was first: this journal no longer owns the log until it
    /// [catches up](Self::catch_up). Otherwise those of [`Log::append`]. Only success moves the journal on.
    pub async fn append(&mut self, record: &T) -> Result<Seq> {
        let seq = self.next;
        let envelope = Envelope { v: FORMAT, txn: Uuid::now_v7(), record };
        let bytes = serde_json::to_vec(&envelope).map_err(|error| unwritable(&self.key, &error))?;
        let span = operation!(DEBUG, "tidegate.journal.append", tidegate.journal = %self.key, tidegate.seq = seq.get());
        observe(Kind::Journal("append"), span, self.log.append(&self.key, seq, bytes.into())).await?;
        self.next = seq.next();
        Ok(seq)
    }

    /// The number that the next record will have.
    #[must_use]
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// Which log this is.
    #[must_use]
    pub const fn key(&self) -> &LogKey {
        &self.key
    }
}

fn unwritable(key: &LogKey, error: &serde_json::Error) -> Invalid {
    Invalid::new("record", key.to_string(), format!("it cannot be written as JSON ({error})"))
}

fn decode<T: DeserializeOwned>(key: &LogKey, seq: Seq, bytes: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let read = serde_json::from_slice::<Envelope<T>>(bytes);
    let found = match &read {
        Ok(envelope) => Some(envelope.v),
        // A record of a later format must not be taken for a damaged one.
        Err(_) => serde_json::from_slice(bytes).ok().map(|Version { v }| v),
    };
    match (found, read) {
        (Some(found), _) if found != FORMAT => {
            Err(Error::TooNew { what: what(key, seq), found: format!("format {found}") })
        }
        (_, Ok(envelope)) => Ok(envelope.record),
        (_, Err(error)) => Err(corrupt(key, seq, error)),
    }
}
