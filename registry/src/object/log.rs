//! Logs as numbered objects, each created once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use object_store::PutMode;

use super::{
    ObjectBacked,
    failure::{failure, is_refusal},
    keys,
};
use crate::{BoxError, Error, Invalid, Log, LogKey, Result, Seq, record::corrupt};

/// Bytes of the largest record.
const LONGEST: u64 = 16 << 20;

/// How often an append is tried while its fate is unknown. The client has its own retries below this.
const ATTEMPTS: usize = 5;

/// Records read at once, at most. The end is found by running into it, so a window starts small and
/// doubles: reading nothing new costs one request, reading a thousand records some forty round trips.
const WINDOW: usize = 32;

/// The highest record of each log that was seen. Records are never removed, so a sighting stays true.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<LogKey, Seq>>);

impl Heads {
    fn saw(&self, key: &LogKey, seq: Seq) {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.entry(key.clone()).or_insert(seq);
        *head = seq.max(*head);
    }

    fn has(&self, key: &LogKey, seq: Seq) -> bool {
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.get(key).is_some_and(|head| *head >= seq)
    }
}

/// Creating an object only if it is absent decides who wins; what cannot be decided by the answer is
/// decided by reading back. The protocol is that of SlateDB's and Delta's logs over object stores.
#[async_trait]
impl Log for ObjectBacked {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        if record.len() as u64 > LONGEST {
            let why = format!("it is longer than {LONGEST} bytes; put large things into files of a version");
            return Err(Invalid::new("record", format!("{seq} of {key}"), why).into());
        }
        if let Some(before) = seq.previous()
            && !self.heads.has(key, before)
            && !self.exists(&keys::record(key, before)).await?
        {
            return Err(seq.beyond(key).into());
        }
        let path = keys::record(key, seq);
        let mut failed: Option<BoxError> = None;
        for _ in 0..ATTEMPTS {
            let answer = self.store.put_opts(&path, record.clone().into(), PutMode::Create.into()).await;
            if answer.is_ok() && failed.is_none() {
                self.heads.saw(key, seq);
                return Ok(());
            }
            // From here on what lies there decides, whatever was answered: a request can take effect and
            // fail all the same, as when a local file system links the record and cannot sync its name.
            match (self.get(&path, LONGEST).await, answer) {
                // Ours: an answer was lost, or this call has been made before.
                (Ok(Some(there)), _) if there == record => match self.make_durable(&path).await {
                    Ok(()) => {
                        self.heads.saw(key, seq);
                        return Ok(());
                    }
                    Err(error) => {
                        return Err(Error::CommitUnknown { key: key.clone(), seq, source: error.into() });
                    }
                },
                (Ok(Some(_)), _) => {
                    self.heads.saw(key, seq);
                    return Err(Error::SeqTaken { key: key.clone(), seq });
                }
                (Ok(None), Err(error)) if failed.is_none() && is_refusal(&error) => {
                    return Err(failure(self, "append to a log")(error));
                }
                // Also for S3, which answers 409 to requests at the same time, of which none may have won:
                // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
                (Ok(None), Err(error)) => failed = Some(error.into()),
                (Ok(None), Ok(_)) => failed = Some("it was written and is not there".into()),
                (Err(error), _) => failed = Some(error.into()),
            }
            tracing::debug!(%key, %seq, "the fate of a record is unknown, trying again");
        }
        let source = failed.expect("every attempt that did not decide left its failure");
        Err(Error::CommitUnknown { key: key.clone(), seq, source })
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        let mut records = Vec::new();
        let mut window = if from == Seq::FIRST { WINDOW / 4 } else { 1 };
        let mut hole = None;
        loop {
            let start = from.plus(records.len());
            let batch = self.window(key, start, window).await?;
            let end = batch.iter().position(Option::is_none).unwrap_or(batch.len());
            let beyond = batch.iter().skip(end).any(Option::is_some);
            records.extend(batch.into_iter().map_while(|record| record));
            let next = from.plus(records.len());
            if beyond {
                // Records behind a missing one: it was written while we read, or it is lost.
                if hole == Some(next) {
                    return Err(corrupt(key, next, "it is missing, though there are later ones"));
                }
                hole = Some(next);
            } else if end < window {
                break;
            } else {
                window = (window * 2).min(WINDOW);
            }
        }
        if !records.is_empty() {
            self.heads.saw(key, from.plus(records.len() - 1));
        }
        Ok(records)
    }
}

impl ObjectBacked {
    async fn window(&self, key: &LogKey, start: Seq, size: usize) -> Result<Vec<Option<Bytes>>> {
        let paths = (0..size).map(|i| keys::record(key, start.plus(i)));
        try_join_all(paths.map(|path| async move { self.get(&path, LONGEST).await })).await
    }
}
