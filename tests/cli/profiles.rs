//! `show` prints what the files of a version say about themselves.

use std::fs;

use serde_json::{Value, json};
use tidegate::registry::Digest;

use super::desk::{Desk, files};

/// Gives `m@1.0.0` the profile that its publisher would have read in its files.
fn profiled(profile: &Value) -> Desk {
    let desk = Desk::published();
    let directory = desk.path("registry/models/m");
    let (path, document) = files(&directory.join("manifests")).remove(0);
    let mut document: Value = serde_json::from_slice(&document).expect("a document");
    document["manifest"]["profile"] = profile.clone();
    let document = document.to_string();
    let digest = Digest::of(&document);
    fs::remove_file(path).expect("a writable registry");
    fs::write(directory.join(format!("manifests/{}.json", digest.hex())), document)
        .expect("a writable registry");
    let (path, record) = files(&directory.join("log")).remove(0);
    let mut record: Value = serde_json::from_slice(&record).expect("a record");
    record["facts"][0]["publish"]["manifest"] = json!(digest);
    fs::remove_file(&path).expect("a writable registry");
    fs::write(path, record.to_string()).expect("a writable registry");
    desk
}

#[test]
fn a_published_file_says_what_is_in_it() {
    let desk = Desk::new();
    let header = r#"{"w":{"dtype":"BF16","shape":[40,30],"data_offsets":[0,2400]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 2400]].concat();
    desk.write("model/model.safetensors", &bytes);
    desk.write("model/config.json", br#"{"architectures": ["BertModel"], "model_type": "bert"}"#);
    desk.run(&["publish", "m@1.0.0", "model"]).is(0);
    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    let lines = [
        "format        safetensors",
        "architecture  BertModel (family bert)",
        "parameters    1.2 K",
        "data types    BF16 1.2 K",
    ];
    for line in lines {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is missing: {shown}");
    }
    assert_eq!(desk.json(&["show", "m@1.0.0"])["manifest"]["profile"]["parameters"], 1200);
}

#[test]
fn a_profile_is_shown_a_line_a_fact() {
    let profile = json!({
        "formats": ["safetensors"],
        "architecture": "LlamaForCausalLM",
        "family": "llama",
        "parameters": 134_515_008,
        "dtypes": { "BF16": 134_000_000, "F32": 515_008 },
        "quantization": "gptq 4-bit",
        "tokenizer": { "model": "BPE", "vocabulary": 49_152 },
        "contextLength": 8192,
        "onnx": { "irVersion": 10, "opsets": { "ai.onnx": 21 }, "producer": "pytorch 2.9", "external": ["w.data"] },
        "notes": ["extra.bin cannot be read"],
    });
    let desk = profiled(&profile);
    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    let lines = [
        "format        safetensors",
        "architecture  LlamaForCausalLM (family llama)",
        "parameters    134.5 M",
        "data types    BF16 134.0 M, F32 515.0 K",
        "quantization  gptq 4-bit",
        "context       8192 tokens",
        "tokenizer     BPE, 49152 tokens",
        "runtime       ONNX IR 10, ai.onnx 21, written by pytorch 2.9",
        "weights in    w.data",
        "note          extra.bin cannot be read",
    ];
    for line in lines {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is missing: {shown}");
    }
    assert_eq!(desk.json(&["show", "m@1.0.0"])["manifest"]["profile"], profile);
}

#[test]
fn amounts_are_cut_off_and_control_characters_left_out() {
    for (parameters, text) in [
        (0_u64, "0"),
        (999, "999"),
        (999_999, "999.9 K"),
        (7_241_732_096, "7.2 B"),
        (u64::MAX, "18446744.0 T"),
    ] {
        let desk = profiled(&json!({ "architecture": "a\u{1b}[2Jb", "parameters": parameters }));
        let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
        assert!(shown.lines().any(|line| line == format!("parameters    {text}")), "{text}: {shown}");
        assert!(shown.contains("a [2Jb") && !shown.contains('\u{1b}'), "{shown:?}");
        assert!(!shown.contains("tokenizer"), "what is not known is left out: {shown}");
    }
}
