//! GGUF (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), versions 1 to 3, of either byte order:
//! counts and lengths that a reader would trust, and the templates that it would run.

mod reader;
mod tensors;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use self::reader::Reader;
use super::{
    Detection, Rule, jinja,
    limits::Limit,
    section::Section,
    walk::{Stop, Walk},
};
use crate::excerpt::excerpt;

pub(super) const MAGIC: &[u8] = b"GGUF";
/// Most keys, and most tensors: models have hundreds.
const MOST: u64 = 1 << 20;
/// Longest key, by the format.
const LONGEST_KEY: u64 = (1 << 16) - 1;
/// Most arrays around a value; the usual readers know of one.
const DEEPEST: u8 = 4;
const TEMPLATE: &str = "tokenizer.chat_template";
const DEFAULT_ALIGNMENT: u64 = 32;

/// The type of a value.
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// What the keys say that the tensors depend on, and the templates.
#[derive(Debug)]
struct Keys {
    alignment: u64,
    templates: Vec<(String, u64, u64)>,
}

/// Scans a file.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let (keys, start, tensors) = {
        let mut reader = Reader::new(section, walk)?;
        let (tensors, keys) = (reader.count()?, reader.count()?);
        let keys = read_keys(&mut reader, keys)?;
        let (start, tensors) = tensors::read(&mut reader, tensors, keys.alignment)?;
        (keys, start, tensors)
    };
    let laid = tensors::check(tensors, start, section.len(), keys.alignment, walk);
    for (key, start, len) in keys.templates {
        walk.inside(&key, |walk| jinja::walk(&mut section.part(start, len), walk))?;
    }
    laid
}

fn read_keys(reader: &mut Reader<'_, '_, '_>, count: u64) -> Result<Keys, Stop> {
    let mut keys = Keys { alignment: DEFAULT_ALIGNMENT, templates: Vec::new() };
    let mut seen = HashSet::new();
    for _ in 0..count {
        let at = reader.at();
        let key = reader.string(LONGEST_KEY, "a key is longer than 65 535 bytes")?;
        if !seen.insert(hash(&key)) {
            reader.walk.report(Rule::DuplicateKey, Some(at), &key);
        }
        let kind = reader.u32()?;
        if key == "general.alignment" {
            let at = reader.at();
            let alignment = if kind == U32 { u64::from(reader.u32()?) } else { 0 };
            if !alignment.is_power_of_two() {
                return Err(Stop::Malformed { offset: at, what: "the alignment is no power of two" });
            }
            keys.alignment = alignment;
        } else if key.starts_with(TEMPLATE) {
            template(reader, &key, kind, 0, &mut keys.templates)?;
        } else {
            value(reader, kind, 0)?;
        }
    }
    Ok(keys)
}

/// Reads over a value.
fn value(reader: &mut Reader<'_, '_, '_>, kind: u32, depth: u8) -> Result<(), Stop> {
    if let Some(size) = size(kind) {
        return reader.skip(size);
    }
    match kind {
        STRING => reader.skip_string().map(|_| ()),
        ARRAY => {
            let (kind, count) = array(reader, depth)?;
            match size(kind) {
                Some(size) => {
                    let len = count.checked_mul(size);
                    reader.skip(len.unwrap_or(u64::MAX))
                }
                None => (0..count).try_for_each(|_| value(reader, kind, depth + 1)),
            }
        }
        _ => Err(Stop::Malformed { offset: reader.at(), what: "a value is of no type that there is" }),
    }
}

/// Reads over a value that holds templates, and notes where.
fn template(
    reader: &mut Reader<'_, '_, '_>,
    key: &str,
    kind: u32,
    depth: u8,
    found: &mut Vec<(String, u64, u64)>,
) -> Result<(), Stop> {
    match kind {
        STRING => {
            let (start, len) = reader.skip_string()?;
            if found.len() as u64 >= u64::from(reader.walk.budget.limits.members) {
                return Err(Stop::Limit(Limit::Members));
            }
            // One key may have as many templates as there may be members.
            found.push((excerpt(key, Detection::SHOWN), start, len));
            Ok(())
        }
        ARRAY => {
            let (kind, count) = array(reader, depth)?;
            (0..count).try_for_each(|_| template(reader, key, kind, depth + 1, found))
        }
        _ => value(reader, kind, depth),
    }
}

/// The type and number of the elements of an array.
fn array(reader: &mut Reader<'_, '_, '_>, depth: u8) -> Result<(u32, u64), Stop> {
    let at = reader.at();
    if depth >= DEEPEST {
        return Err(Stop::Malformed { offset: at, what: "arrays are nested deeper than any reader follows" });
    }
    let kind = reader.u32()?;
    let count = reader.length()?;
    // Every element takes a byte at least, so that no count outlasts the file.
    if count > reader.left() {
        return Err(Stop::Malformed { offset: at, what: "an array has more elements than the file bytes" });
    }
    Ok((kind, count))
}

/// Bytes of a value that has a fixed size.
const fn size(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
