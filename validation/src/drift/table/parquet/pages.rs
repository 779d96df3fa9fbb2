//! Whether the pages of a column are as long as can be borne.
//!
//! A page says itself how long it is once it is decompressed, and the decoder believes it: a few bytes could ask for
//! two gigabytes. So the headers of all pages are looked through before one is decoded.

use std::{
    fs::File,
    io::{BufReader, Read, Seek as _, SeekFrom},
};

use ::parquet::file::metadata::ColumnChunkMetaData;

use super::{Wrong, damaged};

/// Bytes of the longest page, decompressed.
const LONGEST_PAGE: i64 = 128 << 20;
/// Bytes of the longest header of a page.
const LONGEST_HEADER: u64 = 16 << 20;
/// How deep structs in a header are.
const DEEPEST: u32 = 8;

pub(super) fn expect_bounded(file: &File, column: &ColumnChunkMetaData) -> Result<(), Wrong> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(mut at), Ok(length)) = (u64::try_from(start), u64::try_from(column.compressed_size())) else {
        return Err(damaged("a column begins before the file"));
    };
    let end = at.checked_add(length).filter(|end| file.metadata().is_ok_and(|file| *end <= file.len()));
    let end = end.ok_or_else(|| damaged("a column ends after the file"))?;
    let mut input = BufReader::new(file.try_clone()?);
    while at < end {
        input.seek(SeekFrom::Start(at))?;
        let mut header = Header { input: (&mut input).take(LONGEST_HEADER.min(end - at)), read: 0 };
        let sizes = header.sizes().ok_or_else(|| damaged("the header of a page is no header"))?;
        let (Sizes { decompressed, compressed }, read) = (sizes, header.read);
        let is_bounded =
            (0..=LONGEST_PAGE).contains(&decompressed) && (0..=LONGEST_PAGE).contains(&compressed);
        if !is_bounded {
            return Err(damaged("a page says it is longer than 128 MiB"));
        }
        at += read + compressed as u64;
    }
    Ok(())
}

/// What a header of a page says about its length.
struct Sizes {
    decompressed: i64,
    compressed: i64,
}

/// A struct in Thrift's compact protocol.
struct Header<R> {
    input: R,
    read: u64,
}

impl<R: Read> Header<R> {
    fn sizes(&mut self) -> Option<Sizes> {
        let (mut id, mut decompressed, mut compressed) = (0, None, None);
        loop {
            let head = self.byte()?;
            match head & 0x0f {
                0 => return Some(Sizes { decompressed: decompressed?, compressed: compressed? }),
                kind => {
                    id = match head >> 4 {
                        0 => self.zigzag()?,
                        step => id + i64::from(step),
                    };
                    match (id, kind) {
                        (2, 5) => decompressed = Some(self.zigzag()?),
                        (3, 5) => compressed = Some(self.zigzag()?),
                        _ => self.pass(kind, DEEPEST)?,
                    }
                }
            }
        }
    }

    fn pass(&mut self, kind: u8, deep: u32) -> Option<()> {
        match kind {
            1 | 2 => {}
            3 => _ = self.byte()?,
            4..=6 => _ = self.varint()?,
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                let deep = deep.checked_sub(1)?;
                // Each takes a byte at least, so that it ends with the input.
                for _ in 0..count {
                    match head & 0x0f {
                        1 | 2 => _ = self.byte()?,
                        kind => self.pass(kind, deep)?,
                    }
                }
            }
            12 => {
                let deep = deep.checked_sub(1)?;
                loop {
                    let head = self.byte()?;
                    match head & 0x0f {
                        0 => break,
                        kind => {
                            if head >> 4 == 0 {
                                self.varint()?;
                            }
                            self.pass(kind, deep)?;
                        }
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).ok()?;
        self.read += 1;
        Some(byte[0])
    }

    fn skip(&mut self, length: u64) -> Option<()> {
        let skipped = std::io::copy(&mut self.input.by_ref().take(length), &mut std::io::sink()).ok()?;
        self.read += skipped;
        (skipped == length).then_some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
