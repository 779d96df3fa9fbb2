//! What files say about themselves, read from what other programs wrote.
//!
//! The files below `tests/profile` come from `tests/profile/generate.py`, which writes each with the
//! library that defines its format.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path, time::UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_registry::{Card, Digest, File, FilePath, Inspector, Manifest, Profile, Stamp};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/profile");

const GOLDENS: [&str; 11] = [
    "big.gguf",
    "bpe.tokenizer.json",
    "config.json",
    "inline.onnx",
    "little.gguf",
    "mixed.safetensors",
    "outside.onnx",
    "shard-00001-of-00002.safetensors",
    "shard-00002-of-00002.safetensors",
    "tokenizer_config.json",
    "unigram.tokenizer.json",
];

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(GOLDEN).join(name)).unwrap()
}

/// The name under which a version has what is called `name` among the goldens.
fn published(name: &str) -> FilePath {
    if name.ends_with("tokenizer.json") { "tokenizer.json" } else { name }.parse().unwrap()
}

/// What `files` say together, each fed in blocks of these sizes, over and over.
fn profile<'a>(
    files: impl IntoIterator<Item = (FilePath, impl AsRef<[u8]> + 'a)>,
    sizes: &[usize],
) -> Profile {
    let mut readings = Vec::new();
    for (path, bytes) in files {
        let mut inspector = Inspector::new(&path);
        let mut bytes = bytes.as_ref();
        let mut sizes = sizes.iter().cycle();
        while !bytes.is_empty() {
            let (block, rest) = bytes.split_at(bytes.len().min(*sizes.next().unwrap()));
            inspector.feed(block);
            bytes = rest;
        }
        readings.extend(inspector.finish());
    }
    Profile::of(readings)
}

fn whole(files: &[(&str, &str)]) -> Value {
    let files = files.iter().map(|(name, path)| (path.parse().unwrap(), golden(name)));
    serde_json::to_value(profile(files, &[1 << 20])).unwrap()
}

fn one(path: &str, bytes: &[u8]) -> Profile {
    profile([(path.parse().unwrap(), bytes)], &[1 << 20])
}

fn note(path: &str, bytes: &[u8]) -> String {
    let profile = one(path, bytes);
    assert_eq!(profile.notes.len(), 1, "{profile:?}");
    assert_eq!(profile, {
        let mut only = Profile::default();
        only.notes = profile.notes.clone();
        only
    });
    profile.notes[0].clone()
}

#[test]
fn safetensors_are_read() {
    let expected = json!({
        "formats": ["safetensors"],
        "parameters": 96 * 16 * 2 + 16 + 1,
        "dtypes": {"BF16": 1536, "F16": 16, "F32": 1536, "I64": 1},
    });
    assert_eq!(whole(&[("mixed.safetensors", "model.safetensors")]), expected);
}

