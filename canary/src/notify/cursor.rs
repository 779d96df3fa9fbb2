//! How far a recipient has been told, in the log beside the journal.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_registry::{self as registry, Invalid, Log, LogKey, Seq, Snapshot};

use crate::Entry;

/// What a courier writes down about its recipient. Records are for ever: the form of one never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Delivery {
    /// The notice of this record was taken.
    Delivered {
        /// The record of the journal.
        seq: Seq,
        /// The record that opened what it is about, from which on one has to read to go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened: Option<Seq>,
    },
    /// The notice of this record was not taken, and will not be sent again.
    GaveUp {
        /// The record of the journal.
        seq: Seq,
        /// As with `Delivered`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened: Option<Seq>,
        /// The last failure.
        why: String,
    },
    /// Up to this record there was nothing to tell.
    Passed {
        /// The record of the journal.
        seq: Seq,
        /// As with `Delivered`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened: Option<Seq>,
    },
    /// Somebody wants it to be told from here on, whatever it was told before.
    Placed {
        /// The record of the journal.
        next: Seq,
        /// Who.
        by: String,
    },
}

/// Where a recipient stands: what the last record says. Whoever writes the next one has read all before it, so
/// couriers that work at once never set each other back.
#[derive(Debug)]
pub(super) struct Cursor {
    log: Arc<dyn Log>,
    key: LogKey,
    /// The number of the next record.
    next: Seq,
    last: Option<Delivery>,
}

/// A record as it lies in a log, as far as it is read here.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    record: T,
}

const FORMAT: u32 = 1;

/// After so many records a snapshot is kept, so that nobody has to read more than these.
const FOLD: u64 = 64;

impl Delivery {
    /// The first record that is still to be told.
    pub(super) const fn next(&self) -> Seq {
        match self {
            Self::Delivered { seq, .. } | Self::GaveUp { seq, .. } | Self::Passed { seq, .. } => seq.next(),
            Self::Placed { next, .. } => *next,
        }
    }

    /// The record from which on one has to read, to know what the next ones mean.
    pub(super) fn from(&self) -> Seq {
        match self {
            Self::Delivered { opened, .. } | Self::GaveUp { opened, .. } | Self::Passed { opened, .. } => {
                opened.unwrap_or(Seq::FIRST)
            }
            Self::Placed { .. } => Seq::FIRST,
        }
    }
}

impl Cursor {
    /// The log in which the cursor of this recipient in `journal` lies. Names have neither `/` nor `+`, so that no two
    /// are the same.
    pub(super) fn key(journal: &LogKey, name: &str) -> Result<LogKey, Invalid> {
        let sayable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(sayable) {
            return Err(Invalid::new(
                "name of a recipient",
                name,
                "use 1 to 40 lower-case letters, digits and `-`",
            ));
        }
        LogKey::new(
            "notice",
            match (journal.kind(), journal.id()) {
                ("route", id) => format!("{name}/{id}"),
                (kind, id) => format!("{name}+{kind}/{id}"),
            },
        )
    }

    /// At the end of its log.
    pub(super) async fn open(log: Arc<dyn Log>, key: LogKey) -> registry::Result<Self> {
        let from = log.snapshot(&key).await?.map_or(Seq::FIRST, |snapshot| snapshot.seq);
        let mut cursor = Self { log, key, next: from, last: None };
        cursor.catch_up().await?;
        Ok(cursor)
    }

    pub(super) const fn last(&self) -> Option<&Delivery> {
        self.last.as_ref()
    }

    /// Reads what others have written since; whether there was something.
    pub(super) async fn catch_up(&mut self) -> registry::Result<bool> {
        let records = self.log.read(&self.key, self.next).await?;
        let Some(bytes) = records.last() else { return Ok(false) };
        let seq = self.next.plus(records.len() - 1);
        let Entry { record, .. } = decode::<Entry<Delivery>>(&self.key, seq, bytes)?;
        self.last = Some(record);
        self.next = seq.next();
        Ok(true)
    }

    /// Writes the next record. If somebody else has written it, that is read instead.
    pub(super) async fn write(&mut self, delivery: &Delivery, at: SystemTime) -> registry::Result<()> {
        let entry = Entry { at, record: delivery };
        let bytes = serde_json::to_vec(&Envelope { v: FORMAT, record: entry }).map_err(|error| {
            Invalid::new("record", self.key.to_string(), format!("it cannot be written as JSON ({error})"))
        })?;
        let bytes = Bytes::from(bytes);
        match self.log.append(&self.key, self.next, bytes.clone()).await {
            Err(registry::Error::SeqTaken { .. }) => self.catch_up().await.map(drop),
            Err(error) => Err(error),
            Ok(()) => {
                if self.next.get().is_multiple_of(FOLD) {
                    let snapshot = Snapshot { seq: self.next, bytes };
                    // It spares work, and that is all.
                    if let Err(error) = self.log.keep(&self.key, snapshot).await {
                        tracing::debug!(key = %self.key, %error, "a snapshot was not kept");
                    }
                }
                self.last = Some(delivery.clone());
                self.next = self.next.next();
                Ok(())
            }
        }
    }
}

/// Record `seq` of a log.
pub(super) fn decode<T: DeserializeOwned>(key: &LogKey, seq: Seq, bytes: &[u8]) -> registry::Result<T> {
    // The version first: a record of a later format must not be taken for a damaged one.
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let what = || format!("record {seq} of {key}");
    let corrupt = |error: serde_json::Error| registry::Error::Corrupt { what: what(), source: error.into() };
    let Version { v } = serde_json::from_slice(bytes).map_err(corrupt)?;
    if v != FORMAT {
        return Err(registry::Error::TooNew { what: what(), found: format!("format {v}") });
    }
    let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(corrupt)?;
    Ok(envelope.record)
}
