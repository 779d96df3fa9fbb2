//! Logs as numbered objects, each created once.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use object_store::PutMode;

use super::{
    ObjectBacked,
    failure::{failure, is_refusal},
    keys,
};
use crate::{BoxError, Error, Invalid, Log, LogKey, Result, Seq, Snapshot, catalogue::corrupt};

/// Bytes of the largest record.
const LONGEST: u64 = 16 << 20;

/// How often an append is tried while its fate is unknown. The client has its own retries below this.
const ATTEMPTS: usize = 5;

/// Records read at once, at most.
const WINDOW: usize = 64;

/// Records read at once where the end of a log is not known. It is found by running into it, so no more
/// requests than this are made in vain, until the log turns out to be long.
const STEP: usize = 2;

/// Steps after which a log is taken to be long: each is twice the one before from then on.
const STEPS: u32 = 4;

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
                self.wrote(key, seq).await;
                return Ok(());
            }
            // From here on what lies there decides, whatever was answered: a request can take effect and
            // fail all the same, as when a local file system links the record and cannot sync its name.
            match (self.get(&path, LONGEST).await, answer) {
                // Ours: an answer was lost, or this call has been made before.
                (Ok(Some(there)), _) if there == record => match self.make_durable(&path).await {
                    Ok(()) => {
                        self.wrote(key, seq).await;
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
        let (mut records, mut steps, mut hole) = (Vec::new(), 0_u32, None);
        let hinted = self.heads.hint(key);
        loop {
            let start = from.plus(records.len());
            let window = match hinted.filter(|hinted| *hinted >= start) {
                // One more, because that is where the end is, most of the time.
                Some(hinted) => {
                    usize::try_from(hinted.get() - start.get()).unwrap_or(usize::MAX).saturating_add(2)
                }
                None if records.is_empty() && from > Seq::FIRST => 1,
                None => {
                    steps += 1;
                    STEP << steps.saturating_sub(STEPS).min(8)
                }
            };
            let window = window.min(WINDOW);
            let batch = self.window(key, start, window).await?;
            let end = batch.iter().position(Option::is_none).unwrap_or(batch.len());
            let gap = batch.iter().skip(end).any(Option::is_some);
            records.extend(batch.into_iter().map_while(|record| record));
            let next = from.plus(records.len());
            if gap {
                // Records behind a missing one: it was written while we read, or it is lost.
                if hole == Some(next) {
                    return Err(corrupt(key, next, "it is missing, though there are later ones"));
                }
                hole = Some(next);
            } else if end < window {
                break;
            }
        }
        self.heads.ends(key, records.len().checked_sub(1).map(|last| from.plus(last)));
        Ok(records)
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        self.get(&keys::record(key, seq), LONGEST).await
    }

    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        self.newest_snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        self.keep_snapshot(key, snapshot).await
    }
}

impl ObjectBacked {
    async fn window(&self, key: &LogKey, start: Seq, size: usize) -> Result<Vec<Option<Bytes>>> {
        let paths = (0..size).map(|i| keys::record(key, start.plus(i)));
        try_join_all(paths.map(|path| async move { self.get(&path, LONGEST).await })).await
    }
}
