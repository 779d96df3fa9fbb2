//! Sending blobs.

use bytes::{Bytes, BytesMut};

use super::{
    OciBacked,
    artifact::Blob,
    failure::{Failure, failure},
    session::Session,
};
use crate::{
    Digest, File, Progress, Result, Transfer, telemetry,
    transfer::{
        block::{BLOCK, Blocks},
        hashing::{Digests, Hashed},
        source::{Reader, Source},
    },
};

/// Bytes sent in one request. One chunk is on its way while the next is read and hashed, so a file takes
/// twice this; registries in front of S3 want at least 5 MiB.
const CHUNK: usize = 8 << 20;

/// How often a chunk is sent while its answer is lost or the registry is unavailable.
const ATTEMPTS: usize = 4;

impl OciBacked {
    /// Stores the bytes of `source`, reading and hashing each once, or, when it is `known` to be a file that
    /// the registry has, none.
    pub(super) async fn upload(
        &self,
        repository: &str,
        source: Source,
        known: Option<File>,
        progress: &dyn Progress,
    ) -> Result<Hashed> {
        if let Some(known) = known
            && self.has(repository, &known.digest).await?
        {
            progress.tell(Transfer::Bytes(known.size));
            progress.tell(Transfer::File(&known.path));
            // What is in it was said where it was published first.
            return Ok((known, None));
        }
        let path = source.path.clone();
        let mut reader = source.open().await?;
        let first = self.read(&mut reader).await?;
        let mut digests = Digests::new(&path);
        let (file, reading) = if first.len() < CHUNK {
            digests.take_in(first.clone()).await?;
            let (file, reading) = digests.finish(path).await?;
            self.put(repository, &file.digest, first).await?;
            progress.tell(Transfer::Bytes(file.size));
            (file, reading)
        } else {
            let mut session = self.wire.begin(repository).await.map_err(failure(self, "begin a blob"))?;
            let sent = self.chunks(repository, &mut session, first, &mut reader, digests, progress);
            match sent.await {
                Ok(digests) => {
                    let (file, reading) = digests.finish(path).await?;
                    self.wire
                        .complete(repository, &session, &file.digest, Bytes::new())
                        .await
                        .map_err(failure(self, "complete a blob"))?;
                    (file, reading)
                }
                Err(error) => {
                    if let Err(failed) = self.wire.cancel(repository, &session).await {
                        tracing::debug!(store = %self, error = %failed, "cannot give up a blob, the registry will forget it");
                    }
                    return Err(error);
                }
            }
        };
        progress.tell(Transfer::File(&file.path));
        Ok((file, reading))
    }

    /// Stores a small blob that is at hand, if the registry does not have it.
    pub(super) async fn put(&self, repository: &str, digest: &Digest, bytes: Bytes) -> Result<Blob> {
        let blob = Blob { digest: *digest, size: bytes.len() as u64 };
        if !self.has(repository, digest).await? {
            let session = self.wire.begin(repository).await.map_err(failure(self, "begin a blob"))?;
            let done = self.wire.complete(repository, &session, digest, bytes).await;
            done.map_err(failure(self, "write a blob"))?;
        }
        Ok(blob)
    }

    async fn has(&self, repository: &str, digest: &Digest) -> Result<bool> {
        self.wire.has_blob(repository, digest).await.map_err(failure(self, "look for a blob"))
    }

    /// Sends `chunk` and all that `reader` still has: while one is on its way, it is hashed and the next one
    /// read.
    async fn chunks(
        &self,
        repository: &str,
        session: &mut Session,
        mut chunk: Bytes,
        reader: &mut Reader,
        mut digests: Digests,
        progress: &dyn Progress,
    ) -> Result<Digests> {
        while !chunk.is_empty() {
            let length = chunk.len() as u64;
            let next = async {
                digests.take_in(chunk.clone()).await?;
                if chunk.len() < CHUNK { Ok(Bytes::new()) } else { self.read(reader).await }
            };
            let (sent, next) = futures::join!(self.chunk(repository, session, chunk.clone()), next);
            sent?;
            progress.tell(Transfer::Bytes(length));
            chunk = next?;
        }
        Ok(digests)
    }

    /// The next chunk, when it may pass.
    async fn read(&self, reader: &mut Reader) -> Result<Bytes> {
        let chunk = chunk(reader).await?;
        self.transfers.pass(chunk.len()).await;
        Ok(chunk)
    }

    /// Sends one chunk. After a failure that may pass, the registry is asked how much of it has arrived, and
    /// is sent the rest.
    async fn chunk(&self, repository: &str, session: &mut Session, chunk: Bytes) -> Result<()> {
        let start = session.sent;
        let mut rest = chunk.clone();
        for _ in 1..ATTEMPTS {
            match self.wire.chunk(repository, session, rest).await {
                Err(failed) if !failed.is_refusal() => {
                    tracing::warn!(store = %self, error = %failed, "a chunk broke off, sending what is missing");
                    telemetry::retried("up");
                }
                done => return done.map_err(failure(self, "write a blob")),
            }
            self.wire.look(repository, session).await.map_err(failure(self, "look for a blob"))?;
            let arrived = session.sent.checked_sub(start).and_then(|arrived| usize::try_from(arrived).ok());
            rest = match arrived.filter(|&arrived| arrived <= chunk.len()) {
                Some(arrived) => chunk.slice(arrived..),
                None => {
                    let lost = Failure::Protocol("it has other bytes of an upload than it was sent");
                    return Err(failure(self, "write a blob")(lost));
                }
            };
            if rest.is_empty() {
                return Ok(());
            }
        }
        self.wire.chunk(repository, session, rest).await.map_err(failure(self, "write a blob"))
    }
}

/// The next bytes of a file, as many as are sent at once; fewer only at its end.
async fn chunk(reader: &mut Reader) -> Result<Bytes> {
    let (blocks, mut chunk) = (Blocks::new(1), BytesMut::new());
    while chunk.len() < CHUNK {
        let block = reader.block(blocks.take().await).await?;
        chunk.extend_from_slice(&block);
        if block.len() < BLOCK {
            break;
        }
    }
    Ok(chunk.freeze())
}
