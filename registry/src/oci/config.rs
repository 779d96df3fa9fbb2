//! The configuration of an artifact: what describes the model to other tools.
//!
//! <https://github.com/modelpack/model-spec/blob/main/docs/config.md>

use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Digest, Manifest, Profile};

/// Bytes of the longest configuration that is read.
pub(super) const LONGEST_CONFIG: u64 = 1 << 20;

/// The configuration of a model, as far as we have something to say.
#[derive(Serialize)]
struct Config {
    descriptor: About,
    config: Parameters,
    modelfs: Layers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    #[serde(with = "humantime_serde")]
    created_at: SystemTime,
    authors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

/// Required, even when nothing is known.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layers {
    r#type: String,
    diff_ids: Vec<String>,
}

/// The configuration of the artifact whose layers are the files of `manifest` and `document`.
pub(super) fn encode(manifest: &Manifest, document: &Digest) -> Bytes {
    let digests = manifest.files.iter().map(|file| &file.digest).chain([document]);
    let config = Config {
        descriptor: About {
            created_at: manifest.created.at,
            authors: vec![manifest.created.by.clone()],
            family: manifest.profile.as_ref().and_then(|profile| profile.family.clone()),
            name: manifest.model.name().to_string(),
            version: manifest.model.version().to_string(),
            description: manifest.card.description.clone(),
        },
        config: manifest.profile.as_ref().map_or_else(Parameters::default, Parameters::of),
        modelfs: Layers { r#type: "layers".to_owned(), diff_ids: digests.map(Digest::to_string).collect() },
    };
    serde_json::to_vec(&config).expect("text and a checked time are JSON").into()
}

/// What a configuration says the model is for, whatever else is in it; nothing if it is none.
pub(super) fn description(config: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Heard {
        descriptor: Described,
    }
    #[derive(Deserialize)]
    struct Described {
        #[serde(default)]
        description: String,
    }
    serde_json::from_slice(config).map_or_else(|_| String::new(), |heard: Heard| heard.descriptor.description)
}

impl Parameters {
    fn of(profile: &Profile) -> Self {
        let mut precisions: Vec<_> = profile.dtypes.keys().filter_map(|dtype| precision(dtype)).collect();
        precisions.sort_unstable();
        Self {
            architecture: profile.architecture.clone(),
            // There is one word for it.
            format: profile.formats.first().filter(|_| profile.formats.len() == 1).cloned(),
            param_size: profile.parameters.and_then(size),
            precision: Some(precisions.join(",")).filter(|precisions| !precisions.is_empty()),
            quantization: profile.quantization.clone(),
        }
    }
}

/// What the specification calls a data type of safetensors; nothing for what it has no word for, such as GGUF's
/// block formats.
fn precision(dtype: &str) -> Option<&'static str> {
    Some(match dtype {
        "BF16" => "bfloat16",
        "BOOL" => "bool",
        "C64" => "complex64",
        "F8_E4M3" => "float8_e4m3",
        "F8_E5M2" => "float8_e5m2",
        "F16" => "float16",
        "F32" => "float32",
        "F64" => "float64",
        "I8" => "int8",
        "I16" => "int16",
        "I32" => "int32",
        "I64" => "int64",
        "U8" => "uint8",
        "U16" => "uint16",
        "U32" => "uint32",
        "U64" => "uint64",
        _ => return None,
    })
}

/// So many parameters with a letter for the magnitude, and one digit after the point: `6.7B`. Nothing for fewer
/// than 950, for which there is no letter.
fn size(parameters: u64) -> Option<String> {
    const LETTERS: [(u64, char); 5] = [
        (1_000, 'K'),
        (1_000_000, 'M'),
        (1_000_000_000, 'B'),
        (1_000_000_000_000, 'T'),
        (1_000_000_000_000_000, 'Q'),
    ];
    let tenths = |unit: u64| (u128::from(parameters) * 10 + u128::from(unit) / 2) / u128::from(unit);
    // The largest of which there is one, so that 999 999 999 are 1B and not 1000M.
    let (unit, letter) = LETTERS.into_iter().rev().find(|&(unit, _)| tenths(unit) >= 10)?;
    Some(match (tenths(unit) / 10, tenths(unit) % 10) {
        (whole, 0) => format!("{whole}{letter}"),
        (whole, tenth) => format!("{whole}.{tenth}{letter}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_the_specification_writes_them() {
        for (parameters, expected) in [
            (999, Some("1K")),
            (940, None),
            (1_000, Some("1K")),
            (1_540, Some("1.5K")),
            (100_000_000, Some("100M")),
            (999_999_999, Some("1B")),
            (6_738_415_616, Some("6.7B")),
            (70_553_706_496, Some("70.6B")),
            (1_000_000_000_000, Some("1T")),
            (u64::MAX, Some("18446.7Q")),
        ] {
            assert_eq!(size(parameters).as_deref(), expected, "{parameters}");
        }
    }

    #[test]
    fn what_the_files_say_is_said_in_the_words_of_the_specification() {
        let profile: Profile = serde_json::from_str(
            r#"{"formats": ["safetensors"], "architecture": "LlamaForCausalLM", "family": "llama",
                "parameters": 6738415616, "dtypes": {"F32": 1, "BF16": 2, "Q4_K": 3}, "quantization": "gptq 4-bit"}"#,
        )
        .unwrap();
        let said = serde_json::to_value(Parameters::of(&profile)).unwrap();
        let expected = serde_json::json!({
            "architecture": "LlamaForCausalLM", "format": "safetensors", "paramSize": "6.7B",
            "precision": "bfloat16,float32", "quantization": "gptq 4-bit",
        });
        assert_eq!(said, expected);
        assert_eq!(serde_json::to_string(&Parameters::of(&Profile::default())).unwrap(), "{}");
    }

    #[test]
    fn a_description_is_read_from_what_others_wrote() {
        let theirs =
            br#"{"descriptor":{"createdAt":"2025-01-01T00:00:00Z","family":"xyz3","description":"a model"},
            "config":{"architecture":"transformer","paramSize":8},"modelfs":{"type":"layers","diffIds":["sha256:00"]}}"#;
        assert_eq!(description(theirs), "a model");
        assert_eq!(description(b"{}"), "");
        assert_eq!(description(b"nonsense"), "");
    }
}
