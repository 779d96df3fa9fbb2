//! safetensors and GGUF. `files/` comes from their own libraries: see `formats.py`.

use tidegate_validation::{
    Verdict,
    scan::{Content, Rule},
};

use crate::{assert_clean, assert_fails, assert_suspicious, rules, scan};

const SAFETENSORS: &[u8] = include_bytes!("files/plain.safetensors");
const LITTLE: &[u8] = include_bytes!("files/little.gguf");
const BIG: &[u8] = include_bytes!("files/big.gguf");

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

#[test]
fn what_the_libraries_write_is_clean() {
    for (file, content) in
        [(SAFETENSORS, Content::Safetensors), (LITTLE, Content::Gguf), (BIG, Content::Gguf)]
    {
        let found = scan(file);
        assert_eq!((found.content, &found.verdict), (content, &Verdict::Pass), "{found:#?}");
        assert!(found.detections.is_empty(), "{found:#?}");
    }
}

#[test]
fn cut_anywhere_they_are_not_clean() {
    for (file, known) in [(SAFETENSORS, 9), (LITTLE, 4), (BIG, 4)] {
        for len in known..file.len() {
            // What pads the last tensor may be missing.
            if file != SAFETENSORS && file[len..].iter().all(|&byte| byte == 0) && file.len() - len < 32 {
                continue;
            }
            assert_ne!(scan(&file[..len]).verdict, Verdict::Pass, "{len} of {}", file.len());
        }
    }
}

#[test]
fn lengths_of_a_header_are_not_believed() {
    let mut file = SAFETENSORS.to_vec();
    file[..8].copy_from_slice(&100_000_001_u64.to_le_bytes());
    assert_suspicious(&file, Rule::Malformed);
    file[..8].copy_from_slice(&99_999_999_u64.to_le_bytes());
    assert_suspicious(&file, Rule::Malformed);
}

