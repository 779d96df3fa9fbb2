//! What kind of file a layer is, and the configuration that describes the model.
//!
//! <https://github.com/modelpack/model-spec/blob/main/docs/config.md>

use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Digest, FilePath, Manifest};

pub(super) const CODE: &str = "application/vnd.cncf.model.code.v1.raw";
pub(super) const CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
pub(super) const DATASET: &str = "application/vnd.cncf.model.dataset.v1.raw";
pub(super) const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
pub(super) const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";

/// Whether a layer of this type is a file as it is, and not an archive.
pub(super) fn is_raw(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.cncf.model.") && media_type.ends_with(".raw")
}

/// The media type of a file, guessed from its name as ModelPack's own tool does; what says nothing is
/// weights.
pub(super) fn of(path: &FilePath) -> &'static str {
    let name = path.as_str().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if ["license", "notice", "readme"].iter().any(|doc| name.starts_with(doc)) {
        return DOC;
    }
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "md" | "pdf" | "rst" => DOC,
        "ini" | "jinja" | "json" | "model" | "tiktoken" | "toml" | "txt" | "xml" | "yaml" | "yml" => CONFIG,
        "c" | "cpp" | "cu" | "h" | "ipynb" | "js" | "py" | "rs" | "sh" => CODE,
        "arrow" | "csv" | "jsonl" | "parquet" | "tsv" => DATASET,
        _ => WEIGHT,
    }
}

/// Bytes of the longest configuration that is read.
pub(super) const LONGEST_CONFIG: u64 = 1 << 20;

/// The configuration of a model, as far as we have something to say or to hear.
#[derive(Serialize, Deserialize)]
struct Config {
    descriptor: About,
    #[serde(default)]
    config: Parameters,
    modelfs: Layers,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    created_at: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authors: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
}

/// Required, even when nothing is known.
#[derive(Default, Serialize, Deserialize)]
struct Parameters {}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layers {
    r#type: String,
    diff_ids: Vec<String>,
}

/// The configuration of the artifact whose layers are the files of `manifest` and `document`.
pub(super) fn config(manifest: &Manifest, document: &Digest) -> Bytes {
    let digests = manifest.files.iter().map(|file| &file.digest).chain([document]);
    let config = Config {
        descriptor: About {
            created_at: Some(manifest.created.at),
            authors: vec![manifest.created.by.clone()],
            name: manifest.model.name().to_string(),
            version: manifest.model.version().to_string(),
            description: manifest.card.description.clone(),
        },
        config: Parameters {},
        modelfs: Layers { r#type: "layers".to_owned(), diff_ids: digests.map(Digest::to_string).collect() },
    };
    serde_json::to_vec(&config).expect("text and a checked time are JSON").into()
}

/// What a configuration says the model is for; nothing if it is none.
pub(super) fn description(config: &[u8]) -> String {
    serde_json::from_slice(config)
        .map_or_else(|_| String::new(), |config: Config| config.descriptor.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_name() {
        for (path, kind) in [
            ("model.safetensors", WEIGHT),
            ("a/b/config.json", CONFIG),
            ("tokenizer.model", CONFIG),
            ("README", DOC),
            ("LICENSE.txt", DOC),
            ("docs/use.md", DOC),
            ("run.py", CODE),
            ("test.parquet", DATASET),
            ("weights", WEIGHT),
        ] {
            assert_eq!(of(&path.parse().unwrap()), kind, "{path}");
            assert!(is_raw(kind));
        }
    }

    #[test]
    fn a_description_is_read_from_what_others_wrote() {
        let theirs =
            br#"{"descriptor":{"createdAt":"2025-01-01T00:00:00Z","family":"xyz3","description":"a model"},
            "config":{"architecture":"transformer"},"modelfs":{"type":"layers","diffIds":["sha256:00"]}}"#;
        assert_eq!(description(theirs), "a model");
        assert_eq!(description(b"{}"), "");
        assert_eq!(description(b"nonsense"), "");
    }
}
