//! Whether the pages of a column are as long as can be borne.
//!
//! A page says itself how long it is once it is decompressed, and the decoder believes it: a few bytes could ask for
//! two gigabytes. So the headers of all pages are looked through before one is decoded.

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _, SeekFrom},
};

use ::parquet::file::metadata::ColumnChunkMetaData;

use super::{
    Wrong, damaged,
    known::PAGE,
    thrift::{INT32, Walker},
};

/// Bytes of the longest page, decompressed.
const LONGEST_PAGE: i64 = 128 << 20;
/// Bytes of the longest header of a page.
const LONGEST_HEADER: u64 = 16 << 20;

pub(super) fn expect_bounded(file: &File, column: &ColumnChunkMetaData) -> Result<(), Wrong> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(mut at), Ok(length)) = (u64::try_from(start), u64::try_from(column.compressed_size())) else {
        return Err(damaged("a column begins before the file"));
    };
    let end = at.checked_add(length).filter(|end| file.metadata().is_ok_and(|file| *end <= file.len()));
    let end = end.ok_or_else(|| damaged("a column ends after the file"))?;
    let mut input = BufReader::new(file.try_clone()?);
    input.seek(SeekFrom::Start(at))?;
    while at < end {
        let mut header =
            Walker::new((&mut input).take(LONGEST_HEADER.min(end - at)), "the header of a page is no header");
        let (mut decompressed, mut compressed) = (None, None);
        header.fields(&mut |header, id, kind| {
            match (id, kind) {
                (2, INT32) => decompressed = Some(header.zigzag()?),
                (3, INT32) => compressed = Some(header.zigzag()?),
                // The decoder reads numbers of any size there.
                (2 | 3, _) => return header.malformed(),
                _ => header.field(id, kind, PAGE)?,
            }
            Ok(())
        })?;
        let (Some(decompressed), Some(compressed)) = (decompressed, compressed) else {
            return header.malformed();
        };
        let is_bounded =
            (0..=LONGEST_PAGE).contains(&decompressed) && (0..=LONGEST_PAGE).contains(&compressed);
        if !is_bounded {
            return Err(damaged("a page says it is longer than 128 MiB"));
        }
        at += header.read() + compressed as u64;
        // What is there already is not read once more.
        input.seek_relative(compressed)?;
    }
    Ok(())
}
