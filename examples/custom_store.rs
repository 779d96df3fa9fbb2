//! A store of one's own for what has to last: the journals of rollouts, and all that is said about models. Here it is files; a
//! database does it with `INSERT` into a table whose primary key is the log and the number. (Model files themselves go to
//! whatever has an `object_store` client, by `registry::ObjectBacked`.)
//!
//! `cargo run --example custom_store`; `cargo test --example custom_store` holds it against the contract.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::NamedTempFile;
use tidegate::registry::{Digest, Error, Invalid, Journal, Log, LogKey, Result, Seq, Snapshot};

/// A directory with a directory for each log, with a file for each record.
#[derive(Debug)]
struct Records<D>(D);

impl<D: AsRef<Path>> Records<D> {
    /// Logs may be called anything, and longer than a file.
    fn path(&self, key: &LogKey, seq: Seq) -> PathBuf {
        self.0.as_ref().join(key.kind()).join(Digest::of(key.id()).hex()).join(seq.to_string())
    }

    /// Whoever is first wins; nobody sees half a record.
    fn create(&self, path: &Path, record: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or_else(|| self.0.as_ref());
        fs::create_dir_all(directory)?;
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(record)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map(drop).map_err(|error| error.error)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        let store = self.0.as_ref().display().to_string();
        Error::Unavailable { store, action, source: source.into() }
    }
}

#[async_trait]
impl<D: AsRef<Path> + fmt::Debug + Send + Sync + 'static> Log for Records<D> {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        if seq.previous().is_some_and(|previous| !self.path(key, previous).exists()) {
            let why = "the log does not reach up to it; append the record after its last one";
            return Err(Invalid::new("record", seq.to_string(), why).into());
        }
        match self.create(&self.path(key, seq), &record) {
            Ok(()) => Ok(()),
            // What is there already may be the same, whose answer was lost.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.record(key, seq).await? == Some(record) {
                    true => Ok(()),
                    false => Err(Error::SeqTaken { key: key.clone(), seq }),
                }
            }
            Err(error) => Err(self.failed("append", error)),
        }
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        let mut records = Vec::new();
        while let Some(record) = self.record(key, from.plus(records.len())).await? {
            records.push(record);
        }
        Ok(records)
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        match fs::read(self.path(key, seq)) {
            Ok(record) => Ok(Some(record.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    // Snapshots are a cache, and none has to be kept.
    async fn snapshot(&self, _: &LogKey) -> Result<Option<Snapshot>> {
        Ok(None)
    }

    async fn keep(&self, _: &LogKey, _: Snapshot) -> Result<()> {
        Ok(())
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what is on record")]
async fn main() -> anyhow::Result<()> {
    let (log, key) = (Arc::new(Records(tempfile::tempdir()?)), LogKey::new("note", "fraud")?);
    let (mut journal, _) = Journal::<String>::open(Arc::clone(&log) as _, key.clone()).await?;
    journal.append(&"the first one".to_owned()).await?;
    println!("{:?}", log.read(&key, Seq::FIRST).await?);
    Ok(())
}

#[cfg(test)]
tidegate::registry::log_conformance!(conformance, async || {
    Records(tempfile::tempdir().expect("a temporary directory"))
});
