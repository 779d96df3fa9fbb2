//! Publishing: blobs and manifests first, then one record that makes them versions.

mod blob;
mod bucket;
mod journal;
#[cfg(feature = "fs")]
pub(in crate::object) mod local;
pub(in crate::object) mod unfinished;
mod written;

use std::collections::BTreeSet;

use self::written::{Written, each};
use crate::{
    Content, Draft, Error, Invalid, Manifest, Phase, Progress, Result, Transfer,
    catalogue::{Catalogue, Fact},
    object::ObjectBacked,
    telemetry::{Counted, Kind, observe, operation},
    transfer::{
        hashing::{Hashed, hash},
        source::Source,
    },
};

/// Files read and hashed at once.
const FILES: usize = 4;

/// How often what was written is written again because a garbage collection took it meanwhile.
const ATTEMPTS: usize = 3;

/// What there is of a draft before the record is written.
enum Prepared {
    /// A version with the same content, since long.
    There(Box<Manifest>),
    Written(Box<Written>),
}

/// Publishes all of them in one record, or none.
pub(in crate::object) async fn publish(
    registry: &ObjectBacked,
    drafts: Vec<(Draft, Content)>,
    progress: &dyn Progress,
) -> Result<Vec<Manifest>> {
    check(&drafts)?;
    let model = &drafts[0].0.model.clone();
    let span = operation!(INFO, "tidegate.registry.publish", tidegate.model = %model);
    let work = async move { put(registry, drafts, &Counted::new("publish", progress)).await };
    observe(Kind::Operation("publish"), span, work).await
}

async fn put(
    registry: &ObjectBacked,
    drafts: Vec<(Draft, Content)>,
    progress: &dyn Progress,
) -> Result<Vec<Manifest>> {
    let (drafts, mut contents): (Vec<_>, Vec<_>) = drafts.into_iter().unzip();
    for _ in 1..ATTEMPTS {
        // A directory can be read again; a stream is read once.
        let again: Option<Vec<_>> = contents.iter().map(Content::again).collect();
        if let Some(published) = attempt(registry, &drafts, contents, progress).await? {
            return Ok(published);
        }
        let Some(again) = again else { return Err(collected(registry)) };
        contents = again;
    }
    attempt(registry, &drafts, contents, progress).await?.ok_or_else(|| collected(registry))
}

/// Why a publication comes to nothing that could be tried again.
#[derive(Debug, thiserror::Error)]
#[error("a garbage collection took it for abandoned; publish again, or give it a longer grace")]
struct TakenForAbandoned;

fn collected(registry: &ObjectBacked) -> Error {
    Error::Unavailable {
        store: registry.to_string(),
        action: "keep what a publication wrote",
        source: TakenForAbandoned.into(),
    }
}

fn was_collected(error: &Error) -> bool {
    matches!(error, Error::Unavailable { source, .. } if source.is::<TakenForAbandoned>())
}

/// Whether the drafts can be in one record.
fn check(drafts: &[(Draft, Content)]) -> Result<()> {
    let [(first, _), ..] = drafts else {
        return Err(Invalid::new("publication", "", "it has no version; offer at least one").into());
    };
    let (mut versions, mut channels) = (BTreeSet::new(), BTreeSet::new());
    for (draft, _) in drafts {
        draft.check()?;
        let model = draft.model.to_string();
        if draft.model.name() != first.model.name() {
            let why = format!("one record is about one model; publish {} by itself", draft.model.name());
            return Err(Invalid::new("publication", model, why).into());
        }
        if draft.stamp != first.stamp {
            let why = "one record has one stamp; give all drafts the same";
            return Err(Invalid::new("publication", model, why).into());
        }
        if !versions.insert(draft.model.version()) {
            return Err(Invalid::new("publication", model, "it is in there twice").into());
        }
        if let Some((channel, _)) = draft.promote.iter().find(|(channel, _)| !channels.insert(channel)) {
            let why = format!("a record moves {channel} once; promote one version to it");
            return Err(Invalid::new("publication", model, why).into());
        }
    }
    Ok(())
}

/// Nothing, when something that was written or borrowed is garbage by now.
async fn attempt(
    registry: &ObjectBacked,
    drafts: &[Draft],
    contents: Vec<Content>,
    progress: &dyn Progress,
) -> Result<Option<Vec<Manifest>>> {
    let name = drafts[0].model.name();
    progress.tell(Transfer::Phase(Phase::Preparing));
    let mut offers = Vec::new();
    for (draft, content) in std::iter::zip(drafts, contents) {
        offers.push((draft, content.sources().await?));
    }
    let catalogue = registry.catalogues.fold(registry, name).await?;
    let files = offers.iter().map(|(_, sources)| sources.len()).sum();
    let bytes = offers.iter().flat_map(|(_, sources)| sources).map(|source| source.size).sum();
    progress.tell(Transfer::Start { files, bytes });
    let mut prepared = Vec::new();
    for (draft, sources) in offers {
        match prepare(registry, &catalogue, draft, sources, progress).await {
            Ok(more) => prepared.push(more),
            Err(error) => {
                abandon(prepared).await;
                return if was_collected(&error) { Ok(None) } else { Err(error) };
            }
        }
    }
    progress.tell(Transfer::Phase(Phase::Committing));
    commit(registry, drafts, prepared).await
}

