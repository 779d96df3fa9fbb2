//! The measures of a model, as its `config.json` has them.

use serde::Deserialize;

use super::{OpenModelError, files::Directory};

const NAME: &str = "config.json";
const POOLING: &str = "1_Pooling/config.json";
const MOST_BYTES: u64 = 1 << 20;

/// The measures of a model. The names are those of the file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) vocab_size: usize,
    pub(super) layer_norm_eps: f32,
}

/// How the vectors of tokens become one, in the words of sentence-transformers.
#[derive(Deserialize)]
#[serde(default)]
struct Pooling {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
}

impl Config {
    pub(super) fn read(directory: &Directory) -> Result<Self, OpenModelError> {
        let config: Self = directory.json(NAME, MOST_BYTES)?;
        if let Some(why) = config.flaw() {
            return Err(directory.unusable(NAME, why));
        }
        if directory.has(POOLING) {
            let pooling: Pooling = directory.json(POOLING, MOST_BYTES)?;
            let others = pooling.pooling_mode_cls_token
                || pooling.pooling_mode_max_tokens
                || pooling.pooling_mode_mean_sqrt_len_tokens;
            if others || !pooling.pooling_mode_mean_tokens {
                let why = "a text's vector is the mean of its tokens' here, and this model takes another";
                return Err(directory.unusable(POOLING, why));
            }
        }
        Ok(config)
    }

    fn flaw(&self) -> Option<String> {
        let words = [
            ("model_type", self.model_type.as_str(), "bert"),
            ("hidden_act", self.hidden_act.as_str(), "gelu"),
            (
                "position_embedding_type",
                self.position_embedding_type.as_deref().unwrap_or("absolute"),
                "absolute",
            ),
        ];
        if let Some((name, is, wanted)) = words.into_iter().find(|(_, is, wanted)| is != wanted) {
            return Some(format!("`{name}` is `{}` and must be `{wanted}`", crate::excerpt::excerpt(is, 40)));
        }
        // Far above any sentence model, and what the arithmetic takes stays within some hundreds of megabytes.
        let numbers = [
            ("hidden_size", self.hidden_size, 4096),
            ("num_hidden_layers", self.num_hidden_layers, 64),
            ("num_attention_heads", self.num_attention_heads, 128),
            ("intermediate_size", self.intermediate_size, 16_384),
            ("max_position_embeddings", self.max_position_embeddings, 65_536),
            ("type_vocab_size", self.type_vocab_size, 1024),
            ("vocab_size", self.vocab_size, 1 << 20),
        ];
        if let Some((name, is, most)) = numbers.into_iter().find(|(_, is, most)| !(1..=*most).contains(is)) {
            return Some(format!("`{name}` is {is} and must be from 1 to {most}"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Some(format!(
                "`hidden_size`, {}, must be a multiple of `num_attention_heads`, {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.max_position_embeddings < 3 {
            return Some("`max_position_embeddings` leaves no room for a text".to_owned());
        }
        let eps = self.layer_norm_eps;
        (!(eps > 0.0 && eps < 1.0)).then(|| format!("`layer_norm_eps` is {eps} and must be between 0 and 1"))
    }
}

impl Default for Pooling {
    fn default() -> Self {
        Self {
            pooling_mode_cls_token: false,
            pooling_mode_mean_tokens: true,
            pooling_mode_max_tokens: false,
            pooling_mode_mean_sqrt_len_tokens: false,
        }
    }
}
