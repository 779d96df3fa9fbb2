//! However large and however hostile a file is, reading it takes little memory. Alone in its process,
//! because it looks at the memory of the process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use tidegate_registry::{Inspector, Profile};

/// The most memory that this process had so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Feeds `head`, then `block` so often that there are `size` bytes of it, then `tail`.
fn feed(path: &str, head: &[u8], block: &[u8], size: usize, tail: &[u8]) -> Profile {
    let mut inspector = Inspector::new(&path.parse().unwrap());
    inspector.feed(head);
    for _ in 0..size / block.len() {
        inspector.feed(block);
    }
    inspector.feed(tail);
    Profile::of(inspector.finish())
}

#[test]
fn headers_without_end_take_no_memory() {
    const SIZE: usize = 12 << 20;
    let gguf = |pairs: u64, tensors: u64| {
        [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &pairs.to_le_bytes()].concat()
    };
    let key = |name: &str, kind: &[u8]| [&(name.len() as u64).to_le_bytes(), name.as_bytes(), kind].concat();
    // The process reaches what the test itself needs before it is measured.
    let strings = [&8_u64.to_le_bytes()[..], b"12345678"].concat().repeat(4096);
    let texts = "x".repeat(1 << 16);
    let before = peak();

    // A name, a header of many tensors, and metadata of up to 100 MB.
    let prefix = [&(SIZE as u64).to_le_bytes()[..], b"{\""].concat();
    feed("a.safetensors", &prefix, texts.as_bytes(), SIZE, b"");
    let tensor = br#"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},""#;
    feed("a.safetensors", &prefix, tensor, SIZE, b"");
    let prefix = [&(SIZE as u64).to_le_bytes()[..], br#"{"__metadata__":{"a":""#].concat();
    feed("a.safetensors", &prefix, texts.as_bytes(), SIZE, b"");

    // A vocabulary of millions, arrays in arrays, and a string of 2^64 bytes.
    let mut head = gguf(1, 0);
    head.extend(key("tokenizer.ggml.tokens", &[9, 0, 0, 0, 8, 0, 0, 0]));
    head.extend(((SIZE / 16) as u64).to_le_bytes());
    let profile = feed("a.gguf", &head, &strings, SIZE, b"");
    assert_eq!(profile.tokenizer.vocabulary, Some((SIZE / 16) as u64));
    let mut head = gguf(u64::MAX, 0);
    head.extend(key("x", &[9, 0, 0, 0]));
    let array = [&9_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    feed("a.gguf", &head, &array, SIZE, b"");
    let mut head = gguf(1, 0);
    head.extend(key("general.architecture", &[8, 0, 0, 0]));
    head.extend(u64::MAX.to_le_bytes());
    feed("a.gguf", &head, texts.as_bytes(), SIZE, b"");

    // Weights inline, and the name of a file without end.
    let length = |field: u8, length: usize| {
        let mut bytes = vec![field << 3 | 2];
        let mut left = length;
        while left > 0x7f {
            bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    };
    for (field, inner) in [(9, Vec::new()), (13, length(2, SIZE))] {
        let raw = length(field, inner.len() + SIZE);
        let tensor = length(5, raw.len() + inner.len() + SIZE);
        let graph = length(7, tensor.len() + raw.len() + inner.len() + SIZE);
        let head = [&[8, 10][..], &graph, &tensor, &raw, &inner].concat();
        let profile = feed("a.onnx", &head, texts.as_bytes(), SIZE, b"");
        assert_eq!(profile.parameters, Some(1), "{profile:?}");
    }

    // Settings that go on, and a vocabulary of millions.
    let profile = feed("config.json", b"{\"a\":\"", texts.as_bytes(), SIZE, b"\"}");
    assert!(profile.notes[0].contains("larger than 4 MiB"));
    let head = br#"{"model":{"type":"BPE","vocab":{"a":0"#;
    let entry = br#","token":123456"#;
    let profile = feed("tokenizer.json", head, entry, SIZE, b"}}}");
    assert_eq!(profile.tokenizer.vocabulary, Some((SIZE / entry.len()) as u64 + 1));

    let grown = peak() - before;
    assert!(grown < 2 << 10, "{grown} KiB more");
}
