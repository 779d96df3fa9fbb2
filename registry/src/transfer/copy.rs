//! Versions on their way from one store to another.

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{hashing::FileHasher, source::Reader};
use crate::{
    ByteStream, Content, Digest, Draft, Error, FilePath, Manifest, ModelRef, ModelStore, OpenOptions,
    Progress, Result, Stamp,
};

/// Bytes that are hashed at once.
const BLOCK: usize = 4 << 20;

pub(crate) async fn copy<S: ModelStore + Clone>(
    from: &S,
    model: &ModelRef,
    to: &dyn ModelStore,
    stamp: Stamp,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let manifest = from.manifest(model).await?;
    manifest.check(model)?;
    let content = Content::Streams(copies(from, &manifest));
    let draft = Draft::new(model.clone(), stamp).with_card(manifest.card);
    let copied = to.publish(draft, content, progress).await?;
    if copied.digest != manifest.digest {
        return Err(Error::Corrupt {
            what: format!("{model} in {to}"),
            source: format!("it is {} instead of {}, which was copied", copied.digest, manifest.digest)
                .into(),
        });
    }
    Ok(copied)
}

/// The files of a version, each opened when it is read and compared with the manifest on the way.
pub(crate) fn copies<S: ModelStore + Clone>(from: &S, manifest: &Manifest) -> Vec<(FilePath, ByteStream)> {
    let model = &manifest.model;
    let copy = |file: &crate::File| {
        let (from, model, path) = (from.clone(), model.clone(), file.path.clone());
        let mismatch = {
            let (model, path, expected) = (model.clone(), path.clone(), file.digest);
            move |actual| Error::DigestMismatch { model: model.clone(), file: path.clone(), expected, actual }
        };
        let open = async move { from.open(&model, &path, OpenOptions::default()).await };
        (file.path.clone(), verified(open.boxed(), file.size, file.digest, mismatch))
    };
    manifest.files.iter().map(copy).collect()
}

/// The stream that `open` opens when it is first read. It ends with `mismatch`, and not as streams end,
/// unless it had `size` bytes whose SHA-256 is `expected`; so whoever publishes it publishes nothing else.
pub(crate) fn verified(
    open: BoxFuture<'static, Result<ByteStream>>,
    size: u64,
    expected: Digest,
    mismatch: impl Fn(Digest) -> Error + Send + Sync + Clone + 'static,
) -> ByteStream {
    let verify = move |stream| {
        let (mismatch, start) = (mismatch.clone(), (Reader::of(stream), FileHasher::default(), 0_u64));
        stream::try_unfold(start, move |(mut reader, mut hasher, mut read)| {
            let mismatch = mismatch.clone();
            async move {
                let block = reader.block(BLOCK).await?;
                read += block.len() as u64;
                hasher.update(block.clone()).await;
                if read <= size && !block.is_empty() {
                    return Ok(Some((block, (reader, hasher, read))));
                }
                // Of a stream that is too long, the rest is not read: what came until then is wrong enough.
                let found = hasher.digest();
                if read == size && found == expected { Ok(None) } else { Err(mismatch(found)) }
            }
        })
    };
    stream::once(open).map_ok(verify).try_flatten().boxed()
}
