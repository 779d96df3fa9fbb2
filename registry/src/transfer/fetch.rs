//! One part on its way down: fetched, hashed and written at the same time.

use std::{
    fs, io,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;

use super::{
    block::{BLOCK, Block, Blocks, is_aligned},
    blocking::{blocking, local},
    disk::Output,
    lane::Lane,
    options::Transfers,
    staging::Notes,
    verify::wrong_length,
};
use crate::{
    Digest, Error, File, Hasher, ModelRef, ModelStore, OpenOptions, Progress, Result, Transfer, telemetry,
};

/// How often in a row a part is asked for in vain while the store answers that it is unavailable. Its client
/// has retried each request by then; this is for connections that break, or are too slow for the client's
/// timeout, in the middle: the next request begins where the last one ended.
const ATTEMPTS: usize = 4;

/// Bytes that make an attempt not in vain: 2 KB/s over the 30 s that a client usually gives a request.
const PROGRESS: u64 = 64 << 10;

/// What all parts of a download share.
pub(super) struct Fetch<'a, S: ?Sized> {
    pub(super) store: &'a S,
    pub(super) model: &'a ModelRef,
    pub(super) transfers: &'a Transfers,
    pub(super) blocks: Blocks,
    pub(super) notes: Arc<Notes>,
    pub(super) progress: &'a dyn Progress,
}

/// A part of a file, with the digest that it must have.
pub(super) struct Piece {
    /// Which file of the manifest.
    pub(super) file: usize,
    /// Which part of it.
    pub(super) part: usize,
    pub(super) range: Range<u64>,
    pub(super) expected: Digest,
}

/// The bytes of a part as they come, gathered into blocks.
struct Pour<'a> {
    blocks: &'a Blocks,
    block: Option<Block>,
    /// Nothing yet within the first block: a small file is written in one go.
    lane: Option<Lane<Bytes, Writer>>,
    path: PathBuf,
    start: u64,
    length: u64,
}

/// Hashes and writes one part of a staged file. Each part has a handle of its own, so that parts are
/// written in parallel without sharing a position.
struct Writer {
    output: Option<Output>,
    unbuffered: bool,
    path: PathBuf,
    at: u64,
    hasher: Hasher,
}

impl<S: ModelStore + ?Sized> Fetch<'_, S> {
    /// Puts the part into `staged`. If it may be `there` already, looks first.
    pub(super) async fn piece(&self, piece: &Piece, file: &File, staged: &Path, there: bool) -> Result<()> {
        if piece.range.is_empty() {
            return Ok(());
        }
        if there && self.is_there(piece, staged).await? {
            self.progress.tell(Transfer::Bytes(piece.range.end - piece.range.start));
            return Ok(());
        }
        let mut pour = Pour {
            blocks: &self.blocks,
            block: None,
            lane: None,
            path: staged.to_owned(),
            start: piece.range.start,
            length: 0,
        };
        let mut in_vain = 0;
        loop {
            let before = pour.length;
            match self.attempt(piece, file, &mut pour).await {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    in_vain = if pour.length - before < PROGRESS { in_vain + 1 } else { 0 };
                    if in_vain >= ATTEMPTS {
                        return Err(error);
                    }
                    tracing::warn!(model = %self.model, file = %file.path, %error, "a part broke off, going on with it");
                    telemetry::retried("down");
                }
                Err(error) => return Err(error),
            }
        }
        let actual = pour.finish().await?;
        if actual != piece.expected {
            return Err(Error::DigestMismatch {
                model: self.model.clone(),
                file: file.path.clone(),
                expected: piece.expected,
                actual,
            });
        }
        self.notes.note((piece.file, piece.part));
        Ok(())
    }

    /// Asks for what is still missing.
    async fn attempt(&self, piece: &Piece, file: &File, pour: &mut Pour<'_>) -> Result<()> {
        let wanted = piece.range.end - piece.range.start;
        // A stream may break after its last byte.
        if pour.length == wanted {
            return Ok(());
        }
        let range = piece.range.start + pour.length..piece.range.end;
        let mut stream = self.store.open(self.model, &file.path, OpenOptions::range(range)).await?;
        while let Some(chunk) = stream.next().await.transpose()? {
            let length = chunk.len();
            if length as u64 > wanted - pour.length {
                let why = format!("more than the {wanted} bytes asked for came");
                return Err(wrong_length(self.model, file, &why));
            }
            self.transfers.pass(length).await;
            pour.take_in(chunk).await?;
            self.progress.tell(Transfer::Bytes(length as u64));
        }
        if pour.length < wanted {
            let why = format!("{} of {wanted} bytes came", pour.length);
            return Err(wrong_length(self.model, file, &why));
        }
        Ok(())
    }

    /// Whether the part was put there another time. Hashed again, so what is found needs no trust.
    async fn is_there(&self, piece: &Piece, staged: &Path) -> Result<bool> {
        let (path, range) = (staged.to_owned(), piece.range.clone());
        let mut block = self.blocks.take().await;
        let found = move || {
            let mut file = fs::File::open(&path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let (mut hasher, mut left) = (Hasher::default(), range.end - range.start);
            let room = block.room();
            while left > 0 {
                let n = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                file.read_exact(&mut room[..n])?;
                hasher.update(&room[..n]);
                left -= n as u64;
            }
            io::Result::Ok(hasher.finish())
        };
        match blocking(found).await {
            Ok(found) => Ok(found == piece.expected),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(local("read", staged)(error)),
        }
    }
}

