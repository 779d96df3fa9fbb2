//! What is packed, and how it is unpacked. Everything in pure Rust.

use std::io::{self, BufRead as _, BufReader, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::{
    Content, Rule,
    section::Section,
    walk::{Stop, Walk},
};

/// Most memory that a window of zstd may take, in bytes: what its own tools allow.
const ZSTD_MEMORY: u64 = 128 << 20;
/// Most memory that an LZMA dictionary may take, in KiB: level 9 takes 64 MiB.
const LZMA_MEMORY: u32 = 128 << 10;

/// A member of a zip as it is unpacked; `None` if the method is not known.
pub(super) fn zip_method<'p>(
    method: u16,
    packed: &'p mut Section<'_>,
    unpacked: u64,
) -> Option<Box<dyn Read + 'p>> {
    Some(match method {
        8 => Box::new(DeflateDecoder::new(packed)),
        12 => Box::new(MultiBzDecoder::new(packed)),
        14 => {
            // Version and length of the properties come first, which is always 5.
            let mut head = [0; 9];
            packed.read_exact(&mut head).ok()?;
            let dictionary = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
            if u64::from(dictionary) > u64::from(LZMA_MEMORY) << 10 {
                return None;
            }
            Box::new(
                LzmaReader::new_with_props(BufReader::new(packed), unpacked, head[4], dictionary, None)
                    .ok()?,
            )
        }
        93 => Box::new(Zstd::new(packed)),
        95 => Box::new(xz(packed)),
        _ => return None,
    })
}

/// Scans what a stream of one file unpacks to.
pub(super) fn walk(content: Content, section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let packed = section.len();
    let mut part = section.part(0, packed);
    if content == Content::Zlib {
        let mut unpacked = ZlibDecoder::new(&mut part);
        walk.unpack("unpacked", packed, &mut unpacked)?;
        if unpacked.total_in() < packed {
            walk.report(Rule::HiddenBytes, Some(unpacked.total_in()), "bytes follow the stream");
        }
        return Ok(());
    }
    let mut unpacked: Box<dyn Read + '_> = match content {
        Content::Gzip => Box::new(MultiGzDecoder::new(&mut part)),
        Content::Bzip2 => Box::new(MultiBzDecoder::new(&mut part)),
        Content::Xz => Box::new(xz(&mut part)),
        Content::Lzma => match LzmaReader::new_mem_limit(BufReader::new(&mut part), LZMA_MEMORY, None) {
            Ok(reader) => Box::new(reader),
            Err(_) => {
                return Err(Stop::Malformed { offset: 0, what: "the header of the stream makes no sense" });
            }
        },
        Content::Lz4 => Box::new(Lz4(Lz4Decoder::new(BufReader::new(&mut part)))),
        Content::Zstd => Box::new(Zstd::new(&mut part)),
        _ => {
            walk.report(Rule::UnknownCompression, None, &content.to_string());
            return Ok(());
        }
    };
    walk.unpack("unpacked", packed, &mut unpacked)
}

/// Length of what comes before the stream: `ZF`, and the size in hexadecimal, padded.
const JOBLIB_Z: usize = 21;

/// Whether joblib takes this for a pickle that it compressed before 0.10: `ZF`, and what Python reads as a hexadecimal
/// number.
pub(super) fn is_joblib_z(head: &[u8]) -> bool {
    let is_number =
        |byte: &u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace() || b"xX_+\x0b".contains(byte);
    head.starts_with(b"ZF") && head.get(2..JOBLIB_Z).is_some_and(|size| size.iter().all(is_number))
}

/// Scans what joblib compressed before 0.10.
pub(super) fn joblib_z(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut wider = [0];
    section.read_at(JOBLIB_Z as u64, &mut wider)?;
    // Python 2 wrote one character more.
    let start = JOBLIB_Z as u64 + u64::from(wider == *b" ");
    self::walk(Content::Zlib, &mut section.part(start, u64::MAX), walk)
}

/// Whether bytes that may be zlib's by chance really unpack, as far as 4 KiB.
pub(super) fn is_zlib(section: &mut Section<'_>) -> bool {
    let mut start = [0; 4096];
    let mut part = section.part(0, u64::MAX);
    let mut decoder = ZlibDecoder::new(&mut part);
    match decoder.read(&mut start) {
        Ok(read) => read > 0,
        Err(_) => false,
    }
}

fn xz<'p, 's>(packed: &'p mut Section<'s>) -> XzReader<BufReader<&'p mut Section<'s>>> {
    XzReader::new_mem_limit(BufReader::new(packed), true, LZMA_MEMORY)
}

/// Frames of lz4, one after another.
struct Lz4<'p, 's>(Lz4Decoder<BufReader<&'p mut Section<'s>>>);

impl Read for Lz4<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            if read > 0 || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}

/// Frames of zstd, one after another.
struct Zstd<'p, 's> {
    packed: BufReader<&'p mut Section<'s>>,
    decoder: FrameDecoder,
    inside: bool,
}

impl<'p, 's> Zstd<'p, 's> {
    fn new(packed: &'p mut Section<'s>) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_MEMORY);
        Self { packed: BufReader::new(packed), decoder, inside: false }
    }
}

impl Read for Zstd<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.inside {
                let read = self.decoder.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
                if self.decoder.is_finished() {
                    self.inside = false;
                    continue;
                }
                let some = BlockDecodingStrategy::UptoBytes(buffer.len());
                self.decoder.decode_blocks(&mut self.packed, some).map_err(io::Error::other)?;
                continue;
            }
            if self.packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => self.inside = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.packed.seek_relative(i64::from(length))?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
