//! `tokenizer.json`, as the library `tokenizers` writes it.
//!
//! Source: <https://github.com/huggingface/tokenizers>, `Tokenizer` and `ModelWrapper` in its serialised form.
//! Such a file has tens of megabytes, nearly all of them the vocabulary, which is counted as it passes.

use super::{
    Tokenizer,
    json::{Json, Level, See, Value},
    reading::{Damage, Facts, Settings, text},
    steps::Scan,
};

/// Bytes of such a file. The largest known have about 35 MB.
const LARGEST: u64 = 128 << 20;

/// Reads a `tokenizer.json`.
#[derive(Debug)]
pub(super) struct TokenizerFile {
    json: Json,
    fed: u64,
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    model: Option<String>,
    tokens: u64,
    /// One above the highest number of a token that was added to the vocabulary; some of them are in it.
    added: u64,
}

impl TokenizerFile {
    pub(super) fn new() -> Self {
        Self { json: Json::new(), fed: 0, found: Found::default() }
    }
}

impl Scan for TokenizerFile {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        self.fed = self.fed.saturating_add(bytes.len() as u64);
        if self.fed > LARGEST {
            return Err(Damage::new("it is larger than 128 MiB"));
        }
        self.json.feed(bytes, &mut self.found)
    }

    fn idle(&self) -> u64 {
        0
    }

    fn pass(&mut self, _: u64) {}

    fn finish(self: Box<Self>, _: u64) -> Result<Facts, Damage> {
        if !self.json.is_complete() {
            return Err(Damage::new("it ends before its JSON does"));
        }
        let Found { model, tokens, added } = self.found;
        let vocabulary = Some(tokens.max(added)).filter(|tokens| *tokens > 0);
        let tokenizer = Tokenizer { model, vocabulary };
        Ok(Facts::Settings(Settings { tokenizer, ..Settings::default() }))
    }
}

impl See for Found {
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
