//! Delivering a version: fetched in parts, verified, staged, then renamed into place.

use std::{
    fs, io,
    io::{Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{
    blocking::{blocking, local},
    destination::Destination,
    verify::wrong_length,
};
use crate::{
    Digest, Error, File, Hasher, Manifest, ModelRef, ModelStore, OpenOptions, PART_SIZE, Progress, Result,
    Transfer,
};

/// Parts fetched at once. One connection to an object store carries some 85 to 240 MB/s, so eight fill
/// a 10 Gbit/s network; more would only hold more memory.
const PARTS: usize = 8;

/// Bytes of a part that are hashed and written at once. With [`PARTS`] this bounds the memory of a
/// download to a few times 32 MiB, however large the version is.
const BLOCK: usize = 4 << 20;

/// How often a part is asked for while the store answers that it is unavailable. Its client has
/// retried each request by then; this is for connections that break in the middle.
const ATTEMPTS: usize = 4;

pub(crate) async fn download<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let manifest = store.manifest(model).await?;
    manifest.check(model)?;
    let files = Arc::new(manifest.files.clone());
    let target = directory.to_owned();
    let wanted = Arc::clone(&files);
    let (destination, missing) = blocking(move || Destination::prepare(&target, &wanted)).await?;

    let bytes = missing.iter().map(|&at| files[at].size).sum();
    progress.tell(Transfer::Start { files: missing.len(), bytes: Some(bytes) });
    let pieces: Vec<_> = missing.iter().flat_map(|&at| pieces_of(at, &files[at])).collect();
    let fetch = |piece: Piece| -> BoxFuture<'_, Result<()>> {
        let file = &files[piece.at];
        let staged = destination.staged(&file.path);
        Box::pin(async move {
            piece.fetch(store, model, file, &staged, progress).await?;
            if piece.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                blocking(move || sync(&staged)).await?;
                progress.tell(Transfer::File(&file.path));
            }
            Ok(())
        })
    };
    stream::iter(pieces.into_iter().map(fetch)).buffer_unordered(PARTS).try_collect::<()>().await?;

    blocking(move || destination.deliver(&files, &missing)).await?;
    Ok(manifest)
}

/// A part of a file on its way.
struct Piece {
    /// Which file of the manifest.
    at: usize,
    range: Range<u64>,
    expected: Digest,
    /// Parts of the file that are not there yet, shared by all of them.
    left: Arc<AtomicUsize>,
}

/// The parts of the file at `at`; an empty file has one empty part, so that something finishes it.
fn pieces_of(at: usize, file: &File) -> Vec<Piece> {
    let parts = if file.parts.is_empty() { std::slice::from_ref(&file.digest) } else { &file.parts };
    let left = Arc::new(AtomicUsize::new(parts.len()));
    let starts = std::iter::successors(Some(0), |start| Some(start + PART_SIZE));
    let piece = |(start, &expected)| Piece {
        at,
        range: start..file.size.min(start + PART_SIZE),
        expected,
        left: Arc::clone(&left),
    };
    starts.zip(parts).map(piece).collect()
}

impl Piece {
    async fn fetch<S: ModelStore + ?Sized>(
        &self,
        store: &S,
        model: &ModelRef,
        file: &File,
        staged: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.range.is_empty() {
            return Ok(());
        }
        for _ in 1..ATTEMPTS {
            match self.attempt(store, model, file, staged, progress).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%model, file = %file.path, %error, "a part broke off, fetching it again");
                }
                done => return done,
            }
        }
        self.attempt(store, model, file, staged, progress).await
    }

    async fn attempt<S: ModelStore + ?Sized>(
        &self,
        store: &S,
        model: &ModelRef,
        file: &File,
        staged: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let wanted = self.range.end - self.range.start;
        let mut stream = store.open(model, &file.path, OpenOptions::range(self.range.clone())).await?;
        let (path, start) = (staged.to_owned(), self.range.start);
        let mut writer = blocking(move || Writer::open(path, start)).await?;
        let (mut fetched, mut open) = (0, true);
        while open {
            let (mut chunks, mut held) = (Vec::new(), 0);
            while held < BLOCK {
                let Some(chunk) = stream.next().await.transpose()? else {
                    open = false;
                    break;
                };
                held += chunk.len();
                chunks.push(chunk);
            }
            fetched += held as u64;
            if fetched > wanted {
                return Err(wrong_length(
                    model,
                    file,
                    &format!("more than the {wanted} bytes asked for came"),
                ));
            }
            writer = blocking(move || writer.write(&chunks)).await?;
            progress.tell(Transfer::Bytes(held as u64));
        }
        if fetched < wanted {
            return Err(wrong_length(model, file, &format!("{fetched} of {wanted} bytes came")));
        }
        let actual = writer.hasher.finish();
        if actual != self.expected {
            return Err(Error::DigestMismatch {
                model: model.clone(),
                file: file.path.clone(),
                expected: self.expected,
                actual,
            });
        }
        Ok(())
    }
}

/// Writes and hashes one part of a staged file. Each part has a handle of its own, so that parts are
/// written in parallel without sharing a position.
struct Writer {
    file: fs::File,
    path: PathBuf,
    hasher: Hasher,
}

impl Writer {
    fn open(path: PathBuf, start: u64) -> Result<Self> {
        let open = || {
            let mut file = fs::OpenOptions::new().write(true).open(&path)?;
            file.seek(SeekFrom::Start(start))?;
            io::Result::Ok(file)
        };
        let file = open().map_err(local("open", &path))?;
        Ok(Self { file, path, hasher: Hasher::default() })
    }

    fn write(mut self, chunks: &[Bytes]) -> Result<Self> {
        for chunk in chunks {
            self.hasher.update(chunk);
            self.file.write_all(chunk).map_err(local("write", &self.path))?;
        }
        Ok(self)
    }
}

fn sync(staged: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(staged).map_err(local("open", staged))?;
    file.sync_all().map_err(local("sync", staged))
}
