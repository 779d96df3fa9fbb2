//! The one way in which anything is said about a model, and in which what was said is read.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{
    Catalogue,
    record::{Fact, what},
};
use crate::{BoxError, Error, Invalid, Log, LogKey, ModelName, Result, Seq, Stamp, telemetry};

/// How often a commit starts over because others were faster. Each loss means that somebody else made
/// progress, so this is reached only beside that many other writers at once.
const ATTEMPTS: usize = 512;

/// The states of the models of a log, as they were last seen. Whoever asks again reads only what is new;
/// a record never changes, so neither does what was folded.
#[derive(Debug, Default)]
pub(crate) struct Catalogues(Mutex<HashMap<ModelName, Catalogue>>);

impl Catalogues {
    /// Models remembered. One with a hundred thousand versions takes some ten megabytes.
    const MOST: usize = 32;

    /// Everything said about `name` so far.
    pub(crate) async fn fold(&self, log: &dyn Log, name: &ModelName) -> Result<Catalogue> {
        let known = self.known(name);
        let mut catalogue = match known {
            Some(known) => known,
            None => restore(log, name).await?,
        };
        let before = catalogue.next();
        catch_up(log, &mut catalogue).await?;
        if catalogue.next() > before {
            self.remember(&catalogue);
        }
        Ok(catalogue)
    }

    /// Says about `name` what `decide` answers to the state of the log, in one entry.
    ///
    /// `decide` is asked again whenever another writer was first, so what it says always follows from what
    /// is there. An empty answer writes nothing. Returns the state afterwards, and the entry's number if
    /// one was written.
    pub(crate) async fn commit(
        &self,
        log: &dyn Log,
        name: &ModelName,
        stamp: &Stamp,
        mut decide: impl FnMut(&Catalogue) -> Result<Vec<Fact>> + Send,
    ) -> Result<(Catalogue, Option<Seq>)> {
        stamp.check()?;
        let mut catalogue = self.fold(log, name).await?;
        for _ in 0..ATTEMPTS {
            let facts = decide(&catalogue)?;
            if facts.is_empty() {
                return Ok((catalogue, None));
            }
            let seq = catalogue.next();
            let record = catalogue.entry(stamp.clone(), facts).encode(catalogue.key())?;
            // Folded before it is written: a record that nobody could read must never be in the log.
            let mut after = catalogue.clone();
            after.apply(&record).map_err(|error| unreadable(catalogue.key(), seq, &error))?;
            match log.append(catalogue.key(), seq, record).await {
                Ok(()) => {
                    keep(log, &mut after).await;
                    self.remember(&after);
                    return Ok((after, Some(seq)));
                }
                Err(Error::SeqTaken { .. }) => {
                    tracing::debug!(key = %catalogue.key(), %seq, "another writer was first, deciding again");
                    telemetry::conflicted();
                    catch_up(log, &mut catalogue).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::SeqTaken { key: LogKey::model(name), seq: catalogue.next() })
    }

    fn known(&self, name: &ModelName) -> Option<Catalogue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn remember(&self, catalogue: &Catalogue) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(catalogue.name()).is_some_and(|known| known.next() >= catalogue.next()) {
            return;
        }
        if known.len() >= Self::MOST && !known.contains_key(catalogue.name()) {
            known.clear();
        }
        known.insert(catalogue.name().clone(), catalogue.clone());
    }
}

/// The newest snapshot, or nothing said yet.
async fn restore(log: &dyn Log, name: &ModelName) -> Result<Catalogue> {
    let key = LogKey::model(name);
    let snapshot = match log.snapshot(&key).await {
        Ok(snapshot) => snapshot,
        Err(error @ Error::Corrupt { .. }) => {
            tracing::warn!(%key, %error, "a snapshot cannot be read, folding the whole log");
            None
        }
        Err(error) => return Err(error),
    };
    let Some(snapshot) = snapshot else { return Ok(Catalogue::new(name.clone())) };
    Catalogue::restore(name.clone(), &snapshot).or_else(|error| {
        tracing::warn!(%key, seq = %snapshot.seq, %error, "a snapshot cannot be read, folding the whole log");
        Ok(Catalogue::new(name.clone()))
    })
}

async fn catch_up(log: &dyn Log, catalogue: &mut Catalogue) -> Result<()> {
    for record in log.read(catalogue.key(), catalogue.next()).await? {
        catalogue.apply(&record)?;
        // Also where no snapshot will be kept: pages are smaller than what is not in one.
        if catalogue.changes_fill_a_page() {
            catalogue.compact().map_err(|error| catalogue.damaged(error))?;
        }
    }
    Ok(())
}

/// Keeps a snapshot when it is time for one. That it cannot be kept harms nobody now.
async fn keep(log: &dyn Log, catalogue: &mut Catalogue) {
    if !catalogue.is_due() {
        return;
    }
    let kept = async {
        catalogue.settle()?;
        let snapshot = catalogue.snapshot()?;
        Ok::<_, BoxError>(log.keep(catalogue.key(), snapshot).await?)
    };
    if let Err(error) = kept.await {
        tracing::warn!(key = %catalogue.key(), error, "cannot keep a snapshot; reading the log takes longer");
    }
}

fn unreadable(key: &LogKey, seq: Seq, error: &Error) -> Invalid {
    let cause = std::error::Error::source(error).unwrap_or(error);
    Invalid::new("record", what(key, seq), format!("it could not be read again ({cause})"))
}
