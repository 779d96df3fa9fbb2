//! Publishing: blobs, then the manifest, then one record that makes them a version.

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::{ObjectStoreExt as _, path::Path};

use super::{
    ObjectBacked,
    blob::Budget,
    failure::failure,
    keys,
    stored::{Segment, Stored},
};
use crate::{
    Content, Digest, Draft, Error, File, Manifest, ModelName, Progress, Result, Transfer,
    commit::{commit, fold},
    record::Fact,
    transfer::{hashing::hash, source::Source},
};

/// Files under way at once. Many small ones are bound by latency and by syncs, not by bytes.
const FILES: usize = 8;

pub(super) async fn publish(
    registry: &ObjectBacked,
    draft: Draft,
    content: Content,
    progress: &dyn Progress,
) -> Result<Manifest> {
    draft.check()?;
    let Draft { model, stamp, card } = draft;
    let sources = content.sources().await?;
    let catalogue = fold(registry, model.name()).await?;
    let there = catalogue.equal_precedence(&model)?.is_some();
    let bytes = sources.iter().map(|source| source.size).sum();
    progress.tell(Transfer::Start { files: sources.len(), bytes });
    if there {
        let files = each(sources, |source| Box::pin(look(source, progress))).await?;
        catalogue.admits(&model, &Manifest::new(model.clone(), files, stamp, card).digest)?;
        return Ok(registry.stored(&model).await?.manifest.clone());
    }

    let uploaded = upload(registry, model.name(), sources, progress).await?;
    let (files, segments): (Vec<_>, Vec<_>) = uploaded.into_iter().unzip();
    // `Manifest::new` sorts by path; sources come sorted, so segments stay beside their files.
    let stored = Stored::new(Manifest::new(model.clone(), files, stamp.clone(), card), segments);
    let document = stored.encode()?;
    let key = Digest::of(&document);
    let path = keys::manifest(model.name(), &key);
    registry.store.put(&path, document.into()).await.map_err(failure(registry, "write a manifest"))?;

    let (digest, size) = (stored.manifest.digest, stored.manifest.size);
    let committed = commit(registry, model.name(), &stamp, |catalogue| {
        let publish = || Fact::Publish { version: model.version().clone(), digest, size, manifest: key };
        Ok(if catalogue.admits(&model, &digest)? { vec![publish()] } else { Vec::new() })
    })
    .await;
    match committed {
        Ok((_, Some(_))) => Ok(stored.manifest),
        // Somebody published the same content meanwhile.
        Ok((_, None)) => {
            discard(registry, blobs(model.name(), &stored.segments)).await;
            Ok(registry.stored(&model).await?.manifest.clone())
        }
        Err(error) => {
            // Blobs of a record that may yet turn out to be written must stay.
            if !matches!(error, Error::CommitUnknown { .. }) {
                discard(registry, blobs(model.name(), &stored.segments)).await;
            }
            Err(error)
        }
    }
}

/// Uploads every file, or leaves nothing behind that it can remove.
async fn upload(
    registry: &ObjectBacked,
    name: &ModelName,
    sources: Vec<Source>,
    progress: &dyn Progress,
) -> Result<Vec<(File, Segment)>> {
    let budget = &Budget::new();
    let done = std::sync::Mutex::new(Vec::new());
    let uploads = each(sources, |source| {
        let done = &done;
        Box::pin(async move {
            let uploaded = registry.upload(name, source, budget, progress).await?;
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(uploaded.1.clone());
            Ok(uploaded)
        })
    })
    .await;
    if uploads.is_err() {
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        discard(registry, blobs(name, &done)).await;
    }
    uploads
}

/// Does `work` to several sources at once and keeps their order.
async fn each<'a, T: Send>(
    sources: Vec<Source>,
    work: impl Fn(Source) -> BoxFuture<'a, Result<T>> + Send,
) -> Result<Vec<T>> {
    stream::iter(sources).map(work).buffered(FILES).try_collect().await
}

async fn look(source: Source, progress: &dyn Progress) -> Result<File> {
    let path = source.path.clone();
    let file = hash(source.open().await?, path, progress, |_| Ok(())).await?;
    progress.tell(Transfer::File(&file.path));
    Ok(file)
}

fn blobs(name: &ModelName, segments: &[Segment]) -> Vec<Path> {
    segments.iter().map(|segment| segment.path(name)).collect()
}

/// Removes blobs that no record names, as far as the store lets us; what stays is invisible.
async fn discard(registry: &ObjectBacked, blobs: Vec<Path>) {
    let mut deleted = registry.store.delete_stream(stream::iter(blobs.into_iter().map(Ok)).boxed());
    while let Some(deleted) = deleted.next().await {
        if let Err(error) = deleted {
            tracing::debug!(%error, "a blob of an abandoned publication stays behind");
        }
    }
}
