//! safetensors: eight bytes with the length of a JSON header, the header, the weights.
//!
//! Source: <https://github.com/huggingface/safetensors#format>. The header may have 100 MB, so it is read
//! as it arrives and nothing of it is stored. Checked are the arithmetic of each tensor and that the
//! tensors together are as long as the file; not that no name occurs twice or that no two overlap, which
//! would need them all in memory.

use super::{
    json::{Json, Level, See, Value},
    reading::{Damage, Facts, Weights},
    steps::Scan,
    tally::{Elements, Tally},
};

/// Longest header, as the format says.
const LONGEST_HEADER: u64 = 100_000_000;

/// Bytes before the header.
pub(super) const PREFIX: usize = 8;

/// Reads a safetensors file.
#[derive(Debug)]
pub(super) struct Safetensors {
    /// Bytes of the prefix, and how many have come.
    prefix: ([u8; PREFIX], usize),
    /// Bytes of the header that have not come, once its length is known.
    left: Option<u64>,
    header: u64,
    json: Json,
    tensors: Tensors,
}

#[derive(Debug, Default)]
struct Tensors {
    tally: Tally,
    tensor: Tensor,
    /// Bytes of all tensors so far, and where the last of them ends.
    bytes: u64,
    end: u64,
}

/// What has been seen of a tensor.
#[derive(Debug, Default)]
struct Tensor {
    dtype: Option<String>,
    shape: Option<Elements>,
    begin: Option<u64>,
    end: Option<u64>,
}

impl Safetensors {
    pub(super) fn new() -> Self {
        Self {
            prefix: ([0; PREFIX], 0),
            left: None,
            header: 0,
            json: Json::default(),
            tensors: Tensors::default(),
        }
    }

    /// Whether a file that begins so is one: the length of a header, and the header's brace.
    pub(super) fn begins(head: &[u8]) -> bool {
        let Some((prefix, rest)) = head.split_first_chunk() else { return false };
        rest.first() == Some(&b'{') && u64::from_le_bytes(*prefix) <= LONGEST_HEADER
    }
}

impl Scan for Safetensors {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        let (prefix, have) = &mut self.prefix;
        while *have < PREFIX {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            prefix[*have] = byte;
            *have += 1;
            bytes = rest;
        }
        if self.left.is_none() {
            self.header = u64::from_le_bytes(*prefix);
            if self.header > LONGEST_HEADER {
                return Err(Damage::new("it does not begin with the length of a header of up to 100 MB"));
            }
        }
        let left = self.left.unwrap_or(self.header);
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.left = Some(left - count as u64);
        self.json.feed(&bytes[..count], &mut self.tensors)
    }

    fn idle(&self) -> u64 {
        if self.left == Some(0) { u64::MAX } else { 0 }
    }

    fn pass(&mut self, _: u64) {}

    fn finish(self: Box<Self>, size: u64) -> Result<Facts, Damage> {
        if self.left != Some(0) {
            return Err(Damage::cut());
        }
        if !self.json.is_complete() {
            return Err(Damage::new("its header ends before its JSON does"));
        }
        let Tensors { tally, bytes, end, .. } = self.tensors;
        if bytes != end {
            return Err(Damage::new("its tensors overlap, or there is something between them"));
        }
        let expected = (PREFIX as u64 + self.header).checked_add(end).ok_or(Damage::overflow())?;
        if size != expected {
            return Err(Damage::said(format!("it has {size} bytes, and by its header {expected}")));
        }
        Ok(Facts::Weights(Box::new(Weights { tally, ..Weights::default() })))
    }
}

impl See for Tensors {
    fn see(&mut self, path: &[Level], value: Value<'_>) -> Result<(), Damage> {
        match (path, value) {
            ([metadata, ..], _) if metadata.is("__metadata__") => {}
            ([_], Value::Open) => self.tensor = Tensor::default(),
            ([name], Value::Close) => self.close(name.key())?,
            ([_], _) => return Err(Damage::new("its header has an entry that is not a tensor")),
            ([_, field], Value::Text(dtype)) if field.is("dtype") => {
                self.tensor.dtype = Some(dtype.to_owned());
            }
            ([_, field], Value::Open) if field.is("shape") => {
                self.tensor.shape = Some(Elements::default());
            }
            ([_, field, at], Value::Number(number)) if field.is("shape") && at.is_array() => {
                self.tensor.shape.get_or_insert_default().times(natural(number)?)?;
            }
            ([_, field, at], Value::Number(number)) if field.is("data_offsets") && at.is_array() => {
                let offset = Some(natural(number)?);
                if at.is_at(0) {
                    self.tensor.begin = offset;
                } else if at.is_at(1) {
                    self.tensor.end = offset;
                } else {
                    return Err(Damage::new("a tensor has more than two offsets"));
                }
            }
            ([_, field, ..], Value::Text(_) | Value::Word(_)) if field.is("shape") => {
                return Err(Damage::new("a tensor's shape is not made of numbers"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Tensors {
    fn close(&mut self, name: &str) -> Result<(), Damage> {
        let Tensor { dtype: Some(dtype), shape: Some(shape), begin: Some(begin), end: Some(end) } =
            std::mem::take(&mut self.tensor)
        else {
            return Err(wrong(name, "has no dtype, shape or offsets"));
        };
        let elements = shape.product();
        let length = end.checked_sub(begin).ok_or_else(|| wrong(name, "ends before it begins"))?;
        match bits(&dtype) {
            Some(bits) => {
                let total = elements.checked_mul(bits).ok_or(Damage::overflow())?;
                if !total.is_multiple_of(8) || total / 8 != length {
                    return Err(wrong(name, "is not as long as its shape says"));
                }
                self.tally.count(&dtype, elements)?;
            }
            None => self.tally.count_unknown(&dtype, elements)?,
        }
        self.bytes = self.bytes.checked_add(length).ok_or(Damage::overflow())?;
        self.end = self.end.max(end);
        Ok(())
    }
}

fn wrong(name: &str, why: &str) -> Damage {
    Damage::said(format!("tensor `{}` {why}", super::reading::shown(name)))
}

fn natural(number: &str) -> Result<u64, Damage> {
    number.parse().map_err(|_| Damage::new("a shape or an offset is not a number from 0 to 2^64"))
}

/// Bits of an element.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "F8_E4M3" | "F8_E4M3FNUZ" | "F8_E5M2" | "F8_E5M2FNUZ" | "F8_E8M0" | "I8" | "U8" => 8,
        "BF16" | "F16" | "I16" | "U16" => 16,
        "F32" | "I32" | "U32" => 32,
        "C64" | "F64" | "I64" | "U64" => 64,
        _ => return None,
    })
}
