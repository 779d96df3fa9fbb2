//! A model small enough to be written for a test: any part of it can be made wrong.

use std::{collections::BTreeMap, fs, path::Path};

use fastrand::Rng;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_validation::{MiniLm, OpenModelError};

pub(crate) const WIDTH: usize = 8;
const WIDE: usize = 16;
const POSITIONS: usize = 12;
const PIECES: &[&str] =
    &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b", "tide", "##gate", "is", "open", ".", "日"];

/// The parts of a model, as they stand in its files.
#[derive(Clone)]
pub(crate) struct Tiny {
    pub(crate) config: Value,
    pub(crate) tokenizer: Value,
    pub(crate) pooling: Option<Value>,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Tiny {
    pub(crate) fn new() -> Self {
        let mut rng = Rng::with_seed(7);
        let mut tensors = BTreeMap::new();
        let mut add = |name: &str, shape: &[usize]| {
            let numbers = (0..shape.iter().product()).map(|_| rng.f32() - 0.5).collect();
            tensors.insert(name.to_owned(), (shape.to_vec(), numbers));
        };
        add("embeddings.word_embeddings.weight", &[PIECES.len(), WIDTH]);
        add("embeddings.position_embeddings.weight", &[POSITIONS, WIDTH]);
        add("embeddings.token_type_embeddings.weight", &[2, WIDTH]);
        let mut pair = |name: &str, shape: &[usize]| {
            add(&format!("{name}.weight"), shape);
            add(&format!("{name}.bias"), &shape[..1]);
        };
        pair("embeddings.LayerNorm", &[WIDTH]);
        for layer in 0..2 {
            let mut pair =
                |name: &str, shape: &[usize]| pair(&format!("encoder.layer.{layer}.{name}"), shape);
            for name in ["self.query", "self.key", "self.value", "output.dense"] {
                pair(&format!("attention.{name}"), &[WIDTH, WIDTH]);
            }
            pair("attention.output.LayerNorm", &[WIDTH]);
            pair("intermediate.dense", &[WIDE, WIDTH]);
            pair("output.dense", &[WIDTH, WIDE]);
            pair("output.LayerNorm", &[WIDTH]);
        }
        let vocab: BTreeMap<_, _> = PIECES.iter().enumerate().map(|(id, piece)| (*piece, id)).collect();
        Self {
            config: json!({
                "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": WIDE, "max_position_embeddings": POSITIONS,
                "type_vocab_size": 2, "vocab_size": PIECES.len(), "layer_norm_eps": 1e-12,
            }),
            tokenizer: json!({
                "version": "1.0",
                "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                    "strip_accents": null, "lowercase": true},
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]},
                "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100, "vocab": vocab},
            }),
            pooling: None,
            tensors,
        }
    }

    /// Writes the files and opens them.
    pub(crate) fn open(&self) -> Result<MiniLm, OpenModelError> {
        let directory = self.write();
        MiniLm::open(directory.path())
    }

    pub(crate) fn write(&self) -> TempDir {
        let directory = TempDir::new().expect("a temporary directory");
        let put = |name: &str, bytes: &[u8]| write(directory.path(), name, bytes);
        put("config.json", self.config.to_string().as_bytes());
        put("tokenizer.json", self.tokenizer.to_string().as_bytes());
        if let Some(pooling) = &self.pooling {
            put("1_Pooling/config.json", pooling.to_string().as_bytes());
        }
        put("model.safetensors", &self.safetensors(Dtype::F32));
        directory
    }

    pub(crate) fn safetensors(&self, dtype: Dtype) -> Vec<u8> {
        let bytes = |numbers: &[f32]| -> Vec<u8> {
            match dtype {
                Dtype::F32 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
                _ => vec![0; 2 * numbers.len()],
            }
        };
        let data: BTreeMap<_, _> =
            self.tensors.iter().map(|(name, (shape, numbers))| (name, (shape, bytes(numbers)))).collect();
        let views = data.iter().map(|(name, (shape, bytes))| {
            (name.as_str(), TensorView::new(dtype, shape.to_vec(), bytes).expect("a sound tensor"))
        });
        safetensors::serialize(views, None).expect("sound tensors")
    }
}

pub(crate) fn write(directory: &Path, name: &str, bytes: &[u8]) {
    let path = directory.join(name);
    let parent = path.parent().expect("a file is in a directory");
    fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).expect("it can be written");
}
