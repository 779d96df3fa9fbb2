//! What is written of a version before its record.

use std::{collections::BTreeSet, path::Path};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::{ObjectStoreExt as _, path::Path as ObjectPath};
use uuid::Uuid;

use super::{
    blob::Uploads,
    journal::{Journal, Line},
    unfinished::Unfinished,
};
use crate::{
    Digest, Draft, Error, File, Filter, Manifest, ModelRef, Phase, Profile, Progress, Result, Transfer,
    catalogue::{Catalogue, Fact, Publish},
    object::{ObjectBacked, failure::failure, keys, stored::Stored},
    transfer::{blocking::blocking, source::Source},
};

/// Versions whose blobs may be used again: the highest of them, which most likely share some.
const LENDERS: usize = 2;

/// Blobs and a manifest, of which no record knows yet.
pub(in crate::object) struct Written {
    draft: Draft,
    stored: Stored,
    /// The digest of the manifest, by which it is found.
    document: Digest,
    publication: Uuid,
    /// Versions whose blobs it uses. They must exist when the record is written.
    lenders: Vec<ModelRef>,
    unfinished: Option<Unfinished>,
    journal: Option<Journal>,
}

/// A version that exists, and what is in it.
struct Lender {
    model: ModelRef,
    blobs: Vec<(File, String)>,
}

impl Written {
    /// Writes the blobs of `sources`, and the manifest that names them.
    pub(in crate::object) async fn write(
        registry: &ObjectBacked,
        catalogue: &Catalogue,
        draft: Draft,
        sources: Vec<Source>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut journal = open_journal(registry, &draft.model).await?;
        let past = journal.as_ref().and_then(Journal::publication);
        let past = past.filter(|(publication, _)| !catalogue.is_dead(publication));
        if let (None, Some(journal)) = (past, &mut journal) {
            // It was taken for abandoned.
            journal.forget()?;
        }
        let (publication, begun) = past.unwrap_or_else(|| (Uuid::now_v7(), 0));
        let unfinished = Unfinished::new(registry, journal.is_some());
        let lenders = lenders(registry, catalogue, &draft.model).await?;
        let writing = Writing { registry, publication, draft: &draft, progress };
        match writing.write(&unfinished, journal.as_ref(), begun, &lenders, sources).await {
            Ok((stored, document, reused)) => {
                let lends = |lender: &Lender| lender.blobs.iter().any(|(_, key)| reused.contains(key));
                let lenders = lenders.into_iter().filter(lends).map(|lender| lender.model).collect();
                let unfinished = Some(unfinished);
                Ok(Self { draft, stored, document, publication, lenders, unfinished, journal })
            }
            Err(error) => {
                unfinished.remove().await;
                Err(error)
            }
        }
    }

    /// Whether something of it is garbage by now. Whoever is asked in the state in which the record is
    /// written knows; see [`ObjectBacked::collect`].
    pub(in crate::object) fn is_stale(&self, catalogue: &Catalogue) -> Result<bool> {
        let mut writers = self.stored.segments.iter().filter_map(|segment| keys::publication(&segment.key));
        if catalogue.is_dead(&self.publication) || writers.any(|writer| catalogue.is_dead(&writer)) {
            return Ok(true);
        }
        for lender in &self.lenders {
            match catalogue.row(lender) {
                Ok(_) => {}
                Err(Error::NotFound { .. }) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// What the record says; nothing when the version is there with the same content.
    pub(in crate::object) fn facts(&self, catalogue: &Catalogue) -> Result<Option<Vec<Fact>>> {
        let manifest = &self.stored.manifest;
        if !catalogue.admits(&manifest.model, &manifest.digest)? {
            return Ok(None);
        }
        let keys: BTreeSet<&str> = self.stored.segments.iter().map(|segment| segment.key.as_str()).collect();
        let writers = || keys.iter().filter_map(|key| keys::publication(key));
        let own = writers().filter(|writer| *writer == self.publication).count();
        let others: BTreeSet<Uuid> = writers().filter(|writer| *writer != self.publication).collect();
        let publish = Publish::of(manifest, self.document, catalogue.next());
        let publish = publish.written_by(self.publication, own, others.into_iter().collect());
        self.draft.facts(catalogue, publish).map(Some)
    }

    /// From here on a record may name the blobs. Returns those that it wrote.
    pub(in crate::object) fn release(&mut self) -> Vec<ObjectPath> {
        if let Some(journal) = &self.journal {
            journal.note(&Line::Committing);
        }
        self.unfinished.take().map(Unfinished::release).unwrap_or_default()
    }

    /// There is nothing to go on with any more.
    pub(in crate::object) fn forget(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.remove();
        }
    }

    /// Removes what it wrote.
    pub(in crate::object) async fn abandon(mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            unfinished.remove().await;
        }
    }
}

/// A version being written.
struct Writing<'a> {
    registry: &'a ObjectBacked,
    publication: Uuid,
    draft: &'a Draft,
    progress: &'a dyn Progress,
}