#[test]
fn the_files_beside_them_say_the_rest() {
    let expected = json!({
        "formats": ["safetensors"],
        "architecture": "LlamaForCausalLM",
        "family": "llama",
        "parameters": 192,
        "dtypes": {"F8_E4M3": 192},
        "quantization": "gptq 4-bit",
        "tokenizer": {"model": "BPE", "vocabulary": 61},
        "contextLength": 8192,
    });
    let files = [
        ("shard-00001-of-00002.safetensors", "shard-00001-of-00002.safetensors"),
        ("shard-00002-of-00002.safetensors", "shard-00002-of-00002.safetensors"),
        ("config.json", "config.json"),
        ("bpe.tokenizer.json", "tokenizer.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ];
    assert_eq!(whole(&files), expected);

    let files =
        [("shard-00001-of-00002.safetensors", "a.safetensors"), ("unigram.tokenizer.json", "tokenizer.json")];
    let expected = json!({
        "formats": ["safetensors"],
        "parameters": 128,
        "dtypes": {"F8_E4M3": 128},
        "quantization": "F8_E4M3",
        "tokenizer": {"model": "Unigram", "vocabulary": 34},
    });
    assert_eq!(whole(&files), expected);

    let files = [("tokenizer_config.json", "tokenizer_config.json"), ("config.json", "config.json")];
    let expected = json!({
        "architecture": "LlamaForCausalLM",
        "family": "llama",
        "quantization": "gptq 4-bit",
        "tokenizer": {"model": "LlamaTokenizer", "vocabulary": 128_256},
        "contextLength": 8192,
    });
    assert_eq!(whole(&files), expected);
}

#[test]
fn gguf_is_read_in_both_byte_orders() {
    let expected = json!({
        "formats": ["gguf"],
        "architecture": "llama",
        "family": "llama",
        "parameters": 8 * 256 + 4 * 256 + 256,
        "dtypes": {"F32": 256, "Q4_K": 2048, "Q6_K": 1024},
        "quantization": "Q4_K_M",
        "tokenizer": {"model": "gpt2", "vocabulary": 300},
        "contextLength": 4096,
    });
    assert_eq!(whole(&[("little.gguf", "tiny.gguf")]), expected);
    assert_eq!(whole(&[("big.gguf", "tiny.gguf")]), expected);
    assert_eq!(whole(&[("little.gguf", "blobs/sha256-abc")]), expected, "under any name");
}

#[test]
fn onnx_is_read() {
    let expected = json!({
        "formats": ["onnx"],
        // w, t in a branch, the values of s, packed; q.
        "parameters": 64 * 32 + 3 + 5 + 4 + 16 * 8,
        "dtypes": {"F16": 4, "F32": 64 * 32 + 3 + 5, "I8": 128},
        "onnx": {"irVersion": 10, "opsets": {"ai.onnx": 21, "com.microsoft": 1}, "producer": "generate.py 1.2"},
    });
    assert_eq!(whole(&[("inline.onnx", "model.onnx")]), expected);

    let outside = whole(&[("outside.onnx", "onnx/model.onnx")]);
    assert_eq!(outside["parameters"], 512);
    assert_eq!(outside["onnx"]["external"], json!(["outside.onnx_data"]));
}

#[test]
fn weights_that_are_there_twice_are_counted_once() {
    let files = [
        ("little.gguf", "model-Q4_K_M.gguf"),
        ("big.gguf", "model-Q4_K_M.big.gguf"),
        ("little.gguf", "draft/model.gguf"),
        ("inline.onnx", "model.onnx"),
    ];
    let twice = whole(&files);
    assert_eq!(twice["formats"], json!(["gguf", "onnx"]));
    assert_eq!(twice["parameters"], 2 * 3328);
    assert_eq!(
        twice["notes"],
        json!(["model-Q4_K_M.gguf holds the same weights as model-Q4_K_M.big.gguf; they are counted once"])
    );
}

#[test]
fn graphs_in_several_precisions_are_counted_once() {
    let graphs = [
        ("inline.onnx", "onnx/model.onnx"),
        ("outside.onnx", "onnx/model_q4.onnx"),
        ("outside.onnx", "onnx/decoder.onnx"),
        ("inline.onnx", "onnx/parts/model_q4.onnx"),
    ];
    let once = whole(&graphs);
    let notes = ["onnx/model_q4.onnx holds the same weights as onnx/model.onnx; they are counted once"];
    assert_eq!((&once["parameters"], &once["notes"]), (&json!(2188 + 512 + 2188), &json!(notes)));
}

#[test]
fn of_several_configurations_the_nearest_speaks() {
    let component = br#"{"model_type": "clip_text_model"}"#;
    let file = |path: &str, bytes: &[u8]| (path.parse::<FilePath>().unwrap(), bytes.to_vec());
    let parts = [file("text_encoder/config.json", component), file("unet/config.json", b"{\"n_ctx\": 5}")];
    assert!(profile(parts.clone(), &[64]).is_empty(), "none of them is that of the whole");
    let parts = parts.into_iter().chain([file("config.json", br#"{"model_type": "pipeline"}"#)]);
    assert_eq!(profile(parts, &[64]).architecture.unwrap(), "pipeline");
}

#[test]
fn damage_is_noted() {
    let mixed = golden("mixed.safetensors");
    assert_eq!(
        note("a.safetensors", &mixed[..mixed.len() - 1]),
        "a.safetensors is not readable as safetensors: it has 9695 bytes, and by its header 9696"
    );
    assert!(note("a.safetensors", &mixed[..100]).ends_with("it ends in the middle of its header"));
    assert!(note("a.safetensors", b"").ends_with("it ends in the middle of its header"));
    assert!(note("a.safetensors", b"\xff\xff\xff\xff\0\0\0\0{}").contains("100 MB"));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    assert!(note("a.gguf", pointer).contains("git lfs pull"));
    let gguf = golden("little.gguf");
    assert!(note("a.gguf", &gguf[..gguf.len() - 64]).contains("it has 13824 bytes, and by its header"));
    assert!(note("a.gguf", &gguf[..4000]).ends_with("it ends in the middle of its header"));
    assert!(note("a.gguf", b"GGUF\x01\0\0\0").contains("version 1"));
    let onnx = golden("inline.onnx");
    assert!(note("a.onnx", &onnx[..onnx.len() - 1]).contains("ends in the middle"));
    assert!(note("a.onnx", b"").contains("no graph"));
    assert!(note("config.json", b"[1]").contains("does not begin with {"));
    assert!(note("config.json", b"{\"a\": 01}").contains("not valid JSON"));
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(note("config.json", deep.as_bytes()).contains("64 levels"));
}

#[test]
fn a_header_that_lies_is_refused() {
    let of = |header: &str, data: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.resize(file.len() + data, 0);
        note("a.safetensors", &file)
    };
    let tensor = |shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert!(of(&tensor("[2]", "[0,4]"), 4).contains("is not as long as its shape says"));
    assert!(of(&tensor("[1]", "[4,0]"), 4).contains("ends before it begins"));
    assert!(of(&tensor("[4294967296,4294967296,16]", "[0,4]"), 4).contains("64 bits"));
    assert!(of(&tensor("[1]", "[4,8]"), 8).contains("between them"));
    assert!(of(&tensor("[1]", "[0,4,8]"), 8).contains("more than two offsets"));
    assert!(of(&tensor("[-1]", "[0,4]"), 4).contains("is not a number from 0"));
    assert!(of(r#"{"t":1}"#, 0).contains("not a tensor"));
    assert!(of(r#"{"t":{"dtype":"F32"}}"#, 0).contains("has no dtype, shape or offsets"));
    assert!(of("{}x", 0).contains("follows the end"));
}

#[test]
fn there_are_few_notes_and_short_ones() {
    let path = |n| format!("{}{n:03}.gguf", "long/".repeat(100)).parse::<FilePath>().unwrap();
    let notes = profile((0..100).map(|n| (path(n), b"no")), &[9]).notes;
    assert_eq!((notes.len(), notes[15].as_str()), (16, "and 85 more"));
    assert!(notes.iter().all(|note| note.chars().count() <= 256));
}

#[test]
fn other_files_say_nothing() {
    for (path, bytes) in [
        ("README.md", "# A model"),
        ("generate.py", "import onnx"),
        ("other.json", "{"),
        ("note.txt", "GGUF files of a model"),
        ("empty", ""),
    ] {
        assert!(one(path, bytes.as_bytes()).is_empty(), "{path}");
    }
}

#[test]
fn a_manifest_carries_it() {
    let bytes = golden("little.gguf");
    let digest = Digest::of(&bytes);
    let path: FilePath = "tiny.gguf".parse().unwrap();
    let file = File { path, size: bytes.len() as u64, digest, parts: vec![digest] };
    let stamp = Stamp { by: "ci".to_owned(), at: UNIX_EPOCH };
    let bare = Manifest::new("tiny@1.0.0".parse().unwrap(), vec![file], stamp, Card::default());
    let full = bare.clone().with_profile(one("tiny.gguf", &bytes));
    assert_eq!((bare.digest, bare.size), (full.digest, full.size), "it is no part of the identity");
    assert_eq!(bare, bare.clone().with_profile(Profile::default()), "nothing said is nothing written");

    let mut written = serde_json::to_value(&full).unwrap();
    assert_eq!(written["profile"]["contextLength"], 4096);
    assert_eq!(serde_json::from_value::<Manifest>(written.clone()).unwrap(), full);
    written["profile"]["somethingOfLater"] = json!([1]);
    assert_eq!(serde_json::from_value::<Manifest>(written.clone()).unwrap(), full);
    written.as_object_mut().unwrap().remove("profile");
    assert_eq!(written, serde_json::to_value(&bare).unwrap(), "as it was written before there were profiles");
    assert_eq!(serde_json::from_value::<Manifest>(written).unwrap(), bare);
}

#[tokio::test]
async fn files_at_rest_are_read() {
    let directory = tempfile::tempdir().unwrap();
    for name in GOLDENS {
        let path = published(name).below(directory.path());
        fs::copy(Path::new(GOLDEN).join(name), path).unwrap();
    }
    let fed = GOLDENS.iter().map(|name| (published(name), golden(name)));
    let fed: BTreeMap<_, _> = fed.collect();
    let rest = Profile::of_directory(directory.path()).await.unwrap();
    assert_eq!(rest, profile(fed, &[1 << 20]));
    assert_eq!(rest.formats.len(), 3);
}

#[test]
fn of_a_large_file_at_rest_only_the_header_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let header = r#"{"t":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}"#;
    let path = directory.path().join("a.safetensors");
    let head = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    fs::write(&path, &head).unwrap();
    // A tebibyte of nothing, which would take minutes to read.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len((1 << 40) + head.len() as u64).unwrap();
    let profile = Profile::of_files(directory.path(), ["a.safetensors".parse().unwrap()]).unwrap();
    assert_eq!(profile.parameters, Some(1 << 40));
}

fn any_golden() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop::sample::select(&GOLDENS[..]).prop_map(|name| (name, golden(name)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_blocks_give_the_same((name, bytes) in any_golden(), sizes in prop::collection::vec(1_usize..600, 1..20)) {
        let path = published(name);
        let at_once = profile([(path.clone(), &bytes)], &[bytes.len()]);
        prop_assert!(at_once.notes.is_empty() && !at_once.is_empty());
        prop_assert_eq!(profile([(path, &bytes)], &sizes), at_once);
    }

    #[test]
    fn whatever_is_damaged_is_survived(
        (name, mut bytes) in any_golden(),
        length in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        sizes in prop::collection::vec(1_usize..600, 1..20),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len().min(2000));
            bytes[at] = byte;
        }
        bytes.truncate(length.index(bytes.len()) + 1);
        let path = published(name);
        let at_once = profile([(path.clone(), &bytes)], &[bytes.len()]);
        prop_assert_eq!(profile([(path, &bytes)], &sizes), at_once);
    }

    #[test]
    fn anything_at_all_is_survived(
        name in prop::sample::select(&["a.gguf", "a.onnx", "a.safetensors", "config.json", "tokenizer.json", "a"][..]),
        head in prop::sample::select(vec![&b""[..], b"GGUF\x03\0\0\0", b"\x40\0\0\0\0\0\0\0{", b"\x08\x0a\x3a", b"{"]),
        body in prop::collection::vec(any::<u8>(), 0..400),
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let bytes = [head, &body].concat();
        let path: FilePath = name.parse().unwrap();
        let at_once = profile([(path.clone(), &bytes)], &[1 << 20]);
        prop_assert_eq!(profile([(path, &bytes)], &sizes), at_once);
    }
}
