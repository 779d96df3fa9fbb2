//! What the files of a version say about themselves, as people read it.

use std::collections::BTreeMap;

use tidegate::registry::{Onnx, Profile, Tokenizer};

use crate::words::amount;

/// A name and what is known, a line each; what is not known is left out.
pub(crate) fn lines(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut say = |name, text: Option<String>| lines.extend(text.map(|text| (name, text)));
    say("format", joined(profile.formats.iter().cloned()));
    say("architecture", architecture(profile));
    say("parameters", profile.parameters.map(amount));
    say("data types", dtypes(&profile.dtypes));
    say("quantization", profile.quantization.clone());
    say("context", profile.context_length.map(|tokens| format!("{tokens} tokens")));
    say("tokenizer", tokenizer(&profile.tokenizer));
    say("runtime", runtime(&profile.onnx));
    say("weights in", joined(profile.onnx.external.iter().cloned()));
    for note in &profile.notes {
        say("note", Some(note.clone()));
    }
    lines
}

fn architecture(profile: &Profile) -> Option<String> {
    match (&profile.architecture, &profile.family) {
        (Some(architecture), Some(family)) if architecture != family => {
            Some(format!("{architecture} (family {family})"))
        }
        (architecture, family) => architecture.clone().or_else(|| family.clone()),
    }
}

/// The most frequent first.
fn dtypes(dtypes: &BTreeMap<String, u64>) -> Option<String> {
    let mut dtypes: Vec<_> = dtypes.iter().collect();
    dtypes.sort_by_key(|(_, parameters)| std::cmp::Reverse(**parameters));
    joined(dtypes.into_iter().map(|(dtype, parameters)| format!("{dtype} {}", amount(*parameters))))
}

fn tokenizer(tokenizer: &Tokenizer) -> Option<String> {
    let vocabulary = tokenizer.vocabulary.map(|tokens| format!("{tokens} tokens"));
    joined(tokenizer.model.iter().cloned().chain(vocabulary))
}

fn runtime(onnx: &Onnx) -> Option<String> {
    let version = onnx.ir_version.map(|version| format!("ONNX IR {version}"));
    let opsets = onnx.opsets.iter().map(|(domain, version)| format!("{domain} {version}"));
    let producer = onnx.producer.iter().map(|producer| format!("written by {producer}"));
    joined(version.into_iter().chain(opsets).chain(producer))
}

fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { None } else { Some(parts.join(", ")) }
}
