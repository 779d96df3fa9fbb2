//! `tokenizer.json`, as the library `tokenizers` writes it.
//!
//! Source: <https://github.com/huggingface/tokenizers>, `Tokenizer` and `ModelWrapper` in its serialised form.
//! Such a file has tens of megabytes, nearly all of them the vocabulary, which is counted as it passes.

use super::{
    Tokenizer,
    json::{Level, See, Value},
    json_file::Say,
    reading::{Damage, Settings, text},
};

/// What is found in a `tokenizer.json`.
#[derive(Debug, Default)]
pub(super) struct TokenizerFile {
    model: Option<String>,
    tokens: u64,
    /// One above the highest number of a token that was added to the vocabulary; some of them are in it.
    added: u64,
}

impl See for TokenizerFile {
    fn see(&mut self, path: &[Level], value: Value<'_>) -> Result<(), Damage> {
        match (path, value) {
            ([part, field], Value::Text(model)) if part.is("model") && field.is("type") => {
                self.model = text(model);
            }
            // A number for each token, or a pair of the token and its score.
            ([part, field, _], Value::Number(_) | Value::Open) if part.is("model") && field.is("vocab") => {
                self.tokens += 1;
            }
            ([part, _, field], Value::Number(id)) if part.is("added_tokens") && field.is("id") => {
                let above = id.parse::<u64>().ok().and_then(|id| id.checked_add(1));
                self.added = self.added.max(above.unwrap_or(0));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Say for TokenizerFile {
    /// The largest known have about 35 MB.
    const LARGEST_MIB: u64 = 128;

    fn settings(self) -> Settings {
        let Self { model, tokens, added } = self;
        let vocabulary = Some(tokens.max(added)).filter(|tokens| *tokens > 0);
        let tokenizer = Tokenizer { model, vocabulary };
        Settings { tokenizer, ..Settings::default() }
    }
}
