//! The registry in memory: the reference for what a registry does.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::{
    ByteStream, Content, Digest, Draft, Error, FilePath, Filter, Invalid, Log, LogKey, Manifest, ModelName,
    ModelRef, ModelStore, OpenOptions, Phase, Profile, Progress, Published, Result, Seq, Snapshot, Transfer,
    catalogue::{Catalogues, Publish},
    telemetry::{Counted, Kind, observe, operation},
    transfer::{
        hashing::{Hashed, hash},
        source::Source,
    },
};

/// A [`ModelStore`] and [`Log`] that keeps everything in memory. Clones share it.
#[derive(Clone, Default)]
pub struct InMemory {
    state: Arc<Mutex<State>>,
    catalogues: Arc<Catalogues>,
}

#[derive(Default)]
struct State {
    logs: HashMap<LogKey, Vec<Bytes>>,
    manifests: HashMap<Digest, Arc<Stored>>,
    snapshots: HashMap<LogKey, Snapshot>,
}

struct Stored {
    manifest: Manifest,
    /// In the order of the manifest's files.
    files: Vec<Bytes>,
}

impl InMemory {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single insertion, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stored(&self, model: &ModelRef) -> Result<Arc<Stored>> {
        let digest = self.catalogues.fold(self, model.name()).await?.row(model)?.manifest;
        let stored = self.state().manifests.get(&digest).map(Arc::clone);
        Ok(stored.expect("a manifest is stored before its record"))
    }

    async fn put(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        let sources = content.sources().await?;
        let catalogue = self.catalogues.fold(self, draft.model.name()).await?;
        if catalogue.equal_precedence(&draft.model)?.is_none() {
            draft.check_promotions(&catalogue)?;
        }
        let bytes = sources.iter().map(|source| source.size).sum();
        progress.tell(Transfer::Start { files: sources.len(), bytes });
        progress.tell(Transfer::Phase(Phase::Uploading));
        let (mut files, mut readings, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for source in sources {
            let ((file, reading), content) = take(source, progress).await?;
            files.push(file);
            readings.extend(reading);
            contents.push(content);
        }
        let manifest = Manifest::new(draft.model.clone(), files, draft.stamp.clone(), draft.card.clone())
            .with_profile(Profile::of(readings));
        let document = serde_json::to_vec(&manifest).map_err(|error| {
            Invalid::new("card", draft.model.to_string(), format!("it cannot be written as JSON ({error})"))
        })?;
        let key = Digest::of(document);
        let stored = Arc::new(Stored { manifest, files: contents });
        let (model, stamp) = (&draft.model, &draft.stamp);
        let committed = self
            .catalogues
            .commit(self, model.name(), stamp, |catalogue| {
                if !catalogue.admits(model, &stored.manifest.digest)? {
                    return draft.promotions(catalogue, catalogue.published(model)?);
                }
                self.state().manifests.insert(key, Arc::clone(&stored));
                let publish = Publish::of(&stored.manifest, key, catalogue.next());
                draft.facts(catalogue, publish)
            })
            .await;
        // Where another publisher was first, nobody can publish this manifest any more.
        let lost = match &committed {
            Ok((catalogue, _)) => catalogue.row(model)?.manifest != key,
            Err(_) => {
                let catalogue = self.catalogues.fold(self, model.name()).await?;
                !catalogue.row(model).is_ok_and(|row| row.manifest == key)
            }
        };
        if lost {
            self.state().manifests.remove(&key);
        }
        committed?;
        self.manifest(model).await
    }
}

#[async_trait]
impl ModelStore for InMemory {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        draft.check()?;
        let span = operation!(INFO, "tidegate.registry.publish", tidegate.model = %draft.model);
        let work = async move { self.put(draft, content, &Counted::new("publish", progress)).await };
        observe(Kind::Operation("publish"), span, work).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        Ok(self.stored(model).await?.manifest.clone())
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        let stored = self.stored(model).await?;
        let at = stored.manifest.position(file)?;
        let bytes = &stored.files[at];
        let range = options.within(file, bytes.len() as u64)?;
        // Sound casts: both ends lie within a length that was a `usize`.
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        Ok(stream::iter([Ok(bytes)]).boxed())
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.catalogues.list(self, name.clone(), filter)
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        let mut names: Vec<ModelName> = self.state().logs.keys().filter_map(LogKey::as_model).collect();
        names.sort_unstable();
        stream::iter(names.into_iter().map(Ok)).boxed()
    }
}

#[async_trait]
impl Log for InMemory {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        let mut state = self.state();
        let records = state.logs.entry(key.clone()).or_default();
        let end = Seq::FIRST.plus(records.len());
        if seq > end {
            if records.is_empty() {
                state.logs.remove(key);
            }
            return Err(seq.beyond(key).into());
        }
        if seq == end {
            records.push(record);
            return Ok(());
        }
        let there = records.get(seq.index()).is_some_and(|there| *there == record);
        if there { Ok(()) } else { Err(Error::SeqTaken { key: key.clone(), seq }) }
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        let state = self.state();
        let records = state.logs.get(key).and_then(|records| records.get(from.index()..));
        Ok(records.unwrap_or_default().to_vec())
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        Ok(self.state().logs.get(key).and_then(|records| records.get(seq.index()).cloned()))
    }

    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        Ok(self.state().snapshots.get(key).cloned())
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        let mut state = self.state();
        if state.snapshots.get(key).is_none_or(|there| there.seq <= snapshot.seq) {
            state.snapshots.insert(key.clone(), snapshot);
        }
        Ok(())
    }
}

async fn take(source: Source, progress: &dyn Progress) -> Result<(Hashed, Bytes)> {
    let path = source.path.clone();
    let mut bytes = BytesMut::new();
    let keep = |block: &Bytes| {
        bytes.extend_from_slice(block);
        Ok(())
    };
    let hashed = hash(source.open().await?, path, progress, keep).await?;
    progress.tell(Transfer::File(&hashed.0.path));
    Ok((hashed, bytes.freeze()))
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("InMemory")
            .field("logs", &state.logs.len())
            .field("manifests", &state.manifests.len())
            .finish()
    }
}

impl fmt::Display for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;

    #[tokio::test]
    async fn what_is_not_published_is_not_kept() {
        let memory = InMemory::new();
        let publish = async |bytes: &'static str| {
            let draft = Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("test"));
            memory.publish(draft, Content::bytes([("f".parse().unwrap(), bytes.into())]), &()).await
        };
        publish("one").await.unwrap();
        publish("two").await.unwrap_err();
        publish("one").await.unwrap();
        assert_eq!(memory.state().manifests.len(), 1);
    }
}
