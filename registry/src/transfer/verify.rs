//! Reading a version again, byte by byte.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{hashing::hash, source::Reader};
use crate::{Error, File, Manifest, ModelRef, ModelStore, OpenOptions, Phase, Progress, Result, Transfer};

/// Files read at once. Each is read and hashed on threads of its own, so a few fill the processors.
const FILES: usize = 4;

pub(crate) async fn verify<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    progress: &dyn Progress,
) -> Result<Manifest> {
    progress.tell(Transfer::Phase(Phase::Preparing));
    let manifest = store.manifest(model).await?;
    manifest.check(model)?;
    progress.tell(Transfer::Start { files: manifest.files.len(), bytes: Some(manifest.size) });
    progress.tell(Transfer::Phase(Phase::Verifying));
    let check =
        |at: usize| -> BoxFuture<'_, _> { Box::pin(check(store, model, &manifest.files[at], progress)) };
    stream::iter((0..manifest.files.len()).map(check)).buffer_unordered(FILES).try_collect::<()>().await?;
    Ok(manifest)
}

async fn check<S: ModelStore + ?Sized>(
    store: &S,
    model: &ModelRef,
    file: &File,
    progress: &dyn Progress,
) -> Result<()> {
    let reader = Reader::of(store.open(model, &file.path, OpenOptions::default()).await?);
    let mut read = 0;
    let within = |block: &Bytes| {
        read += block.len() as u64;
        if read <= file.size {
            return Ok(());
        }
        Err(wrong_length(model, file, &format!("it has more than {} bytes", file.size)))
    };
    let (found, _) = hash(reader, file.path.clone(), progress, within).await?;
    if found.size < file.size {
        return Err(wrong_length(
            model,
            file,
            &format!("it ends after {} of {} bytes", found.size, file.size),
        ));
    }
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
