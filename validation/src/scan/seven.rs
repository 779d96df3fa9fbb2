//! 7z archives of plain folders, which is what archivers write of data
//! (<https://py7zr.readthedocs.io/en/stable/archive_format.html>).

use std::io::{BufReader, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::DeflateDecoder;
use lzma_rust2::{Lzma2Reader, LzmaReader, filter::bcj::BcjReader};

use super::{
    Rule,
    section::Section,
    walk::{Stop, Walk},
};

/// Bytes of the fixed header.
const START: u64 = 32;
/// Longest header that is read.
const LONGEST: u64 = 16 << 20;
/// Most memory that a dictionary may take, in bytes.
const DICTIONARY: u32 = 128 << 20;
/// Headers in headers that are unpacked.
const HEADERS: usize = 4;

/// What is packed together, and how.
#[derive(Debug, Default)]
struct Folder {
    coders: Vec<Coder>,
    /// Which of two reads what is packed, and gives it to the other.
    first: usize,
    size: u64,
    files: Vec<u64>,
}

#[derive(Debug)]
struct Coder {
    id: Vec<u8>,
    properties: Vec<u8>,
}

/// Where packed streams lie, and what they hold.
#[derive(Debug, Default)]
struct Streams {
    at: u64,
    packed: Vec<u64>,
    folders: Vec<Folder>,
}

/// A header under way. What it does not have is `None`.
struct Reader<'h>(&'h [u8]);

/// Scans an archive.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    const BROKEN: Stop = Stop::Malformed { offset: START, what: "the header of the archive makes no sense" };
    let mut start = [0; START as usize];
    let read = section.read_at(0, &mut start)?;
    let mut fields = Reader(start.get(12..read).unwrap_or_default());
    let (Some(offset), Some(len)) = (fields.fixed(), fields.fixed()) else { return Err(BROKEN) };
    if len > LONGEST || START.saturating_add(offset).saturating_add(len) > section.len() {
        return Err(BROKEN);
    }
    let mut header = vec![0; len as usize];
    section.read_at(START + offset, &mut header)?;
    for _ in 0..HEADERS {
        walk.budget.work(header.len() as u64)?;
        let mut reader = Reader(&header);
        match reader.byte() {
            // Nothing is packed but names, or not even those.
            None => return Ok(()),
            Some(0x17) => {
                let streams = reader.streams(walk.budget.limits.members).ok_or(BROKEN)?;
                let (Some(folder), Some(&packed)) = (streams.folders.first(), streams.packed.first()) else {
                    return Err(BROKEN);
                };
                let size = folder.size.min(LONGEST);
                let mut part = section.part(START.saturating_add(streams.at), packed);
                let Some(unpacked) = decoder(folder, &mut part) else {
                    walk.report(
                        Rule::UnknownCompression,
                        None,
                        "the header is packed in a way that is not supported",
                    );
                    return Ok(());
                };
                let mut unfolded = Vec::new();
                if unpacked.take(size).read_to_end(&mut unfolded).is_err() {
                    return Err(BROKEN);
                }
                header = unfolded;
            }
            Some(0x01) => {
                return match reader.byte() {
                    Some(0x04) => {
                        let streams = reader.streams(walk.budget.limits.members).ok_or(BROKEN)?;
                        folders(section, walk, &streams)
                    }
                    Some(0x05 | 0x00) => Ok(()),
                    _ => Err(BROKEN),
                };
            }
            Some(_) => return Err(BROKEN),
        }
    }
    Err(BROKEN)
}

fn folders(section: &mut Section<'_>, walk: &mut Walk<'_>, streams: &Streams) -> Result<(), Stop> {
    if streams.packed.len() != streams.folders.len() {
        walk.report(Rule::UnknownCompression, None, "folders are packed into several streams");
        return Ok(());
    }
    let (mut at, mut number) = (START.saturating_add(streams.at), 0);
    for (folder, &packed) in streams.folders.iter().zip(&streams.packed) {
        let mut part = section.part(at, packed);
        at = at.saturating_add(packed);
        let Some(mut unpacked) = decoder(folder, &mut part) else {
            let encrypted = folder.coders.iter().any(|coder| coder.id == [6, 0xf1, 7, 1]);
            let rule = if encrypted { Rule::Encrypted } else { Rule::UnknownCompression };
            walk.report(rule, None, "a folder is packed in a way that is not supported");
            continue;
        };
        for &size in &folder.files {
            number += 1;
            let mut file = unpacked.by_ref().take(size);
            walk.unpack(&format!("file {number}"), packed, &mut file)?;
            // What was not read has its finding, and there is no way to the next file.
            if file.limit() > 0 {
                break;
            }
        }
    }
    Ok(())
}

