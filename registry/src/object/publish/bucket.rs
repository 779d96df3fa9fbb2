//! Uploading one file to a bucket: in one request, or in parts at the same time.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use object_store::{
    Error as Failure, MultipartId, ObjectStoreExt as _, PutPayload,
    multipart::{MultipartStore, PartId},
    path::Path,
};

use super::{
    blob::Uploads,
    collected,
    journal::{Line, Past, Sending},
    unfinished::{Upload, forget_upload},
};
use crate::{
    Digest, FilePath, Invalid, PART_SIZE, Result, Transfer,
    object::{
        failure::{failure, is_refusal, ours},
        keys,
    },
    telemetry,
    transfer::{
        block::{BLOCK, Block},
        hashing::{Digests, Hashed},
        source::{Reader, Source},
    },
};

/// Bytes of the smallest multipart part; also the largest file that is put in one request.
const SMALLEST: u64 = 16 << 20;

/// Parts of one upload that are used, of the 10 000 that S3 allows.
const MOST_PARTS: u64 = 9_500;

/// Bytes of a part of a stream, whose end is not known; 9 500 of them are 296 GiB.
const UNSIZED: u64 = 32 << 20;

/// How often an upload is begun: a lifecycle rule of the bucket may end it.
const BEGINNINGS: usize = 3;

/// How often a part is sent that another process could send too.
const ATTEMPTS: usize = 4;

/// A part that the store has: its number, its bytes, and the store's name for it if that is ours to keep.
type SentPart = object_store::Result<(usize, u64, Option<PartId>)>;

/// The size of parts for a file of `size` bytes: all equal, as R2 demands, few enough for S3, and
/// a divisor or multiple of [`PART_SIZE`], so that no block is split for hashing.
fn part_size(size: Option<u64>) -> u64 {
    let Some(size) = size else { return UNSIZED };
    let wanted = size.div_ceil(MOST_PARTS).max(SMALLEST);
    if wanted <= PART_SIZE { wanted.next_power_of_two() } else { wanted.next_multiple_of(PART_SIZE) }
}

/// One part, read and on its way through the hashes.
struct Part {
    blocks: Vec<Bytes>,
    length: u64,
}

/// Where the parts of a file go.
enum Parts {
    /// An upload of this process only.
    Own(Upload),
    /// An upload that another process can go on with, or end.
    Noted(Noted),
}

struct Noted {
    client: Arc<dyn MultipartStore>,
    blob: Path,
    file: FilePath,
    id: MultipartId,
    /// Parts that the store has, by the journal. They are believed as far as their digests are those of the
    /// bytes that are offered now.
    past: BTreeMap<usize, (String, Digest)>,
    sent: BTreeMap<usize, PartId>,
}

/// What became of an attempt to send a file.
enum Sent {
    All(Box<Hashed>),
    /// The store has forgotten the upload that was to be gone on with.
    Forgotten,
}

