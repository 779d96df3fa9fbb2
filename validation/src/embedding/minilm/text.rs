//! Text as BERT reads it: which characters are dropped, which stand alone, and which lose their accents.
//!
//! J. Devlin et al., *BERT: pre-training of deep bidirectional transformers*, arXiv:1810.04805, and its `tokenization.py`; the
//! order of the steps is that of Hugging Face's `BertNormalizer`.

use regex::Regex;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization as _;

/// How text is made even, in the words of `tokenizer.json`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Evening {
    clean_text: bool,
    handle_chinese_chars: bool,
    /// As `lowercase`, unless it is said.
    strip_accents: Option<bool>,
    lowercase: bool,
}

/// What a character is to words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a word.
    Letter,
    /// A word of its own.
    Mark,
    /// Between words.
    Space,
}

/// Classes of characters.
#[derive(Debug)]
pub(super) struct Classes {
    accent: Regex,
    control: Regex,
    punctuation: Regex,
}

impl Classes {
    pub(super) fn new() -> Self {
        let class = |pattern| Regex::new(pattern).expect("the pattern is one");
        Self {
            accent: class(r"^\p{Mn}$"),
            control: class(r"^[\p{Cc}\p{Cf}\p{Co}]$"),
            punctuation: class(r"^\p{P}$"),
        }
    }

    /// The characters of `text` as they are looked up.
    pub(super) fn evened<'a>(&'a self, text: &'a str, how: Evening) -> impl Iterator<Item = char> + 'a {
        let strip = how.strip_accents.unwrap_or(how.lowercase);
        let clean = text.chars().filter(move |&c| !how.clean_text || !self.is_dropped(c));
        let spaced = clean.flat_map(move |c| {
            let alone = how.handle_chinese_chars && is_chinese(c);
            let space = alone.then_some(' ');
            space.into_iter().chain([c]).chain(space)
        });
        let plain: Box<dyn Iterator<Item = char> + 'a> = match strip {
            true => Box::new(spaced.nfd().filter(|&c| c.is_ascii() || !is(&self.accent, c))),
            false => Box::new(spaced),
        };
        plain.flat_map(move |c| {
            let lower = how.lowercase.then(|| c.to_lowercase());
            lower.into_iter().flatten().chain((!how.lowercase).then_some(c))
        })
    }

    pub(super) fn kind(&self, c: char) -> Kind {
        match c {
            _ if c.is_whitespace() => Kind::Space,
            _ if c.is_ascii_punctuation() => Kind::Mark,
            _ if !c.is_ascii() && is(&self.punctuation, c) => Kind::Mark,
            _ => Kind::Letter,
        }
    }

    fn is_dropped(&self, c: char) -> bool {
        match c {
            '\t' | '\n' | '\r' => false,
            '\0' | '\u{fffd}' => true,
            ' '..='~' => false,
            _ => is(&self.control, c),
        }
    }
}

fn is(class: &Regex, c: char) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

/// Whether `c` is in a block of ideographs, which have no spaces between words.
const fn is_chinese(c: char) -> bool {
    matches!(
        c,
        '\u{4e00}'..='\u{9fff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{20000}'..='\u{2a6df}'
            | '\u{2a700}'..='\u{2b73f}'
            | '\u{2b740}'..='\u{2b81f}'
            | '\u{2b920}'..='\u{2ceaf}'
            | '\u{f900}'..='\u{faff}'
            | '\u{2f800}'..='\u{2fa1f}'
    )
}
