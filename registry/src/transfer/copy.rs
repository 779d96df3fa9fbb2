//! Versions on their way from one store to another.

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{block::Blocks, hashing::Digests, source::Reader};
use crate::{
    ByteStream, Content, Digest, Draft, Error, FilePath, Manifest, ModelRef, ModelStore, OpenOptions,
    Progress, Result, Stamp,
};

/// Blocks of a file that are held at once: one is hashed while the next one is read.
const BLOCKS: usize = 4;

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
        (file.path.clone(), verified(open.boxed(), file.path.clone(), file.size, file.digest, mismatch))
    };
    manifest.files.iter().map(copy).collect()
}

/// The stream that `open` opens when it is first read. It ends with `mismatch`, and not as streams end,
/// unless it had `size` bytes whose SHA-256 is `expected`; so whoever publishes it publishes nothing else.
pub(crate) fn verified(
    open: BoxFuture<'static, Result<ByteStream>>,
    path: FilePath,
    size: u64,
    expected: Digest,
    mismatch: impl Fn(Digest) -> Error + Send + Sync + Clone + 'static,
) -> ByteStream {
    let verify = move |stream| {
        let (mismatch, path) = (mismatch.clone(), path.clone());
        let start = (Reader::of(stream), Blocks::new(BLOCKS), Some(Digests::new(&path)), 0_u64);
        stream::try_unfold(start, move |(mut reader, blocks, mut digests, mut read)| {
            let (mismatch, path) = (mismatch.clone(), path.clone());
            async move {
                let Some(hashing) = &mut digests else { return Ok(None) };
                let block = reader.block(blocks.take().await).await?;
                read += block.len() as u64;
                hashing.take_in(block.clone()).await?;
                if read <= size && !block.is_empty() {
                    return Ok(Some((block, (reader, blocks, digests, read))));
                }
                // Of a stream that is too long, the rest is not read: what came until then is wrong enough.
                let hashing = digests.take().expect("it is there until the end");
                let (found, _) = hashing.finish(path).await?;
                if read == size && found.digest == expected { Ok(None) } else { Err(mismatch(found.digest)) }
            }
        })
    };
    stream::once(open).map_ok(verify).try_flatten().boxed()
}