impl Writing<'_> {
    /// Returns what was stored, the digest of its document, and the blobs of others that it uses.
    async fn write(
        self,
        unfinished: &Unfinished,
        journal: Option<&Journal>,
        begun: usize,
        lenders: &[Lender],
        sources: Vec<Source>,
    ) -> Result<(Stored, Digest, Vec<String>)> {
        let Self { registry, publication, draft, progress } = self;
        let name = draft.model.name();
        let live = lenders.iter().flat_map(|lender| lender.blobs.clone()).collect();
        let uploads = Uploads::begin(registry, name, sources.len(), unfinished, journal, live, progress);
        let uploads = uploads.await?.of(publication, begun);
        let upload = |source| -> BoxFuture<'_, _> { Box::pin(uploads.upload(source)) };
        let uploaded = each(registry.transfers.parts(), sources, upload).await?;
        progress.tell(Transfer::Phase(Phase::Finishing));
        uploads.settle().await?;
        let (mut files, mut readings, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        for ((file, reading), segment) in uploaded {
            files.push(file);
            readings.extend(reading);
            segments.push(segment);
        }
        // `Manifest::new` sorts by path; sources come sorted, so segments stay beside their files.
        let manifest = Manifest::new(draft.model.clone(), files, draft.stamp.clone(), draft.card.clone())
            .with_profile(Profile::of(readings));
        let stored = Stored::new(manifest, publication, segments);
        let document = stored.encode()?;
        let digest = Digest::of(&document);
        let path = keys::manifest(name, &digest);
        registry.store.put(&path, document.into()).await.map_err(failure(registry, "write a manifest"))?;
        Ok((stored, digest, uploads.reused()))
    }
}

async fn open_journal(registry: &ObjectBacked, model: &ModelRef) -> Result<Option<Journal>> {
    let Some(directory) = registry.transfers.journals().map(Path::to_owned) else { return Ok(None) };
    let (store, model) = (registry.to_string(), model.clone());
    blocking(move || Journal::open(&directory, &store, &model)).await
}

async fn lenders(registry: &ObjectBacked, catalogue: &Catalogue, model: &ModelRef) -> Result<Vec<Lender>> {
    let mut lenders = Vec::new();
    for published in catalogue.clone().list(Filter::default()).take(LENDERS) {
        let model = model.name().at(published?.version);
        // One that cannot be read has nothing to lend.
        if let Ok(stored) = registry.stored(&model).await {
            // The first registries did not say who wrote a blob, and so cannot tell who still uses it.
            let blobs = stored.blobs().filter(|(_, key)| keys::publication(key).is_some()).collect();
            lenders.push(Lender { model, blobs });
        }
    }
    Ok(lenders)
}

/// Does `work` to several sources at once and keeps their order.
pub(in crate::object) async fn each<'a, T: Send>(
    at_once: usize,
    sources: Vec<Source>,
    work: impl Fn(Source) -> BoxFuture<'a, Result<T>> + Send,
) -> Result<Vec<T>> {
    stream::iter(sources).map(work).buffered(at_once).try_collect().await
}