async fn prepare(
    registry: &ObjectBacked,
    catalogue: &Catalogue,
    draft: &Draft,
    sources: Vec<Source>,
    progress: &dyn Progress,
) -> Result<Prepared> {
    if catalogue.equal_precedence(&draft.model)?.is_none() {
        draft.check_promotions(catalogue)?;
        progress.tell(Transfer::Phase(Phase::Uploading));
        let written = Written::write(registry, catalogue, draft.clone(), sources, progress).await?;
        return Ok(Prepared::Written(Box::new(written)));
    }
    progress.tell(Transfer::Phase(Phase::Hashing));
    let looked = each(FILES, sources, |source| Box::pin(look(source, progress))).await?;
    let files = looked.into_iter().map(|(file, _)| file).collect();
    let offered = Manifest::new(draft.model.clone(), files, draft.stamp.clone(), draft.card.clone());
    catalogue.admits(&draft.model, &offered.digest)?;
    Ok(Prepared::There(Box::new(registry.stored(&draft.model).await?.manifest.clone())))
}

async fn abandon(prepared: Vec<Prepared>) {
    for one in prepared {
        if let Prepared::Written(written) = one {
            written.abandon().await;
        }
    }
}

/// Writes the record.
async fn commit(
    registry: &ObjectBacked,
    drafts: &[Draft],
    mut prepared: Vec<Prepared>,
) -> Result<Option<Vec<Manifest>>> {
    // From here on a record may name the blobs: they stay, whatever happens, unless it is known that none does.
    let mut blobs = Vec::new();
    for one in &mut prepared {
        blobs.push(match one {
            Prepared::There(_) => Vec::new(),
            Prepared::Written(written) => written.release(),
        });
    }
    let (mut stale, mut said) = (false, Vec::new());
    let committed = registry
        .catalogues
        .commit(registry, drafts[0].model.name(), &drafts[0].stamp, |catalogue| {
            (stale, said) = (false, Vec::new());
            let mut facts: Vec<Fact> = Vec::new();
            for (one, draft) in std::iter::zip(&prepared, drafts) {
                let more = match one {
                    Prepared::There(there) => {
                        let published = catalogue.published(&there.model)?;
                        facts.extend(draft.promotions(catalogue, published)?);
                        None
                    }
                    Prepared::Written(written) if written.is_stale(catalogue)? => {
                        stale = true;
                        return Ok(Vec::new());
                    }
                    Prepared::Written(written) => {
                        let more = written.facts(catalogue)?;
                        if more.is_none() {
                            // Somebody else was faster with the same content; it is promoted all the same.
                            let published = catalogue.published(&draft.model)?;
                            facts.extend(draft.promotions(catalogue, published)?);
                        }
                        more
                    }
                };
                said.push(more.is_some());
                facts.extend(more.into_iter().flatten());
            }
            Ok(facts)
        })
        .await;
    // Only these say that no record can name the blobs. After any other failure one may.
    let nothing_said = match &committed {
        Ok((_, written)) => written.is_none(),
        Err(error) => {
            !error.is_transient() && !matches!(error, Error::Refused { .. } | Error::Corrupt { .. })
        }
    };
    for ((one, blobs), said) in
        prepared.iter_mut().zip(blobs).zip(said.into_iter().chain(std::iter::repeat(false)))
    {
        let Prepared::Written(written) = one else { continue };
        // What somebody else published meanwhile needs no second copy.
        let is_waste = nothing_said || (committed.is_ok() && !said);
        if is_waste {
            registry.place.discard(&*registry.store, blobs).await;
        }
        if is_waste || committed.is_ok() {
            written.forget();
        }
    }
    committed?;
    if stale {
        return Ok(None);
    }
    let mut published = Vec::new();
    for (one, draft) in std::iter::zip(prepared, drafts) {
        published.push(match one {
            Prepared::There(manifest) => *manifest,
            Prepared::Written(_) => registry.stored(&draft.model).await?.manifest.clone(),
        });
    }
    Ok(Some(published))
}

async fn look(source: Source, progress: &dyn Progress) -> Result<Hashed> {
    let path = source.path.clone();
    let hashed = hash(source.open().await?, path, progress, |_| Ok(())).await?;
    progress.tell(Transfer::File(&hashed.0.path));
    Ok(hashed)
}
