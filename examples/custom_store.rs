//! A store of one's own for what has to last: the journals of rollouts, and all that is said about models. It takes one table of
//! a database. Here the table is in memory, with the statements that a real one is asked beside it. (Model files themselves go
//! to whatever has an `object_store` client, by `registry::ObjectBacked`.)
//!
//! `cargo run --example custom_store`; `cargo test --example custom_store` holds it against the contract.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate::registry::{Error, Invalid, Journal, Log, LogKey, Result, Seq, Snapshot};

/// `CREATE TABLE records (log text, seq bigint, record bytea, PRIMARY KEY (log, seq))`
#[derive(Debug, Default)]
struct Table(Mutex<Rows>);

type Rows = BTreeMap<(LogKey, Seq), Bytes>;

impl Table {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

#[async_trait]
impl Log for Table {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        let mut rows = self.rows();
        // `SELECT 1 FROM records WHERE log = $1 AND seq = $2 - 1`; records are never removed, so it stays true.
        if seq.previous().is_some_and(|previous| !rows.contains_key(&(key.clone(), previous))) {
            return Err(Invalid::new("record", seq.to_string(), "append it after the last one").into());
        }
        // `INSERT INTO records VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`: whoever is first wins.
        match rows.entry((key.clone(), seq)) {
            Entry::Vacant(place) => drop(place.insert(record)),
            // The same again: the answer to the first time was lost.
            Entry::Occupied(there) if *there.get() == record => {}
            Entry::Occupied(_) => return Err(Error::SeqTaken { key: key.clone(), seq }),
        }
        Ok(())
    }

    /// `SELECT record FROM records WHERE log = $1 AND seq >= $2 ORDER BY seq`
    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        let rows = self.rows();
        let of_log = rows.range((key.clone(), from)..).take_while(|((log, _), _)| log == key);
        Ok(of_log.map(|(_, record)| record.clone()).collect())
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        Ok(self.rows().get(&(key.clone(), seq)).cloned())
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
    let (table, key) = (Arc::new(Table::default()), LogKey::new("note", "fraud")?);
    let (mut journal, _) = Journal::<String>::open(Arc::clone(&table) as _, key.clone()).await?;
    journal.append(&"the first one".to_owned()).await?;
    println!("{:?}", table.read(&key, Seq::FIRST).await?);
    Ok(())
}

#[cfg(test)]
tidegate::registry::log_conformance!(conformance, async || Table::default());
