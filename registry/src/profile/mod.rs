//! What is in the files: what the weights of a version say about themselves.

mod at_rest;
mod gguf;
mod gguf_piece;
mod gguf_types;
mod inspector;
mod json;
mod json_file;
mod merge;
mod onnx;
mod reading;
mod safetensors;
mod settings;
mod steps;
mod tally;
mod tokenizer;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::{inspector::Inspector, reading::Reading};

/// What the files of a version say about themselves, as far as they can be read.
///
/// Read are the headers of safetensors, GGUF and ONNX files, and beside safetensors and ONNX, which say
/// little, `config.json`, `tokenizer.json` and `tokenizer_config.json`. Weights themselves are never
/// looked at, and nothing here is checked against them: it is what the files claim. A file that cannot
/// be read says so in [`notes`](Self::notes) and nothing else.
///
/// All files of a version together: see [`Profile::of`] for how they add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Profile {
    /// How the weights are stored: `gguf`, `onnx`, `safetensors`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub formats: BTreeSet<String>,
    /// What kind of model it is, in the words of the files: `general.architecture` of a GGUF file, otherwise
    /// the first of `architectures` in `config.json`, or its `model_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The family that the architecture belongs to: `general.architecture` of a GGUF file, otherwise
    /// `model_type` in `config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Elements of all stored tensors. Weights that are packed, as GPTQ and AWQ do it in safetensors,
    /// count as the elements that they are packed into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Data types, and how many of the parameters have each: `BF16`, `F32`, `I8`, `Q4_K`. The spelling is that
    /// of safetensors, for GGUF's own block formats that of GGUF.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dtypes: BTreeMap<String, u64>,
    /// How the weights were made smaller, if they were: `Q4_K_M` (`general.file_type` of a GGUF file), `gptq 4-bit`
    /// (`quantization_config` in `config.json`), otherwise the data type of most parameters where it has
    /// eight bits or fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// How text is cut into tokens.
    #[serde(skip_serializing_if = "Tokenizer::is_empty")]
    pub tokenizer: Tokenizer,
    /// Tokens that the model was made to look at together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// What an ONNX graph needs of the runtime.
    #[serde(skip_serializing_if = "Onnx::is_empty")]
    pub onnx: Onnx,
    /// What a person should know: files that could not be read and why, weights that are there twice. At
    /// most 16, of at most 256 characters each, printable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How text is cut into tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tokenizer {
    /// The algorithm: `BPE`, `Unigram`, `WordPiece` (`tokenizer.json`), `llama`, `gpt2`, `bert` (GGUF), or
    /// else the class that `tokenizer_config.json` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<u64>,
}

/// What an ONNX graph needs of the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Onnx {
    /// The version of the file format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ir_version: Option<u64>,
    /// Operator sets and their versions; ONNX's own is `ai.onnx`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub opsets: BTreeMap<String, u64>,
    /// The program that wrote it, and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
    /// Files that hold weights of the graph, as it names them: relative to its own directory.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub external: BTreeSet<String>,
}

impl Profile {
    /// Whether the files say nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Tokenizer {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Onnx {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
