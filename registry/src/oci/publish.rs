//! Publishing: blobs, then the artifact by its digest, then the record that makes it a version, then its
//! tag.
//!
//! The tag comes last: of publishers who race for a version only the one whose record is in the log sets
//! it, and a tag that nobody can explain is seen before anything is sent.

use std::iter;

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{
    OciBacked,
    artifact::Artifact,
    config, document,
    facts::Pinned,
    failure::failure,
    place::{Name, tag},
};
use crate::{
    Digest, Draft, Invalid, Manifest, ModelRef, Profile, Progress, Result, Transfer,
    telemetry::{Counted, Kind, observe, operation},
    transfer::{
        hashing::{Hashed, hash},
        source::Source,
    },
};

/// Publishes `sources`, which are `known` to be the files of this manifest if their digests were taken
/// elsewhere.
pub(super) async fn publish(
    store: &OciBacked,
    draft: Draft,
    sources: Vec<Source>,
    known: Option<Manifest>,
    progress: &dyn Progress,
) -> Result<Manifest> {
    draft.check()?;
    let span = operation!(INFO, "tidegate.registry.publish", tidegate.model = %draft.model);
    let work = async move { put(store, draft, sources, known, &Counted::new("publish", progress)).await };
    observe(Kind::Operation("publish"), span, work).await
}

async fn put(
    store: &OciBacked,
    draft: Draft,
    sources: Vec<Source>,
    known: Option<Manifest>,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let Draft { model, stamp, card, .. } = draft.clone();
    let repository = &store.place.repository(model.name())?;
    let tag = tag(model.version())?;
    // Two chunks of each are held, as much as is said of a part.
    let parts = store.transfers.parts();
    let there = is_there(store, repository, &model, &tag).await?;
    let bytes = match &known {
        Some(known) => Some(known.size),
        None => sources.iter().map(|source| source.size).sum(),
    };
    progress.tell(Transfer::Start { files: sources.len(), bytes });
    if there {
        let files = match known {
            Some(known) => known.files,
            None => {
                let looked = each(parts, sources.into_iter().map(|source| look(source, progress))).await?;
                looked.into_iter().map(|(file, _)| file).collect()
            }
        };
        let offered = Manifest::new(model.clone(), files, stamp, card).digest;
        store.facts.promote(&draft, &offered).await?;
        let manifest = store.stored(&model).await?;
        restore_tag(store, repository, &model, tag).await;
        return Ok(Manifest::clone(&*manifest));
    }

    store.facts.check(&draft).await?;
    let (known, profile) = known.map_or_else(Default::default, |known| (known.files, known.profile));
    let known = known.into_iter().map(Some).chain(iter::repeat_with(|| None));
    let uploads = iter::zip(sources, known).map(|(source, known)| -> BoxFuture<'_, _> {
        Box::pin(store.upload(repository, source, known, progress))
    });
    let (files, readings): (Vec<_>, Vec<_>) = each(parts, uploads).await?.into_iter().unzip();
    // What is not sent is not looked into either, so what was found there once counts.
    let profile = profile.unwrap_or_else(|| Profile::of(readings.into_iter().flatten()));
    let manifest = Manifest::new(model.clone(), files, stamp, card).with_profile(profile);
    let document = document::encode(&manifest)?;
    let document = store.put(repository, &Digest::of(&document), document).await?;
    let config = config::encode(&manifest, &document.digest);
    let config = store.put(repository, &Digest::of(&config), config).await?;
    let artifact = Artifact::encode(&manifest, config, document)?;
    // What nobody could read must never be published: its version would be taken for ever.
    Artifact::parse(&artifact)
        .and_then(|read| read.agrees(&manifest))
        .map_err(|why| Invalid::new("content", model.to_string(), why))?;
    let digest = Digest::of(&artifact);
    let put = async |name| store.wire.put_manifest(repository, &name, artifact.clone()).await;
    put(Name::Digest(digest)).await.map_err(failure(store, "write an artifact"))?;
    if !store.facts.publish(&draft, &manifest, digest).await? {
        return Ok(Manifest::clone(&*store.stored(&model).await?));
    }
    // The version is published, with or without its tag.
    if let Err(error) = put(Name::Tag(tag)).await {
        tracing::warn!(%model, %store, %error, "published, but cannot tag it; publish it again to have it tagged");
    }
    Ok(manifest)
}

/// Whether the version exists. If it does not, neither may its tag.
async fn is_there(store: &OciBacked, repository: &str, model: &ModelRef, tag: &str) -> Result<bool> {
    if store.facts.exists(model).await? {
        return Ok(true);
    }
    let tagged = store.wire.tagged(repository, tag).await.map_err(failure(store, "look for a tag"))?;
    let Some(digest) = tagged else { return Ok(false) };
    // Somebody may have published it between the two.
    if store.facts.exists(model).await? {
        return Ok(true);
    }
    let why = format!(
        "the tag {tag} of {repository} in {store} points to {digest}, of which the log says nothing; publish that artifact under another version, or remove the tag"
    );
    Err(Invalid::new("version", model.to_string(), why).into())
}

/// Makes the tag of a version point to it, if it does not; if that cannot be done, it is not.
async fn restore_tag(store: &OciBacked, repository: &str, model: &ModelRef, tag: String) {
    let restore = async {
        let Pinned { artifact, .. } = store.facts.pinned(model).await?;
        let lost = failure(store, "look for a tag");
        if store.wire.tagged(repository, &tag).await.map_err(lost)? == Some(artifact) {
            return Ok(());
        }
        let read = store.wire.manifest(repository, &Name::Digest(artifact)).await;
        let Some(bytes) = read.map_err(failure(store, "read an artifact"))? else { return Ok(()) };
        let put = store.wire.put_manifest(repository, &Name::Tag(tag), bytes).await;
        put.map_err(failure(store, "write a tag"))
    };
    let restored: Result<()> = restore.await;
    if let Err(error) = restored {
        tracing::warn!(%model, %store, %error, "cannot restore its tag");
    }
}

/// Does so many of these at once and keeps their order.
async fn each<T: Send, F: Future<Output = Result<T>> + Send>(
    parts: usize,
    work: impl Iterator<Item = F> + Send,
) -> Result<Vec<T>> {
    stream::iter(work).buffered(parts).try_collect().await
}

async fn look(source: Source, progress: &dyn Progress) -> Result<Hashed> {
    let path = source.path.clone();
    let hashed = hash(source.open().await?, path, progress, |_| Ok(())).await?;
    progress.tell(Transfer::File(&hashed.0.path));
    Ok(hashed)
}