#[test]
fn a_header_is_an_object_of_tensors_with_each_key_once() {
    let tensor = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert_clean(safetensors(&format!(r#"{{"a":{tensor}}}"#), 4));
    assert_clean(safetensors(&format!(r#"{{"a":{tensor}}}   "#), 4));
    assert_suspicious(safetensors(&format!(r#"{{"a":{tensor},"a":{tensor}}}"#), 4), Rule::DuplicateKey);
    let twice = r#"{"a":{"dtype":"F32","dtype":"I8","shape":[1],"data_offsets":[0,4]}}"#;
    assert_suspicious(safetensors(twice, 4), Rule::Malformed);
    for bad in ["{", "{}x", r#"{"a":1}"#, r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#] {
        assert_suspicious(safetensors(bad, 4), Rule::Malformed);
    }
}

#[test]
fn tensors_lie_side_by_side_and_fill_the_file() {
    let two = |first: &str, second: &str| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":{first}}},"b":{{"dtype":"F32","shape":[1],"data_offsets":{second}}}}}"#
        )
    };
    assert_clean(safetensors(&two("[0,4]", "[4,8]"), 8));
    assert_clean(safetensors(&two("[4,8]", "[0,4]"), 8));
    for (header, data) in [
        (two("[0,4]", "[0,4]"), 4),
        (two("[0,4]", "[2,6]"), 6),
        (two("[0,4]", "[8,12]"), 12),
        (two("[0,4]", "[4,8]"), 9),
        (two("[0,4]", "[4,8]"), 7),
        (two("[0,4]", "[8,4]"), 8),
        (two("[0,4]", "[4,9]"), 9),
        (two("[0,4]", "[18446744073709551612,18446744073709551615]"), 8),
    ] {
        assert_suspicious(safetensors(&header, data), Rule::TensorLayout);
    }
    let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#;
    assert_suspicious(safetensors(huge, 0), Rule::TensorLayout);
    let unknown = r#"{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,1]}}"#;
    assert_suspicious(safetensors(unknown, 1), Rule::TensorLayout);
}

#[test]
fn notes_are_texts_without_code_or_addresses() {
    assert_clean(safetensors(r#"{"__metadata__":{"format":"pt","a":"b"}}"#, 0));
    for bad in [r#"{"a":1}"#, r#"{"a":{"b":"c"}}"#, r#"{"a":["b"]}"#, r#"{"a":null}"#] {
        let file = safetensors(&format!(r#"{{"__metadata__":{bad}}}"#), 0);
        assert_suspicious(file, Rule::TensorMetadata);
    }
    for bad in ["see HTTPS://evil.example", "import os; os.system('id')", "<script>", "eval(x)"] {
        let file = safetensors(&format!(r#"{{"__metadata__":{{"a":"{bad}"}}}}"#), 0);
        assert_suspicious(file, Rule::TensorMetadata);
    }
}

/// A GGUF file in the making, of the third version and little-endian.
#[derive(Clone)]
struct Gguf {
    version: u32,
    tensors: Vec<u8>,
    tensor_count: u64,
    keys: Vec<u8>,
    key_count: u64,
    data: usize,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    fn new() -> Self {
        Self { version: 3, tensors: Vec::new(), tensor_count: 0, keys: Vec::new(), key_count: 0, data: 0 }
    }

    fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.extend([&*string(name), &kind.to_le_bytes(), value].concat());
        self.key_count += 1;
        self
    }

    /// A tensor of 32 bit floats in one dimension.
    fn tensor(mut self, name: &str, elements: u64, offset: u64) -> Self {
        self.tensors.extend(string(name));
        self.tensors.extend(1_u32.to_le_bytes());
        self.tensors.extend(elements.to_le_bytes());
        self.tensors.extend(0_u32.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    fn data(mut self, len: usize) -> Self {
        self.data = len;
        self
    }

    fn finish(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(self.tensor_count.to_le_bytes());
        file.extend(self.key_count.to_le_bytes());
        file.extend(&self.keys);
        file.extend(&self.tensors);
        file.resize(file.len().next_multiple_of(32) + self.data, 0);
        file
    }
}

#[test]
fn counts_and_lengths_of_gguf_are_not_believed() {
    assert_clean(Gguf::new().key("a", 4, &[0; 4]).tensor("t", 8, 0).data(32).finish());
    let huge = u64::MAX.to_le_bytes();
    for place in [8, 16, 24] {
        let mut file = Gguf::new().key("a", 4, &[0; 4]).finish();
        file[place..place + 8].copy_from_slice(&huge);
        assert_suspicious(&file, Rule::Malformed);
    }
    assert_suspicious(Gguf::new().key("a", 8, &huge).finish(), Rule::Malformed);
    let array = [&4_u32.to_le_bytes(), huge.as_slice()].concat();
    assert_suspicious(Gguf::new().key("a", 9, &array).finish(), Rule::Malformed);
    assert_suspicious(Gguf::new().key("a", 13, &[]).finish(), Rule::Malformed);
    for version in [0, 4, 4 << 24] {
        assert_suspicious(Gguf { version, ..Gguf::new() }.finish(), Rule::Malformed);
    }
    let mut many = Gguf::new();
    (many.key_count, many.data) = (1 << 21, 4 << 20);
    assert_suspicious(many.finish(), Rule::LimitReached);
}

#[test]
fn arrays_of_gguf_nest_only_so_deep() {
    let nested = |depth: usize| {
        let mut value = [&4_u32.to_le_bytes(), 0_u64.to_le_bytes().as_slice()].concat();
        for _ in 1..depth {
            value = [&9_u32.to_le_bytes(), 1_u64.to_le_bytes().as_slice(), &value].concat();
        }
        Gguf::new().key("a", 9, &value).finish()
    };
    assert_clean(nested(2));
    assert_suspicious(nested(5), Rule::Malformed);
    assert_suspicious(nested(100_000), Rule::Malformed);
}

#[test]
fn the_alignment_is_a_power_of_two() {
    let aligned = |kind: u32, to: &[u8]| Gguf::new().key("general.alignment", kind, to).finish();
    assert_clean(aligned(4, &64_u32.to_le_bytes()));
    for bad in [0_u32, 3, u32::MAX] {
        assert_suspicious(aligned(4, &bad.to_le_bytes()), Rule::Malformed);
    }
    assert_suspicious(aligned(0, &[32]), Rule::Malformed);
}

#[test]
fn tensors_of_gguf_lie_within_the_file_and_apart() {
    let good = Gguf::new().tensor("a", 8, 0).tensor("b", 8, 32).data(64);
    assert_clean(good.finish());
    assert_suspicious(good.clone().data(63).finish(), Rule::Malformed);
    assert_suspicious(good.clone().data(128).finish(), Rule::TensorLayout);
    assert_suspicious(good.tensor("a", 8, 64).data(96).finish(), Rule::DuplicateKey);
    let bad = [("b", 8, 0), ("b", 8, 16), ("b", 8, 1024), ("b", u64::MAX, 32), ("b", 8, !31)];
    for (name, elements, offset) in bad {
        let file = Gguf::new().tensor("a", 8, 0).tensor(name, elements, offset).data(64).finish();
        assert_ne!(scan(&file).verdict, Verdict::Pass, "{elements} at {offset}");
    }
    assert_suspicious(Gguf::new().key("a", 4, &[0; 4]).key("a", 4, &[0; 4]).finish(), Rule::DuplicateKey);
}

#[test]
fn templates_of_gguf_are_read() {
    let evil = string("{{ ''.__class__.__mro__ }}");
    assert_fails(Gguf::new().key("tokenizer.chat_template", 8, &evil).finish(), Rule::JinjaEscape);
    assert_fails(Gguf::new().key("tokenizer.chat_template.tools", 8, &evil).finish(), Rule::JinjaEscape);
    let array = [&8_u32.to_le_bytes(), 1_u64.to_le_bytes().as_slice(), &evil].concat();
    assert_fails(Gguf::new().key("tokenizer.chat_template", 9, &array).finish(), Rule::JinjaEscape);
    // The first version has lengths of 32 bits.
    let mut old = b"GGUF".to_vec();
    for number in [1_u32, 0, 1, 23] {
        old.extend(number.to_le_bytes());
    }
    old.extend(b"tokenizer.chat_template");
    old.extend(8_u32.to_le_bytes());
    old.extend((evil.len() as u32 - 8).to_le_bytes());
    old.extend(&evil[8..]);
    assert_fails(&old, Rule::JinjaEscape);
    assert!(rules(LITTLE).is_empty());
}

#[test]
fn a_key_with_very_many_templates_takes_little_room() {
    let empty = string("").repeat(200_000);
    let array = [&8_u32.to_le_bytes(), 200_000_u64.to_le_bytes().as_slice(), &empty].concat();
    let key = format!("tokenizer.chat_template.{}", "x".repeat(60_000));
    assert_suspicious(Gguf::new().key(&key, 9, &array).finish(), Rule::LimitReached);
}
