//! Models of Keras: its configuration, alone, in a `.keras` zip, or as an attribute of an HDF5 file.
//!
//! An HDF5 file is not taken apart: its attributes are found by their text, which libhdf5 writes in one piece.
//! One that is compressed or in pieces is not found; a file that has the name of such an attribute and no
//! configuration is therefore not clean.

mod layer;

use memchr::{memchr_iter, memmem};

pub(super) use self::layer::Layer;
use super::{
    Rule,
    config::{self, Embedded},
    section::Section,
    walk::{Stop, Walk},
};

pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Where the first block of an HDF5 file may begin, behind what someone put before it.
const STARTS: [u64; 8] = [0, 512, 1024, 2048, 4096, 8192, 16384, 32768];
/// The attribute that holds the configuration of a model.
const ATTRIBUTE: &[u8] = b"model_config";
/// Blanks that may stand in an object before its first key.
const BLANKS: usize = 64;
const CHUNK: usize = 256 << 10;

/// Whether a file is HDF5, whatever stands before its first block.
pub(super) fn is_hdf5(section: &mut Section<'_>) -> Result<bool, Stop> {
    Ok(first_block(section)?.is_some())
}

fn first_block(section: &mut Section<'_>) -> Result<Option<u64>, Stop> {
    let mut head = [0; MAGIC.len()];
    for start in STARTS {
        let read = section.read_at(start, &mut head)?;
        if &head[..read] == MAGIC {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// Scans an HDF5 file.
pub(super) fn hdf5(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    search(section, walk)?;
    is_whole(section)
}

/// Whether the file reaches as far as its first block says
/// (<https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>, "Superblock").
fn is_whole(section: &mut Section<'_>) -> Result<(), Stop> {
    let start = first_block(section)?.unwrap_or(0);
    let mut block = [0; 64];
    let read = section.read_at(start, &mut block)?;
    let (size, end) = match block[8] {
        0 => (block[13], 40),
        1 => (block[13], 44),
        2 | 3 => (block[9], 28),
        _ => return Err(Stop::Malformed { offset: start + 8, what: "it is of no version that there is" }),
    };
    let end = block[..read].get(end..).and_then(|rest| rest.first_chunk::<8>());
    match end.map(|end| u64::from_le_bytes(*end)) {
        Some(end) if size == 8 && end <= section.len() - start => Ok(()),
        _ => Err(Stop::Malformed { offset: section.len(), what: "the file ends before it says so" }),
    }
}

/// Scans the objects of JSON that lie anywhere. Where the attribute of a model is named, one of them has to be a model;
/// whatever other objects there are do not stand in for it.
pub(super) fn search(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let (mut at, mut next, mut found, mut named) = (0, 0, false, None);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = section.read_at(at, &mut buffer)?;
        walk.budget.work(1 + read as u64 / 64)?;
        let chunk = &buffer[..read];
        let last = at + read as u64 >= section.len();
        // What begins in the overlap is seen whole in the next chunk.
        let end = if last { read } else { read - BLANKS };
        named = named.or_else(|| memmem::find(chunk, ATTRIBUTE).map(|place| at + place as u64));
        for place in memchr_iter(b'{', &chunk[..end]) {
            let start = at + place as u64;
            let rest = &chunk[place + 1..read.min(place + BLANKS)];
            let told = rest.trim_ascii_start();
            // As many blanks as there is room for are no chance either.
            let may_be_one = told.starts_with(b"\"") || told.is_empty() && rest.len() == BLANKS - 1;
            if start < next || !may_be_one {
                continue;
            }
            match config::embedded(&mut section.part(start, u64::MAX), walk)? {
                Embedded::Object(len, model) => {
                    found |= model;
                    next = start + len;
                }
                Embedded::Broken => walk.report(Rule::Malformed, Some(start), "a configuration breaks off"),
                Embedded::Nothing => {}
            }
        }
        if last {
            return match named.filter(|_| !found) {
                None => Ok(()),
                Some(offset) => Err(Stop::Malformed {
                    offset,
                    what: "a model of Keras has a configuration that is not found",
                }),
            };
        }
        at += end as u64;
    }
}
