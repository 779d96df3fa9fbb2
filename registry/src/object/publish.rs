//! Publishing: blobs, then the manifest, then one record that makes them a version.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::ObjectStoreExt as _;

use super::{
    ObjectBacked, blob::Uploads, failure::failure, journal::Journal, keys, stored::Stored,
    unfinished::Unfinished,
};
use crate::{
    Content, Digest, Draft, Error, File, Manifest, ModelRef, Phase, Progress, Result, Transfer,
    catalogue::Catalogue,
    commit::{commit, fold},
    record::Fact,
    transfer::{blocking::blocking, hashing::hash, source::Source},
};

/// Files read and hashed at once.
const FILES: usize = 4;

pub(super) async fn publish(
    registry: &ObjectBacked,
    draft: Draft,
    content: Content,
    progress: &dyn Progress,
) -> Result<Manifest> {
    draft.check()?;
    progress.tell(Transfer::Phase(Phase::Preparing));
    let Draft { model, stamp, card } = draft;
    let sources = content.sources().await?;
    let catalogue = fold(registry, model.name()).await?;
    let there = catalogue.equal_precedence(&model)?.is_some();
    let bytes = sources.iter().map(|source| source.size).sum();
    progress.tell(Transfer::Start { files: sources.len(), bytes });
    progress.tell(Transfer::Phase(if there { Phase::Hashing } else { Phase::Uploading }));
    if there {
        let files = each(FILES, sources, |source| Box::pin(look(source, progress))).await?;
        catalogue.admits(&model, &Manifest::new(model.clone(), files, stamp, card).digest)?;
        return Ok(registry.stored(&model).await?.manifest.clone());
    }

    let journal = open_journal(registry, &model).await?;
    let unfinished = Unfinished::new(registry, journal.is_some());
    let draft = Draft { model: model.clone(), stamp: stamp.clone(), card };
    let live = live(registry, &catalogue, &model).await;
    let uploads =
        Uploads::begin(registry, model.name(), sources.len(), &unfinished, journal.as_ref(), live, progress);
    let uploads = uploads.await?;
    let written = write(&uploads, draft, sources).await;
    drop(uploads);
    let Written { stored, key, reused } = match written {
        Ok(written) => written,
        Err(error) => {
            unfinished.remove().await;
            return Err(error);
        }
    };
    let blobs = unfinished.release();
    if !reused.is_empty() {
        tracing::debug!(%model, blobs = reused.len(), "blobs of other versions hold some of its files");
    }
    let (digest, size) = (stored.manifest.digest, stored.manifest.size);
    let committed = commit(registry, model.name(), &stamp, |catalogue| {
        let publish = || Fact::Publish { version: model.version().clone(), digest, size, manifest: key };
        Ok(if catalogue.admits(&model, &digest)? { vec![publish()] } else { Vec::new() })
    })
    .await;
    // Only these say that no record can name the blobs. After any other failure one may.
    let lost = match &committed {
        Ok((_, written)) => written.is_none(),
        Err(error) => matches!(error, Error::AlreadyPublished { .. } | Error::Invalid(_)),
    };
    if lost {
        registry.place.discard(&*registry.store, blobs).await;
    }
    if let Some(journal) = journal
        && (lost || committed.is_ok())
    {
        journal.remove();
    }
    match committed? {
        (_, Some(_)) => Ok(stored.manifest),
        // Somebody published the same content meanwhile.
        (_, None) => Ok(registry.stored(&model).await?.manifest.clone()),
    }
}

/// What is written before the record.
struct Written {
    stored: Stored,
    /// The digest of the manifest, by which it is found.
    key: Digest,
    /// Blobs that this publication did not write: they are another version's, and may be condemned before
    /// the record is there.
    reused: Vec<String>,
}

async fn open_journal(registry: &ObjectBacked, model: &ModelRef) -> Result<Option<Journal>> {
    let Some(directory) = registry.transfers.journals().map(Path::to_owned) else { return Ok(None) };
    let (store, model) = (registry.to_string(), model.clone());
    blocking(move || Journal::open(&directory, &store, &model)).await
}

/// The files of the versions that this one most likely shares some with: the highest two.
async fn live(registry: &ObjectBacked, catalogue: &Catalogue, model: &ModelRef) -> Vec<(File, String)> {
    let mut live = Vec::new();
    let versions = catalogue.clone().into_versions().unwrap_or_default();
    for version in versions.iter().rev().take(2).map(|published| published.version.clone()) {
        // One that cannot be read has nothing to share.
        if let Ok(stored) = registry.stored(&model.name().at(version)).await {
            live.extend(stored.blobs());
        }
    }
    live
}

/// Writes the blobs and the manifest that names them.
async fn write(uploads: &Uploads<'_>, draft: Draft, sources: Vec<Source>) -> Result<Written> {
    let Draft { model, stamp, card } = draft;
    let (registry, progress) = (uploads.registry, uploads.progress);
    let upload = |source| -> BoxFuture<'_, _> { Box::pin(uploads.upload(source)) };
    let files = registry.transfers.parts();
    let (files, segments): (Vec<_>, Vec<_>) = each(files, sources, upload).await?.into_iter().unzip();
    progress.tell(Transfer::Phase(Phase::Finishing));
    uploads.settle().await?;
    progress.tell(Transfer::Phase(Phase::Committing));
    let name = model.name().clone();
    // `Manifest::new` sorts by path; sources come sorted, so segments stay beside their files.
    let stored = Stored::new(Manifest::new(model, files, stamp, card), segments);
    let document = stored.encode()?;
    let key = Digest::of(&document);
    let path = keys::manifest(&name, &key);
    registry.store.put(&path, document.into()).await.map_err(failure(registry, "write a manifest"))?;
    Ok(Written { stored, key, reused: uploads.reused() })
}

/// Does `work` to several sources at once and keeps their order.
async fn each<'a, T: Send>(
    at_once: usize,
    sources: Vec<Source>,
    work: impl Fn(Source) -> BoxFuture<'a, Result<T>> + Send,
) -> Result<Vec<T>> {
    stream::iter(sources).map(work).buffered(at_once).try_collect().await
}

async fn look(source: Source, progress: &dyn Progress) -> Result<File> {
    let path = source.path.clone();
    let file = hash(source.open().await?, path, progress, |_| Ok(())).await?;
    progress.tell(Transfer::File(&file.path));
    Ok(file)
}
