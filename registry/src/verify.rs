//! Reading a version again, byte by byte.

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use crate::{
    Error, File, Manifest, ModelRef, ModelStore, OpenOptions, Progress, Result, Transfer,
    hashing::FileHasher, source::Reader,
};

/// Files read at once. A single file is hashed on two threads, so a few files fill the processors.
const FILES: usize = 4;

/// Bytes hashed at once.
const BLOCK: usize = 4 << 20;

pub(crate) async fn verify<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let manifest = store.manifest(model).await?;
    manifest.check(model)?;
    progress.tell(Transfer::Start { files: manifest.files.len(), bytes: Some(manifest.size) });
    let files: Vec<BoxFuture<'_, _>> = manifest
        .files
        .iter()
        .map(|file| -> BoxFuture<'_, _> { Box::pin(check(store, model, file, progress)) })
        .collect();
    stream::iter(files).buffer_unordered(FILES).try_collect::<()>().await?;
    Ok(manifest)
}

async fn check<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    file: &File,
    progress: &dyn Progress,
) -> Result<()> {
    let mut reader = Reader::of(store.open(model, &file.path, OpenOptions::default()).await?);
    let (mut hasher, mut read) = (FileHasher::default(), 0);
    loop {
        let block = reader.block(BLOCK).await?;
        if block.is_empty() {
            break;
        }
        read += block.len() as u64;
        if read > file.size {
            return Err(wrong_length(model, file, &format!("it has more than {} bytes", file.size)));
        }
        progress.tell(Transfer::Bytes(block.len() as u64));
        hasher.update(block).await;
    }
    if read < file.size {
        return Err(wrong_length(model, file, &format!("it ends after {read} of {} bytes", file.size)));
    }
    let found = hasher.finish(file.path.clone());
    let pairs = std::iter::zip(&file.parts, &found.parts).chain([(&file.digest, &found.digest)]);
    for (expected, actual) in pairs {
        if expected != actual {
            return Err(Error::DigestMismatch {
                model: model.clone(),
                file: file.path.clone(),
                expected: *expected,
                actual: *actual,
            });
        }
    }
    progress.tell(Transfer::File(&file.path));
    Ok(())
}

/// A file whose length alone shows that it is not what was published.
pub(crate) fn wrong_length(model: &ModelRef, file: &File, why: &str) -> Error {
    Error::Corrupt { what: format!("{} of {model}", file.path), source: why.into() }
}
