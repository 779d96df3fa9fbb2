//! safetensors (<https://github.com/huggingface/safetensors#format>): numbers and nothing else, as long as
//! every reader finds the same numbers.

use std::{
    collections::HashSet,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::BufReader,
};

use serde::{
    Deserialize, Deserializer as _,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    Detection, Rule,
    section::Section,
    walk::{Stop, Walk},
};
use crate::excerpt::excerpt;

/// Longest header that the library itself reads.
const LONGEST: u64 = 100_000_000;
/// Findings about tensors that are reported of one file; more add nothing.
const REPORTED: usize = 20;
/// What no note about a model needs, and code or a download has.
const SUSPICIOUS: [&str; 14] = [
    "http://",
    "https://",
    "ftp://",
    "file://",
    "javascript:",
    "<script",
    "import ",
    "__import__",
    "__class__",
    "eval(",
    "exec(",
    "os.system",
    "subprocess",
    "base64,",
];

/// Whether a file begins with the length of a header and with the header. No sane length needs its high
/// bytes.
pub(super) const fn is_start(head: &[u8]) -> bool {
    matches!(head, [_, _, _, _, _, 0, 0, 0, b'{', ..])
}

/// Scans a file.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut len = [0; 8];
    section.read_at(0, &mut len)?;
    let len = u64::from_le_bytes(len);
    if len > LONGEST {
        return Err(Stop::Malformed { offset: 0, what: "the header is longer than 100 MB" });
    }
    let data = section.len().saturating_sub(8);
    let Some(data) = data.checked_sub(len) else {
        return Err(Stop::Malformed { offset: 0, what: "the header reaches over the end of the file" });
    };
    walk.budget.work(len)?;
    let mut header = Header::default();
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(section.part(8, len)));
    let parsed = reader.deserialize_map(&mut header).and_then(|()| reader.end());
    for (rule, detail) in &header.found {
        walk.report(*rule, None, detail);
    }
    if parsed.is_err() {
        return Err(Stop::Malformed { offset: 8, what: "the header is no object of tensors in JSON" });
    }
    layout(&mut header.spans, data, 8 + len, walk);
    Ok(())
}

/// Tensors lie side by side and fill the file.
fn layout(spans: &mut [(u64, u64)], data: u64, start: u64, walk: &mut Walk<'_>) {
    spans.sort_unstable();
    let mut at = 0;
    for &(begin, end) in &*spans {
        if begin != at {
            let what = if begin < at { "two tensors overlap" } else { "bytes between tensors" };
            walk.report(Rule::TensorLayout, Some(start.saturating_add(at.min(begin))), what);
            return;
        }
        at = end;
    }
    if at != data {
        let what = if at < data { "bytes follow the last tensor" } else { "a tensor is cut short" };
        walk.report(Rule::TensorLayout, Some(start.saturating_add(at.min(data))), what);
    }
}

/// What a header says, as it is read.
#[derive(Debug, Default)]
struct Header {
    spans: Vec<(u64, u64)>,
    seen: HashSet<u64>,
    found: Vec<(Rule, String)>,
}

impl Header {
    fn report(&mut self, rule: Rule, detail: String) {
        if self.found.len() < REPORTED {
            self.found.push((rule, excerpt(&detail, Detection::SHOWN)));
        }
    }

    fn tensor(&mut self, name: &str, tensor: &Tensor) {
        let (begin, end) = tensor.data_offsets;
        let bits = bits(&tensor.dtype).zip(tensor.shape.0).and_then(|(bits, count)| count.checked_mul(bits));
        match (bits, end.checked_sub(begin)) {
            (Some(bits), Some(len)) if bits % 8 == 0 && bits / 8 == len => {}
            _ => {
                let detail = format!("{name}: its type and shape do not make the bytes it claims");
                self.report(Rule::TensorLayout, detail);
            }
        }
        // Tensors without elements may lie anywhere.
        if begin != end {
            self.spans.push((begin, end));
        }
    }
}

/// Bits of an element.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        "C128" => 128,
        _ => return None,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// How many elements, `None` if that is no number of 64 bits. The dimensions are not kept, as there may be
/// any number of them.
#[derive(Debug)]
struct Shape(Option<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Product;
        impl<'de> Visitor<'de> for Product {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut dimensions: A) -> Result<Shape, A::Error> {
                let mut product = Some(1_u64);
                while let Some(dimension) = dimensions.next_element::<u64>()? {
                    product = product.and_then(|product| product.checked_mul(dimension));
                }
                Ok(Shape(product))
            }
        }
        deserializer.deserialize_seq(Product)
    }
}

impl<'de> Visitor<'de> for &mut Header {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            if !self.seen.insert(hasher.finish()) {
                self.report(Rule::DuplicateKey, name.clone());
            }
            if name == "__metadata__" {
                map.next_value_seed(Metadata(self))?;
            } else {
                let tensor = map.next_value()?;
                self.tensor(&name, &tensor);
            }
        }
        Ok(())
    }
}

/// `__metadata__`: texts by name.
struct Metadata<'h>(&'h mut Header);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if map.next_value_seed(Text { key: &key, header: self.0 })?.is_none() {
                self.0.report(Rule::TensorMetadata, format!("{key} is no text"));
            }
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                self.0.report(Rule::DuplicateKey, format!("__metadata__.{key}"));
            }
        }
        Ok(())
    }
}

/// One value of the metadata, which should be a text.
struct Text<'k, 'h> {
    key: &'k str,
    header: &'h mut Header,
}

impl<'de> DeserializeSeed<'de> for Text<'_, '_> {
    type Value = Option<()>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_, '_> {
    type Value = Option<()>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let lower = text.to_ascii_lowercase();
        if let Some(found) = SUSPICIOUS.iter().find(|pattern| lower.contains(*pattern)) {
            self.header.report(Rule::TensorMetadata, format!("{} has `{found}`", self.key));
        }
        Ok(Some(()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted_without_overflow() {
        let shape = |text: &str| serde_json::from_str::<Shape>(text).map(|shape| shape.0).ok();
        assert_eq!(shape("[2, 3]"), Some(Some(6)));
        assert_eq!(shape("[]"), Some(Some(1)));
        assert_eq!(shape("[4294967296, 4294967296]"), Some(None));
        assert_eq!(shape("[-1]"), None);
    }
}
