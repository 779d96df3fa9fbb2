//! Publishing: blobs, then the manifest, then one record that makes them a version.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::ObjectStoreExt as _;
use uuid::Uuid;

use super::{
    ObjectBacked,
    blob::Budget,
    failure::failure,
    keys,
    stored::Stored,
    unfinished::{Unfinished, discard},
};
use crate::{
    Content, Digest, Draft, Error, File, Manifest, Progress, Result, Transfer,
    catalogue::Publish,
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
    let (model, stamp, card) = (draft.model.clone(), draft.stamp.clone(), draft.card.clone());
    let sources = content.sources().await?;
    let catalogue = registry.catalogues.fold(registry, model.name()).await?;
    let there = catalogue.equal_precedence(&model)?.is_some();
    let bytes = sources.iter().map(|source| source.size).sum();
    progress.tell(Transfer::Start { files: sources.len(), bytes });
    if there {
        let files = each(sources, |source| Box::pin(look(source, progress))).await?;
        catalogue.admits(&model, &Manifest::new(model.clone(), files, stamp, card).digest)?;
        return Ok(registry.stored(&model).await?.manifest.clone());
    }

    let unfinished = Unfinished::new(registry);
    let publication = Uuid::now_v7();
    let written = write(registry, &unfinished, publication, draft.clone(), sources, progress);
    let (stored, key) = match written.await {
        Ok(written) => written,
        Err(error) => {
            unfinished.remove().await;
            return Err(error);
        }
    };
    let blobs = unfinished.release();
    let (digest, own) = (stored.manifest.digest, stored.segments.len());
    let commit = registry.catalogues.commit(registry, model.name(), &stamp, |catalogue| {
        if !catalogue.admits(&model, &digest)? {
            return Ok(Vec::new());
        }
        if catalogue.is_dead(&publication) {
            return Err(Error::Unavailable {
                store: registry.to_string(),
                action: "keep what a publication wrote",
                source: "a garbage collection took it for abandoned; publish again".into(),
            });
        }
        let publish = Publish::of(&stored.manifest, key, catalogue.next());
        draft.facts(catalogue, publish.written_by(publication, own, Vec::new()))
    });
    let committed = commit.await;
    match committed {
        Ok((_, Some(_))) => Ok(stored.manifest),
        // Somebody published the same content meanwhile.
        Ok((_, None)) => {
            discard(&*registry.store, blobs).await;
            Ok(registry.stored(&model).await?.manifest.clone())
        }
        Err(error) => {
            // Only these say that no record can name the blobs. After any other failure one may.
            if matches!(error, Error::AlreadyPublished { .. } | Error::Invalid(_)) {
                discard(&*registry.store, blobs).await;
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
    publication: Uuid,
    draft: Draft,
    sources: Vec<Source>,
    progress: &dyn Progress,
) -> Result<(Stored, Digest)> {
    let Draft { model, stamp, card, .. } = draft;
    let budget = &Budget::new();
    let name = model.name();
    let written = AtomicUsize::new(0);
    let upload = |source| -> BoxFuture<'_, _> {
        let key = keys::new_blob(&publication, written.fetch_add(1, Ordering::Relaxed));
        Box::pin(registry.upload(name, key, source, budget, unfinished, progress))
    };
    let (files, segments): (Vec<_>, Vec<_>) = each(sources, upload).await?.into_iter().unzip();
    // `Manifest::new` sorts by path; sources come sorted, so segments stay beside their files.
    let stored = Stored::new(Manifest::new(model.clone(), files, stamp, card), publication, segments);
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
