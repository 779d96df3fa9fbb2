//! Delivering a version: fetched in parts, verified, staged, then renamed into place.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{
    block::{BLOCK, Blocks},
    blocking::{blocking, local},
    destination::Destination,
    disk::Output,
    fetch::{Fetch, Piece},
};
use crate::{Digest, File, Manifest, ModelRef, ModelStore, PART_SIZE, Phase, Progress, Result, Transfer};

/// Files from which on everything is synced together.
const MANY: usize = 16;

/// Blocks that a part on its way holds: those that are hashed and written, and the one being filled.
const BLOCKS: usize = 4;

pub(crate) async fn download<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<Manifest> {
    progress.tell(Transfer::Phase(Phase::Preparing));
    let manifest = store.manifest(model).await?;
    manifest.check(model)?;
    let (content, files) = (manifest.digest, manifest.files.clone());
    let kept = store.transfers().journals().is_some();
    fetch(store, model, content, files, directory, kept, progress).await?;
    Ok(manifest)
}

/// Delivers some `files` of a version. What is broken off is found again by `content`, if it is `kept`.
pub(crate) async fn fetch<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    content: Digest,
    files: Vec<File>,
    directory: &Path,
    kept: bool,
    progress: &dyn Progress,
) -> Result<()> {
    let transfers = store.transfers();
    let files = Arc::new(files);
    let target = directory.to_owned();
    let wanted = Arc::clone(&files);
    let prepare = move || {
        let (destination, missing, notes) = Destination::prepare(&target, &content, &wanted, kept)?;
        // Before anything is written, because it tells of failures from then on.
        let together = if missing.len() < MANY { None } else { destination.together() };
        Ok::<_, crate::Error>((destination, missing, notes, together))
    };
    let (destination, missing, notes, together) = blocking(prepare).await?;

    let bytes = missing.iter().map(|&at| files[at].size).sum();
    progress.tell(Transfer::Start { files: missing.len(), bytes: Some(bytes) });
    progress.tell(Transfer::Phase(Phase::Downloading));
    let parts = transfers.parts();
    let blocks = Blocks::new(parts.saturating_mul(BLOCKS));
    let fetch = &Fetch { store, model, transfers: &transfers, blocks, notes: Arc::new(notes), progress };
    let each = missing.iter().flat_map(|&at| pieces_of(at, &files[at]));
    let (staged, each_synced) = (&destination, together.is_none());
    let one = |(piece, left): (Piece, Arc<AtomicUsize>)| -> BoxFuture<'_, Result<()>> {
        let file = &files[piece.file];
        let path = staged.staged(&file.path);
        let there = staged.was_verified((piece.file, piece.part));
        Box::pin(async move {
            fetch.piece(&piece, file, &path, there).await?;
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                if each_synced {
                    blocking(move || sync(&path)).await?;
                }
                progress.tell(Transfer::File(&file.path));
            }
            Ok(())
        })
    };
    let pieces: Vec<_> = each.collect();
    stream::iter(pieces.into_iter().map(one)).buffer_unordered(parts).try_collect::<()>().await?;

    progress.tell(Transfer::Phase(Phase::Finishing));
    let deliver = move || {
        if let Some(together) = together {
            together.sync().map_err(local("sync", Path::new("what was downloaded")))?;
        }
        destination.deliver(&files, &missing)
    };
    blocking(deliver).await
}

/// The parts of the file at `at`, and how many of them are not there yet; an empty file has one empty part,
/// so that something finishes it.
fn pieces_of(at: usize, file: &File) -> impl Iterator<Item = (Piece, Arc<AtomicUsize>)> {
    let parts = if file.parts.is_empty() { std::slice::from_ref(&file.digest) } else { &file.parts };
    let left = Arc::new(AtomicUsize::new(parts.len()));
    let starts = std::iter::successors(Some(0), |start| Some(start + PART_SIZE));
    let piece = move |(part, (start, &expected))| {
        let range = start..file.size.min(start + PART_SIZE);
        (Piece { file: at, part, range, expected }, Arc::clone(&left))
    };
    starts.zip(parts).enumerate().map(piece)
}

fn sync(staged: &Path) -> Result<()> {
    Output::open(staged, false).and_then(|output| output.sync()).map_err(local("sync", staged))
}

const _: () = assert!(BLOCKS * BLOCK <= 16 << 20, "as `Transfers::concurrency` says");