impl Pour<'_> {
    async fn take_in(&mut self, mut chunk: Bytes) -> Result<()> {
        self.length += chunk.len() as u64;
        while !chunk.is_empty() {
            if let Some(full) = self.block.take_if(|block| block.len() == BLOCK) {
                self.give(full.freeze()).await?;
            }
            // What comes from a local file is in whole blocks already.
            if self.block.is_none() && chunk.len() == BLOCK && is_aligned(&chunk) {
                return self.give(chunk).await;
            }
            let mut block = match self.block.take() {
                Some(block) => block,
                None => self.blocks.take().await,
            };
            chunk.advance(block.copy(&chunk));
            self.block = Some(block);
        }
        Ok(())
    }

    async fn give(&mut self, block: Bytes) -> Result<()> {
        let writer = || Writer::new(&self.path, self.start, true);
        let lane = self.lane.get_or_insert_with(|| Lane::start(1, writer(), Writer::write));
        if !lane.give(block).await
            && let Some(failed) = self.lane.take()
        {
            failed.finish().await?;
        }
        Ok(())
    }

    /// Writes what is left. Returns the digest of all.
    async fn finish(self) -> Result<Digest> {
        let last = self.block.map(Block::freeze);
        let Some(lane) = self.lane else {
            // Small: past the page cache it would wait for the disk by itself.
            let mut writer = Writer::new(&self.path, self.start, false);
            return blocking(move || {
                last.map_or(Ok(()), |last| writer.write(last))?;
                Ok(writer.hasher.finish())
            })
            .await;
        };
        if let Some(last) = last {
            lane.give(last).await;
        }
        Ok(lane.finish().await?.hasher.finish())
    }
}

impl Writer {
    fn new(path: &Path, at: u64, unbuffered: bool) -> Self {
        Self { output: None, unbuffered, path: path.to_owned(), at, hasher: Hasher::default() }
    }

    fn write(&mut self, bytes: Bytes) -> Result<()> {
        if self.output.is_none() {
            self.output = Some(Output::open(&self.path, self.unbuffered).map_err(local("open", &self.path))?);
        }
        let output = self.output.as_mut().expect("it was opened above");
        self.hasher.update(&bytes);
        output.write(self.at, &bytes).map_err(local("write", &self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