impl Uploads<'_> {
    /// Reads, hashes and sends at the same time.
    pub(in crate::object) async fn to_bucket(
        &self,
        mut source: Source,
        past: Option<Past>,
    ) -> Result<(Hashed, String)> {
        let (named, expected) = (source.path.clone(), source.size);
        let from = source.file().map(ToOwned::to_owned);
        let mut past = past.and_then(|past| self.noted(&named, past, part_size(expected)));
        for _ in 0..BEGINNINGS {
            let (key, upload) = past.take().unwrap_or_else(|| (self.new_key(), None));
            if let Sent::All(file) = self.read_and_send(source, &key, upload).await? {
                return Ok((*file, key));
            }
            forget_upload(&*self.registry.store, &keys::blob(self.name, &key)).await;
            // A stream cannot be read again.
            let Some(from) = &from else { return Err(collected(self.registry)) };
            tracing::info!(file = %named, "the store has forgotten the upload, beginning it again");
            source = Source::of_file(named.clone(), expected, from.clone());
        }
        Err(collected(self.registry))
    }

    /// The upload that another process has begun, if it is one to go on with; and its key.
    fn noted(&self, file: &FilePath, past: Past, size: u64) -> Option<(String, Option<Noted>)> {
        let client = Arc::clone(self.registry.place.multipart()?);
        let Past { key, upload: Some(Sending { id, part, parts }), done: None } = past else {
            // What is done is not the same as what is offered now; its key is not for other bytes.
            return None;
        };
        if part != size || size > PART_SIZE {
            return None;
        }
        let blob = keys::blob(self.name, &key);
        drop(self.unfinished.note(&blob));
        let upload = Noted { client, blob, file: file.clone(), id, past: parts, sent: BTreeMap::new() };
        Some((key, Some(upload)))
    }

    /// Whether a garbage collection has taken this publication for abandoned.
    async fn is_condemned(&self) -> Result<bool> {
        let catalogue = self.registry.catalogues.fold(self.registry, self.name).await?;
        Ok(catalogue.is_dead(&self.publication))
    }

    async fn read_and_send(&self, source: Source, key: &str, past: Option<Noted>) -> Result<Sent> {
        let named = source.path.clone();
        let size = part_size(source.size);
        // One byte more, to see the end.
        let expected = source.size.map_or(size, |expected| size.min(expected.saturating_add(1)));
        let blob = keys::blob(self.name, key);

        let blocks = self.blocks.take_for(expected).await;
        let mut reader = source.open().await?;
        let mut digests = Digests::new(&named);
        let first = self.read(&mut reader, size, blocks, &mut digests).await?;
        if first.length < size && past.is_none() {
            let length = first.length;
            self.note(&Line::Begin { file: named.clone(), key: key.to_owned(), upload: None });
            let slot = self.slots.acquire().await;
            let put = self.unfinished.put(&blob, payload(first)).await;
            put.map_err(failure(self.registry, "write a blob"))?;
            drop(slot);
            self.progress.tell(Transfer::Bytes(length));
        } else {
            let mut parts = match past {
                Some(past) => Parts::Noted(past),
                None => self.begin_parts(&named, &blob, key, size).await?,
            };
            match self.send(&mut parts, size, first, &mut reader, &mut digests).await {
                Ok(()) => {}
                // The answer may be what was lost: nobody else writes this blob, so one that is there is ours.
                Err(error) => {
                    let there = self.registry.store.head(&blob).await;
                    let noted = matches!(parts, Parts::Noted(_));
                    let forgotten = noted && matches!(error, Failure::NotFound { .. });
                    let missing = matches!(there, Err(Failure::NotFound { .. }));
                    match there {
                        Ok(there) if there.size == digests.size() => {}
                        // Whatever the store calls it: no record will take what this publication writes.
                        _ if noted && missing && self.is_condemned().await? => {
                            return Err(collected(self.registry));
                        }
                        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html: NoSuchUpload
                        _ if forgotten => return Ok(Sent::Forgotten),
                        _ => return Err(failure(self.registry, "write a blob")(error)),
                    }
                }
            }
        }
        let hashed = digests.finish(named).await?;
        self.note(&Line::Done { file: hashed.0.clone() });
        Ok(Sent::All(Box::new(hashed)))
    }

    /// Begins an upload in parts: one that can be gone on with and ended, if the client can.
    async fn begin_parts(&self, named: &FilePath, blob: &Path, key: &str, size: u64) -> Result<Parts> {
        let failed = || failure(self.registry, "begin a blob");
        let Some(client) = self.registry.place.multipart() else {
            return Ok(Parts::Own(self.unfinished.begin(blob).await.map_err(failed())?));
        };
        let id = self.unfinished.begin_noted(client, blob).await.map_err(failed())?;
        let upload = Some((id.clone(), size));
        self.note(&Line::Begin { file: named.clone(), key: key.to_owned(), upload });
        Ok(Parts::Noted(Noted {
            client: Arc::clone(client),
            blob: blob.clone(),
            file: named.clone(),
            id,
            past: BTreeMap::new(),
            sent: BTreeMap::new(),
        }))
    }

    fn note(&self, line: &Line) {
        if let Some(journal) = self.journal {
            journal.note(line);
        }
    }

    /// The next part, into `blocks`.
    async fn read(
        &self,
        reader: &mut Reader,
        size: u64,
        blocks: Vec<Block>,
        digests: &mut Digests,
    ) -> Result<Part> {
        let mut part = Part { blocks: Vec::with_capacity(blocks.len()), length: 0 };
        let mut blocks = blocks.into_iter();
        while part.length < size {
            // A file that has grown needs more than were taken for it.
            let block = blocks.next().unwrap_or_else(|| self.blocks.extra());
            let block = reader.block(block).await?;
            let length = block.len();
            if length > 0 {
                self.registry.transfers.pass(length).await;
                part.length += length as u64;
                digests.take_in(block.clone()).await?;
                part.blocks.push(block);
            }
            if length < BLOCK {
                break;
            }
        }
        Ok(part)
    }

    /// Sends `first` and all that `reader` still has: while parts are on their way, the next one is read.
    async fn send(
        &self,
        parts: &mut Parts,
        size: u64,
        first: Part,
        reader: &mut Reader,
        digests: &mut Digests,
    ) -> Result<(), Failure> {
        let mut sending = FuturesUnordered::new();
        let mut next = first;
        let mut at = 0;
        loop {
            let (last, length) = (next.length < size, next.length);
            if at as u64 >= MOST_PARTS {
                let why = "it is longer than it was said to be, or than can be uploaded without saying; put it into a file that does not change and publish its directory";
                return Err(ours(Invalid::new("content", format!("{} parts", at + 1), why).into()));
            }
            if length > 0 {
                match parts {
                    Parts::Own(upload) => {
                        let part = upload.parts().put_part(payload(next));
                        sending.push(self.one(async move { part.await.map(|()| (at, length, None)) }));
                    }
                    Parts::Noted(upload) => {
                        let past = upload.past.remove(&at);
                        // Only a journal needs it, and it waits for the hashes to catch up.
                        let digest = match self.journal {
                            Some(_) => Some(digests.mark().await),
                            None => None,
                        };
                        match past {
                            Some((id, there)) if Some(there) == digest => {
                                upload.sent.insert(at, PartId { content_id: id });
                                self.progress.tell(Transfer::Bytes(length));
                            }
                            _ => sending.push(self.again(upload, at, digest, next)),
                        }
                    }
                }
                at += 1;
            }
            if last {
                break;
            }
            // Parts under way are driven here as well: the blocks may be theirs.
            let mut read = std::pin::pin!(async {
                let blocks = self.blocks.take_for(size).await;
                self.read(reader, size, blocks, digests).await
            });
            next = loop {
                tokio::select! {
                    read = &mut read => break read.map_err(ours)?,
                    Some(done) = sending.next() => self.told(parts, done?),
                }
            };
        }
        while let Some(done) = sending.next().await {
            self.told(parts, done?);
        }
        match parts {
            Parts::Own(upload) => upload.complete().await,
            Parts::Noted(upload) => {
                let sent = std::mem::take(&mut upload.sent).into_values().collect();
                self.unfinished.complete_noted(&upload.client, &upload.blob, &upload.id, sent).await
            }
        }
    }

    /// Sends a part when its turn comes.
    fn one<'a>(&'a self, part: impl Future<Output = SentPart> + Send + 'a) -> BoxFuture<'a, SentPart> {
        Box::pin(async move {
            let _slot = self.slots.acquire().await;
            part.await
        })
    }

    /// Sends a part when its turn comes, and more than once if need be: a request that was too slow for the
    /// client's timeout gets more of the line when fewer are under way.
    fn again<'a>(
        &'a self,
        upload: &Noted,
        at: usize,
        digest: Option<Digest>,
        part: Part,
    ) -> BoxFuture<'a, SentPart> {
        let (client, blob, id) = (Arc::clone(&upload.client), upload.blob.clone(), upload.id.clone());
        let (file, length) = (upload.file.clone(), part.length);
        let payload = payload(part);
        Box::pin(async move {
            let put = || client.put_part(&blob, &id, at, payload.clone());
            let slot = self.slots.acquire().await;
            let mut done = put().await;
            drop(slot);
            for _ in 1..ATTEMPTS {
                let Err(error) = &done else { break };
                if is_refusal(error) {
                    break;
                }
                tracing::warn!(%file, part = at, %error, "a part was not sent, sending it again");
                telemetry::retried("up");
                let _alone = self.again.lock().await;
                done = put().await;
            }
            let part = done?;
            if let Some(digest) = digest {
                self.note(&Line::Part { file, at, id: part.content_id.clone(), digest });
            }
            Ok((at, length, Some(part)))
        })
    }

    fn told(&self, parts: &mut Parts, (at, length, id): (usize, u64, Option<PartId>)) {
        if let (Parts::Noted(upload), Some(id)) = (parts, id) {
            upload.sent.insert(at, id);
        }
        self.progress.tell(Transfer::Bytes(length));
    }
}

fn payload(part: Part) -> PutPayload {
    part.blocks.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_divide_evenly() {
        for size in [0, 1, 16 << 20, 60 << 30, 80 << 30, 149 << 30, 300 << 30, 5 << 40] {
            let part = part_size(Some(size));
            assert!(size.div_ceil(part) <= 10_000 && part >= SMALLEST, "{size}: {part}");
            assert!(PART_SIZE.is_multiple_of(part) || part.is_multiple_of(PART_SIZE), "{size}: {part}");
        }
    }
}
