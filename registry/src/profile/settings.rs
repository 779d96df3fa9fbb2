//! `config.json` and `tokenizer_config.json`, as the library `transformers` writes them.
//!
//! Source: <https://huggingface.co/docs/transformers/main_classes/configuration>.

use super::{
    json::{Level, See, Value},
    json_file::Say,
    reading::{Damage, Settings, text},
};

/// What `config.json` calls the tokens that a model looks at together, by the family of the model.
const CONTEXT_LENGTHS: [&str; 6] =
    ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_sequence_length"];

/// `config.json`.
#[derive(Debug, Default)]
pub(super) struct Config {
    architecture: Option<String>,
    model_type: Option<String>,
    context_length: Option<u64>,
    /// Of the part that deals with text, where the model has several.
    text_context_length: Option<u64>,
    vocabulary: Option<u64>,
    method: Option<String>,
    bits: Option<u64>,
}

/// `tokenizer_config.json`.
#[derive(Debug, Default)]
pub(super) struct TokenizerConfig {
    class: Option<String>,
}

impl See for Config {
    fn see(&mut self, path: &[Level], value: Value<'_>) -> Result<(), Damage> {
        match (path, value) {
            ([field, first], Value::Text(name)) if field.is("architectures") && first.is_at(0) => {
                self.architecture = text(name);
            }
            ([field], Value::Text(name)) if field.is("model_type") => self.model_type = text(name),
            ([field], Value::Number(number)) if field.is("vocab_size") => {
                self.vocabulary = number.parse().ok();
            }
            ([field], Value::Number(number)) if is_context_length(field) => {
                self.context_length = self.context_length.or_else(|| number.parse().ok());
            }
            ([part, field], Value::Number(number)) if part.is("text_config") && is_context_length(field) => {
                self.text_context_length = self.text_context_length.or_else(|| number.parse().ok());
            }
            ([part, field], Value::Text(method)) if is_quantization(part) && field.is("quant_method") => {
                self.method = text(method);
            }
            ([part, field], Value::Number(bits)) if is_quantization(part) && field.is("bits") => {
                self.bits = bits.parse().ok();
            }
            ([part, field], Value::Word("true")) if is_quantization(part) && field.is("load_in_4bit") => {
                self.bits = Some(4);
            }
            ([part, field], Value::Word("true")) if is_quantization(part) && field.is("load_in_8bit") => {
                self.bits = Some(8);
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_context_length(level: &Level) -> bool {
    CONTEXT_LENGTHS.iter().any(|name| level.is(name))
}

fn is_quantization(level: &Level) -> bool {
    level.is("quantization_config")
}

impl Say for Config {
    /// Those that are known have a few thousand.
    const LARGEST_MIB: u64 = 4;

    fn settings(self) -> Settings {
        let quantization = self.method.map(|method| match self.bits {
            Some(bits) => format!("{method} {bits}-bit"),
            None => method,
        });
        let mut settings = Settings {
            architecture: self.architecture.or_else(|| self.model_type.clone()),
            family: self.model_type,
            context_length: self.context_length.or(self.text_context_length),
            quantization,
            ..Settings::default()
        };
        settings.tokenizer.vocabulary = self.vocabulary;
        settings
    }
}

impl See for TokenizerConfig {
    fn see(&mut self, path: &[Level], value: Value<'_>) -> Result<(), Damage> {
        if let ([field], Value::Text(class)) = (path, value)
            && field.is("tokenizer_class")
        {
            self.class = text(class);
        }
        Ok(())
    }
}

impl Say for TokenizerConfig {
    /// It lists the special tokens: a few hundred thousand.
    const LARGEST_MIB: u64 = 4;

    fn settings(self) -> Settings {
        let mut settings = Settings::default();
        settings.tokenizer.model = self.class;
        settings
    }
}