/// A folder as it is unpacked; `None` if it is not packed by one known method, with or without the filter
/// for x86 code behind it.
fn decoder<'p>(folder: &Folder, packed: &'p mut Section<'_>) -> Option<Box<dyn Read + 'p>> {
    match folder.coders.as_slice() {
        [coder] => method(folder, coder, packed),
        [one, other] => {
            let (first, last) = if folder.first == 0 { (one, other) } else { (other, one) };
            let unpacked = method(folder, first, packed)?;
            (last.id == [3, 3, 1, 3]).then(|| Box::new(BcjReader::new_x86(unpacked, 0)) as Box<dyn Read + 'p>)
        }
        _ => None,
    }
}

fn method<'p>(folder: &Folder, coder: &Coder, packed: &'p mut Section<'_>) -> Option<Box<dyn Read + 'p>> {
    let Coder { id, properties } = coder;
    Some(match (id.as_slice(), properties.as_slice()) {
        ([0], _) => Box::new(packed),
        ([0x21], &[size @ 0..=40]) => {
            let dictionary = (2 | u64::from(size & 1)) << (size / 2 + 11);
            let dictionary = u32::try_from(dictionary).ok().filter(|size| *size <= DICTIONARY)?;
            Box::new(Lzma2Reader::new(BufReader::new(packed), dictionary, None))
        }
        ([3, 1, 1], &[properties, a, b, c, d]) => {
            let dictionary = u32::from_le_bytes([a, b, c, d]);
            if dictionary > DICTIONARY {
                return None;
            }
            let packed = BufReader::new(packed);
            Box::new(LzmaReader::new_with_props(packed, folder.size, properties, dictionary, None).ok()?)
        }
        ([4, 1, 8], _) => Box::new(DeflateDecoder::new(packed)),
        ([4, 2, 2], _) => Box::new(MultiBzDecoder::new(packed)),
        _ => return None,
    })
}

impl<'h> Reader<'h> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes(&mut self, len: u64) -> Option<&'h [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Eight bytes.
    fn fixed(&mut self) -> Option<u64> {
        self.bytes(8)?.first_chunk::<8>().map(|number| u64::from_le_bytes(*number))
    }

    /// As many bytes as the first has leading ones, and its other bits on top.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = first.leading_ones();
        let mut number = 0;
        for i in 0..more {
            number |= u64::from(self.byte()?) << (8 * i);
        }
        let top = if more < 7 { u64::from(first & (0x7f >> more)) << (8 * more) } else { 0 };
        Some(number | top)
    }

    /// A number of things, each of which takes a byte at least.
    fn count(&mut self, most: u32) -> Option<u64> {
        self.number().filter(|count| *count <= u64::from(most))
    }

    /// Checksums, which are not read: flags say of which of so many there are.
    fn skip_checksums(&mut self, of: u64) -> Option<()> {
        let present = match self.byte()? {
            0 => self.bytes(of.div_ceil(8))?.iter().map(|flags| u64::from(flags.count_ones())).sum(),
            _ => of,
        };
        self.bytes(present.checked_mul(4)?).map(|_| ())
    }

    fn streams(&mut self, most: u32) -> Option<Streams> {
        let mut streams = Streams::default();
        let mut kind = self.byte()?;
        if kind == 0x06 {
            streams.at = self.number()?;
            let count = self.count(most)?;
            loop {
                match self.byte()? {
                    0x00 => break,
                    0x09 => streams.packed = (0..count).map(|_| self.number()).collect::<Option<_>>()?,
                    0x0a => self.skip_checksums(count)?,
                    _ => return None,
                }
            }
            kind = self.byte()?;
        }
        if kind == 0x07 {
            self.folders(&mut streams, most)?;
            kind = self.byte()?;
        }
        if kind == 0x08 {
            self.files(&mut streams, most)?;
        } else {
            streams.folders.iter_mut().for_each(|folder| folder.files = vec![folder.size]);
        }
        Some(streams)
    }

    fn folders(&mut self, streams: &mut Streams, most: u32) -> Option<()> {
        if self.byte()? != 0x0b {
            return None;
        }
        let count = self.count(most)?;
        // Folders that are described elsewhere: nobody writes them.
        if self.byte()? != 0 {
            return None;
        }
        for _ in 0..count {
            let mut folder = Folder::default();
            let coders = self.count(32)?;
            for _ in 0..coders {
                let flags = self.byte()?;
                // More than one way in or out.
                if flags & 0x10 != 0 {
                    return None;
                }
                let id = self.bytes(u64::from(flags & 0xf))?.to_vec();
                let len = if flags & 0x20 == 0 { 0 } else { self.number()? };
                folder.coders.push(Coder { id, properties: self.bytes(len)?.to_vec() });
            }
            // From which to which: two numbers for each that follows another.
            for _ in 1..coders {
                let (to, from) = (self.number()?, self.number()?);
                if to == from || to >= coders || from >= coders {
                    return None;
                }
                folder.first = from as usize;
            }
            streams.folders.push(folder);
        }
        if self.byte()? != 0x0c {
            return None;
        }
        for folder in &mut streams.folders {
            for _ in 0..folder.coders.len() {
                folder.size = self.number()?;
            }
        }
        loop {
            match self.byte()? {
                0x00 => return Some(()),
                0x0a => self.skip_checksums(count)?,
                _ => return None,
            }
        }
    }

    /// How folders divide into files: all sizes but the last of each are written.
    fn files(&mut self, streams: &mut Streams, most: u32) -> Option<()> {
        let mut counts = vec![1; streams.folders.len()];
        let mut kind = self.byte()?;
        if kind == 0x0d {
            counts = counts.iter().map(|_| self.count(most)).collect::<Option<_>>()?;
            kind = self.byte()?;
        }
        for (folder, count) in streams.folders.iter_mut().zip(counts) {
            let mut left = folder.size;
            // What belongs to no file is looked at as one.
            let count = count.max(1);
            for number in 1..=count {
                let size = if number == count || kind != 0x09 { left } else { self.number()? };
                left = left.checked_sub(size)?;
                folder.files.push(size);
            }
        }
        Some(())
    }
}
