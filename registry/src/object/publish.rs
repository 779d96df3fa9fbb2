//! Publishing: blobs, then the manifest, then one record that makes them a version.

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::ObjectStoreExt as _;

use super::{
    ObjectBacked,
    blob::Uploads,
    failure::failure,
    keys,
    stored::Stored,
    unfinished::Unfinished,
};
use crate::{
    Content, Digest, Draft, Error, File, Manifest, Progress, Result, Transfer,
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

    let unfinished = Unfinished::new(registry);
    let written = write(
        registry,
        &unfinished,
        Draft { model: model.clone(), stamp: stamp.clone(), card },
        sources,
        progress,
    );
    let (stored, key) = match written.await {
        Ok(written) => written,
        Err(error) => {
            unfinished.remove().await;
            return Err(error);
        }
    };
    let blobs = unfinished.release();
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
            registry.place.discard(&*registry.store, blobs).await;
            Ok(registry.stored(&model).await?.manifest.clone())
        }
        Err(error) => {
            // Only these say that no record can name the blobs. After any other failure one may.
            if matches!(error, Error::AlreadyPublished { .. } | Error::Invalid(_)) {
                registry.place.discard(&*registry.store, blobs).await;
            }
            Err(error)
        }
    }
}

/// Writes the blobs and the manifest that names them. Returns the manifest and its digest, by which it
/// is found.
async fn write(
    registry: &ObjectBacked,
    unfinished: &Unfinished,
    draft: Draft,
    sources: Vec<Source>,
    progress: &dyn Progress,
) -> Result<(Stored, Digest)> {
    let Draft { model, stamp, card } = draft;
    let name = model.name();
    let mut uploads = Uploads::new(registry, name, unfinished, progress);
    uploads.begin(sources.len()).await?;
    let upload = |source| -> BoxFuture<'_, _> { Box::pin(uploads.upload(source)) };
    let (files, segments): (Vec<_>, Vec<_>) = each(sources, upload).await?.into_iter().unzip();
    uploads.settle().await?;
    // `Manifest::new` sorts by path; sources come sorted, so segments stay beside their files.
    let stored = Stored::new(Manifest::new(model.clone(), files, stamp, card), segments);
    let document = stored.encode()?;
    let key = Digest::of(&document);
    let path = keys::manifest(name, &key);
    registry.store.put(&path, document.into()).await.map_err(failure(registry, "write a manifest"))?;
    Ok((stored, key))
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
