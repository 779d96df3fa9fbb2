//! Words as pieces of a vocabulary.

use std::collections::HashMap;

use serde::Deserialize;
use tidegate_registry::Digest;

use super::{
    OpenModelError,
    files::Directory,
    text::{Classes, Evening, Kind},
};

const NAME: &str = "tokenizer.json";
const MOST_BYTES: u64 = 64 << 20;
/// Most characters of a word that is looked up; looking takes time with their square.
const LONGEST_WORD: usize = 200;

/// A vocabulary, and how texts are cut into pieces of it: always the longest that fits.
///
/// M. Schuster, K. Nakajima, *Japanese and Korean voice search*, ICASSP 2012; as BERT has it.
#[derive(Debug)]
pub(super) struct WordPiece {
    digest: Digest,
    classes: Classes,
    evening: Evening,
    /// Pieces by how they stand in the file: those inside a word with a prefix.
    vocab: HashMap<String, u32>,
    prefix: String,
    longest_word: usize,
    unknown: u32,
    begin: u32,
    end: u32,
}

#[derive(Deserialize)]
struct File {
    normalizer: Normalizer,
    #[serde(rename = "pre_tokenizer")]
    _pre_tokenizer: PreTokenizer,
    post_processor: PostProcessor,
    model: Pieces,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    BertNormalizer(Evening),
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PreTokenizer {
    BertPreTokenizer,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PostProcessor {
    BertProcessing { cls: (String, u32), sep: (String, u32) },
    TemplateProcessing { single: Vec<Step> },
}

#[derive(Deserialize)]
enum Step {
    Sequence {},
    SpecialToken { id: String },
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Pieces {
    WordPiece {
        vocab: HashMap<String, u32>,
        unk_token: String,
        continuing_subword_prefix: String,
        max_input_chars_per_word: usize,
    },
}

impl WordPiece {
    /// The vocabulary of a model that knows `known` tokens.
    pub(super) fn read(directory: &Directory, known: usize) -> Result<Self, OpenModelError> {
        let unusable = |why: String| directory.unusable(NAME, why);
        let bytes = directory.bytes(NAME, MOST_BYTES)?;
        let digest = Digest::of(&bytes);
        let file: File = directory.parse(NAME, &bytes)?;
        let Normalizer::BertNormalizer(evening) = file.normalizer;
        let Pieces::WordPiece {
            vocab,
            unk_token,
            continuing_subword_prefix: prefix,
            max_input_chars_per_word,
        } = file.model;
        if max_input_chars_per_word > LONGEST_WORD {
            return Err(unusable(format!("`model.max_input_chars_per_word` is more than {LONGEST_WORD}")));
        }
        if let Some((piece, id)) = vocab.iter().find(|(_, id)| **id as usize >= known) {
            let piece = crate::excerpt::excerpt(piece, 40);
            return Err(unusable(format!("`{piece}` is token {id}, and the model knows {known} tokens")));
        }
        let id = |token: &str| {
            let token = crate::excerpt::excerpt(token, 40);
            let known = vocab.get(&token).copied();
            known.ok_or_else(|| unusable(format!("its vocabulary lacks the token `{token}`")))
        };
        let (begin, end) = match &file.post_processor {
            PostProcessor::BertProcessing { cls: (cls, _), sep: (sep, _) } => (id(cls)?, id(sep)?),
            PostProcessor::TemplateProcessing { single } => match &single[..] {
                [Step::SpecialToken { id: begin }, Step::Sequence {}, Step::SpecialToken { id: end }] => {
                    (id(begin)?, id(end)?)
                }
                _ => {
                    let why = "`post_processor.single` must be a token, the text and another token";
                    return Err(unusable(why.to_owned()));
                }
            },
        };
        let unknown = id(&unk_token)?;
        Ok(Self {
            digest,
            classes: Classes::new(),
            evening,
            prefix,
            longest_word: max_input_chars_per_word,
            unknown,
            begin,
            end,
            vocab,
        })
    }

    /// The digest of the file.
    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The tokens of `text` up to `most`, the two around them included. No more of the text is read than that
    /// takes.
    pub(super) fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let room = most.saturating_sub(1);
        let mut ids = vec![self.begin];
        let mut word = Word::default();
        for c in self.classes.evened(text, self.evening) {
            if ids.len() >= room {
                break;
            }
            let kind = self.classes.kind(c);
            if kind == Kind::Letter {
                word.push(c, self.longest_word);
                continue;
            }
            self.look_up(&mut word, &mut ids);
            if kind == Kind::Mark {
                word.push(c, self.longest_word);
                self.look_up(&mut word, &mut ids);
            }
        }
        self.look_up(&mut word, &mut ids);
        ids.truncate(room);
        ids.push(self.end);
        ids
    }

    /// Adds the pieces of `word` to `ids`, and empties it.
    fn look_up(&self, word: &mut Word, ids: &mut Vec<u32>) {
        let text = &word.text;
        let before = ids.len();
        let mut piece = String::new();
        let mut rest = &text[..];
        if word.chars > self.longest_word {
            ids.push(self.unknown);
            rest = "";
        }
        while !rest.is_empty() {
            piece.clear();
            if rest.len() < text.len() {
                piece.push_str(&self.prefix);
            }
            let prefix = piece.len();
            piece.push_str(rest);
            let id = loop {
                match self.vocab.get(&piece) {
                    Some(id) => break Some(*id),
                    None if piece.len() > prefix => _ = piece.pop(),
                    None => break None,
                }
            };
            match id.filter(|_| piece.len() > prefix) {
                Some(id) => {
                    ids.push(id);
                    rest = &rest[piece.len() - prefix..];
                }
                None => {
                    ids.truncate(before);
                    ids.push(self.unknown);
                    rest = "";
                }
            }
        }
        *word = Word::default();
    }
}

/// A word, of which no more is kept than can be looked up.
#[derive(Debug, Default)]
struct Word {
    text: String,
    chars: usize,
}

impl Word {
    fn push(&mut self, c: char, most: usize) {
        self.chars += 1;
        if self.chars <= most {
            self.text.push(c);
        }
    }
}
