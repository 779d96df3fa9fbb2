//! What one file says.

use std::{borrow::Cow, fmt};

use super::{Onnx, Tokenizer, tally::Tally};
use crate::FilePath;

/// Characters of a text that is repeated from a file.
const SHOWN: usize = 120;

/// What one file says about itself. Several make a [`Profile`](super::Profile).
#[derive(Clone, Debug)]
pub struct Reading {
    pub(super) path: FilePath,
    /// What it was read as: `safetensors`, or the name of a JSON file.
    pub(super) kind: &'static str,
    pub(super) facts: Result<Facts, Damage>,
}

/// What can be learnt from a file that is in order.
#[derive(Clone, Debug)]
pub(super) enum Facts {
    /// Of one of the JSON files.
    Settings(Settings),
    Weights(Box<Weights>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) architecture: Option<String>,
    pub(super) family: Option<String>,
    pub(super) context_length: Option<u64>,
    pub(super) quantization: Option<String>,
    pub(super) tokenizer: Tokenizer,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    pub(super) tally: Tally,
    pub(super) settings: Settings,
    pub(super) onnx: Onnx,
}

/// Why a file cannot be read as what it seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage(Cow<'static, str>);

impl Damage {
    pub(super) const fn new(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }

    /// `why` may repeat texts of the file that went through [`shown`].
    pub(super) const fn said(why: String) -> Self {
        Self(Cow::Owned(why))
    }

    pub(super) const fn overflow() -> Self {
        Self::new("its sizes do not fit into 64 bits")
    }

    pub(super) const fn cut() -> Self {
        Self::new("it ends in the middle of its header")
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text from a file as it may be kept and printed: bounded, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if text.chars().filter(|c| !c.is_control()).nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// As [`shown`]; nothing where nothing is left.
pub(super) fn text(text: &str) -> Option<String> {
    Some(shown(text.trim())).filter(|text| !text.is_empty())
}
