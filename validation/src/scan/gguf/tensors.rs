//! Where the tensors of a GGUF file lie.

use std::collections::HashSet;

use super::{hash, reader::Reader};
use crate::scan::{
    Rule,
    walk::{Stop, Walk},
};

/// Longest name: readers have room for 64 bytes, and some files are older than that rule.
const LONGEST: u64 = 1024;
/// Most dimensions, by ggml.
const DIMENSIONS: u32 = 4;

/// Elements and bytes of a block of each type
/// (<https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py>, `GGML_QUANT_SIZES`).
const fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 40),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        24 => (1, 1),
        27 | 28 => (1, 8),
        29 => (256, 56),
        34 => (256, 54),
        35 => (256, 66),
        39 => (32, 17),
        40 => (64, 36),
        41 => (128, 18),
        _ => return None,
    })
}

/// A tensor: offset in the data, and length if its type is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tensor {
    offset: u64,
    len: Option<u64>,
}

/// Reads the list of tensors; with it comes where their bytes begin.
pub(super) fn read(
    reader: &mut Reader<'_, '_, '_>,
    count: u64,
    alignment: u64,
) -> Result<(u64, Vec<Tensor>), Stop> {
    let (mut tensors, mut seen) = (Vec::new(), HashSet::new());
    for _ in 0..count {
        let at = reader.at();
        let name = reader.string(LONGEST, "the name of a tensor is longer than any")?;
        if !seen.insert(hash(&name)) {
            reader.walk.report(Rule::DuplicateKey, Some(at), &name);
        }
        let dimensions = reader.u32()?;
        if dimensions > DIMENSIONS {
            return Err(Stop::Malformed { offset: at, what: "a tensor has more than four dimensions" });
        }
        let mut elements = Some(1_u64);
        for _ in 0..dimensions {
            let dimension = reader.length()?;
            elements = elements.and_then(|elements| elements.checked_mul(dimension));
        }
        let kind = reader.u32()?;
        let offset = reader.u64()?;
        let overflow = Stop::Malformed { offset: at, what: "a tensor is larger than 64 bits count" };
        let Some(elements) = elements else { return Err(overflow) };
        if offset % alignment != 0 {
            reader.walk.report(Rule::TensorLayout, Some(at), &format!("{name} is not aligned"));
        }
        let len = match block(kind) {
            Some((of, bytes)) if elements % of == 0 => match (elements / of).checked_mul(bytes) {
                None => return Err(overflow),
                len => len,
            },
            Some(_) => {
                let detail = format!("{name}: its shape is no number of whole blocks");
                reader.walk.report(Rule::TensorLayout, Some(at), &detail);
                None
            }
            None => {
                let detail = format!("{name} is of type {kind}, whose size is not known");
                reader.walk.report(Rule::TensorLayout, Some(at), &detail);
                None
            }
        };
        tensors.push(Tensor { offset, len });
    }
    Ok((reader.at().next_multiple_of(alignment), tensors))
}

/// Tensors lie within the file and apart.
pub(super) fn check(
    mut tensors: Vec<Tensor>,
    start: u64,
    file: u64,
    alignment: u64,
    walk: &mut Walk<'_>,
) -> Result<(), Stop> {
    if tensors.is_empty() {
        return Ok(());
    }
    tensors.sort_unstable();
    let Some(data) = file.checked_sub(start) else {
        return Err(Stop::Malformed { offset: file, what: "the tensors are missing" });
    };
    let mut at = 0;
    for tensor in tensors {
        let end = tensor.offset.checked_add(tensor.len.unwrap_or(0)).filter(|end| *end <= data);
        let Some(end) = end else {
            return Err(Stop::Malformed {
                offset: start.saturating_add(tensor.offset.min(data)),
                what: "a tensor reaches over the end of the file",
            });
        };
        if tensor.offset < at {
            walk.report(Rule::TensorLayout, Some(start + tensor.offset), "two tensors overlap");
            return Ok(());
        }
        gap(start + at, tensor.offset - at, alignment, walk);
        // Of a tensor of unknown length nobody knows where the gap begins; it has been reported.
        if tensor.len.is_none() {
            return Ok(());
        }
        at = end;
    }
    gap(start + at, data - at, alignment, walk);
    Ok(())
}

/// Tensors are padded to the alignment, and no further.
fn gap(at: u64, len: u64, alignment: u64, walk: &mut Walk<'_>) {
    if len >= alignment {
        walk.report(Rule::TensorLayout, Some(at), &format!("{len} bytes belong to no tensor"));
    }
}
