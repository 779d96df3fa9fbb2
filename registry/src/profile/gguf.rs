//! GGUF: a header of key-value pairs and tensor descriptions, then the weights.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Versions 2 and 3 are read, in
//! either byte order (which only the version number betrays). Arrays are passed over, whatever their
//! length; only a few short strings and numbers are kept.

use super::{
    gguf_piece::{ARRAY, Array, Piece, STRING, width},
    gguf_types::{ggml_type, quantization},
    reading::{Damage, Facts, Settings, Weights, text},
    steps::{Pieces, Step},
    tally::{Elements, Tally},
};

const MAGIC: &[u8; 4] = b"GGUF";

/// Bytes of a string value that is of interest; a longer one is passed over.
const LONGEST_VALUE: u64 = 1024;

/// Dimensions of a tensor. GGML has four.
const MOST_DIMENSIONS: u32 = 8;

/// Levels of arrays in arrays.
const DEEPEST: usize = 8;

/// The header of a GGUF file.
#[derive(Debug, Default)]
pub(super) struct Gguf {
    expect: Expect,
    big_endian: bool,
    pairs: u64,
    tensors: u64,
    found: Found,
    /// Elements left in each of the arrays that are being passed over, from outside in.
    arrays: Vec<Array>,
    tally: Tally,
    alignment: Option<u64>,
    /// Where the weights begin, and the bytes of the longest reach of a tensor into them.
    weights: u64,
    reach: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Expect {
    #[default]
    Magic,
    Counts,
    Pair,
    Value(Key, u32),
    Array,
    Tensor,
    End,
}

/// The keys that are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Alignment,
    Architecture,
    ContextLength,
    FileType,
    Other,
    TokenizerModel,
    Tokens,
}

#[derive(Debug, Default)]
struct Found {
    architecture: Option<String>,
    context_length: Option<u64>,
    file_type: Option<u64>,
    tokenizer: Option<String>,
    tokens: Option<u64>,
}

impl Gguf {
    /// Whether a file that begins so is one, whatever it is called: the magic, and a small number in either
    /// byte order, so that a text that begins with the word is none.
    pub(super) fn begins(head: &[u8]) -> bool {
        let version = head.strip_prefix(MAGIC).and_then(<[u8]>::first_chunk);
        matches!(version, Some([1..=255, 0, 0, 0] | [0, 0, 0, 1..=255]))
    }
}

impl Pieces for Gguf {
    fn step(&mut self, at: u64, bytes: &[u8]) -> Result<Step, Damage> {
        let mut piece = Piece::new(bytes, self.big_endian);
        let step = match self.expect {
            Expect::Magic => self.magic(&mut piece)?,
            Expect::Counts => self.counts(&mut piece),
            Expect::Pair if self.pairs == 0 => {
                self.expect = Expect::Tensor;
                return self.step(at, bytes);
            }
            Expect::Pair => self.pair(&mut piece)?,
            Expect::Value(key, kind) => self.value(&mut piece, key, kind)?,
            Expect::Array => self.array(&mut piece)?,
            Expect::Tensor if self.tensors == 0 => Some(self.end(at)?),
            Expect::Tensor => {
                let step = self.tensor(&mut piece)?;
                if self.tensors == 0 && step.is_some() {
                    self.end(at + piece.taken as u64)?;
                }
                step
            }
            Expect::End => Some(Step::Done),
        };
        // A piece that is not there whole has changed nothing, and says how much of it there is to be.
        Ok(step.unwrap_or_else(|| piece.need()))
    }

    fn finish(self, size: u64, between: bool) -> Result<Facts, Damage> {
        // A header without tensors ends with its last pair, behind which nothing may come to say so.
        let whole = matches!(self.expect, Expect::End)
            || self.pairs == 0 && self.tensors == 0 && matches!(self.expect, Expect::Pair);
        if !whole || !between || !self.arrays.is_empty() {
            return Err(Damage::cut());
        }
        let expected = self.weights.checked_add(self.reach).ok_or(Damage::overflow())?;
        if size < expected {
            return Err(Damage::said(format!("it has {size} bytes, and by its header {expected}")));
        }
        let Found { architecture, context_length, file_type, tokenizer, tokens } = self.found;
        let quantization = file_type.and_then(quantization).map(str::to_owned);
        let mut settings = Settings {
            family: architecture.clone(),
            architecture,
            context_length,
            quantization,
            ..Settings::default()
        };
        settings.tokenizer.model = tokenizer;
        settings.tokenizer.vocabulary = tokens;
        Ok(Facts::Weights(Box::new(Weights { tally: self.tally, settings, ..Weights::default() })))
    }
}

impl Gguf {
    fn magic(&mut self, piece: &mut Piece<'_>) -> Result<Option<Step>, Damage> {
        let Some(magic) = piece.take(4) else { return Ok(None) };
        if magic != MAGIC {
            return Err(Damage::new("it does not begin with GGUF"));
        }
        let Some(version) = piece.u32() else { return Ok(None) };
        // A version of 65 536 and more is a small one in the other byte order.
        self.big_endian = version.trailing_zeros() >= 16 && version != 0;
        let version = if self.big_endian { version.swap_bytes() } else { version };
        if !(2..=3).contains(&version) {
            return Err(Damage::said(format!("it is of GGUF version {version}; 2 and 3 are read")));
        }
        self.expect = Expect::Counts;
        Ok(Some(piece.took()))
    }

    fn counts(&mut self, piece: &mut Piece<'_>) -> Option<Step> {
        let (tensors, pairs) = (piece.u64()?, piece.u64()?);
        (self.tensors, self.pairs) = (tensors, pairs);
        self.expect = Expect::Pair;
        Some(piece.took())
    }

    fn pair(&mut self, piece: &mut Piece<'_>) -> Result<Option<Step>, Damage> {
        let Some(key) = piece.name()? else { return Ok(None) };
        let Some(kind) = piece.u32() else { return Ok(None) };
        let key = match key {
            b"general.alignment" => Key::Alignment,
            b"general.architecture" => Key::Architecture,
            b"general.file_type" => Key::FileType,
            b"tokenizer.ggml.model" => Key::TokenizerModel,
            b"tokenizer.ggml.tokens" => Key::Tokens,
            // It begins with the architecture, which may not have been named yet.
            key if key.ends_with(b".context_length") => Key::ContextLength,
            _ => Key::Other,
        };
        self.pairs -= 1;
        self.expect = Expect::Value(key, kind);
        Ok(Some(piece.took()))
    }

    fn value(&mut self, piece: &mut Piece<'_>, key: Key, kind: u32) -> Result<Option<Step>, Damage> {
        let step = match kind {
            STRING => {
                let Some(length) = piece.u64() else { return Ok(None) };
                let wanted = matches!(key, Key::Architecture | Key::TokenizerModel);
                if !wanted || length > LONGEST_VALUE {
                    Step::Skip(piece.taken, length)
                } else {
                    let Some(value) = piece.take(length) else { return Ok(None) };
                    let value = text(&String::from_utf8_lossy(value));
                    match key {
                        Key::Architecture => self.found.architecture = value,
                        _ => self.found.tokenizer = value,
                    }
                    piece.took()
                }
            }
            ARRAY => {
                let Some(array) = piece.array() else { return Ok(None) };
                if key == Key::Tokens {
                    self.found.tokens = Some(array.left);
                }
                let step = self.enter(piece, array)?;
                if !self.arrays.is_empty() {
                    self.expect = Expect::Array;
                    return Ok(Some(step));
                }
                step
            }
            _ => {
                let Some(value) = piece.take(width(kind)?) else { return Ok(None) };
                let value = piece.natural(kind, value);
                match key {
                    Key::Alignment => self.alignment = value,
                    Key::ContextLength => self.found.context_length = value,
                    Key::FileType => self.found.file_type = value,
                    _ => {}
                }
                piece.took()
            }
        };
        self.expect = Expect::Pair;
        Ok(Some(step))
    }

    /// Passes over an array of numbers at once, and goes into any other.
    fn enter(&mut self, piece: &Piece<'_>, array: Array) -> Result<Step, Damage> {
        if !matches!(array.element, STRING | ARRAY) {
            let bytes = array.left.checked_mul(width(array.element)?).ok_or(Damage::overflow())?;
            return Ok(Step::Skip(piece.taken, bytes));
        }
        if self.arrays.len() == DEEPEST {
            return Err(Damage::new("it has arrays nested more than 8 levels deep"));
        }
        if array.left > 0 {
            self.arrays.push(array);
        }
        Ok(piece.took())
    }

    /// Passes over the next element of the innermost array.
    fn array(&mut self, piece: &mut Piece<'_>) -> Result<Option<Step>, Damage> {
        let array = self.arrays.last_mut().expect("it is expected only within an array");
        let step = if array.element == STRING {
            let Some(length) = piece.u64() else { return Ok(None) };
            array.left -= 1;
            Step::Skip(piece.taken, length)
        } else {
            let Some(inner) = piece.array() else { return Ok(None) };
            array.left -= 1;
            self.enter(piece, inner)?
        };
        while self.arrays.last().is_some_and(|array| array.left == 0) {
            self.arrays.pop();
        }
        if self.arrays.is_empty() {
            self.expect = Expect::Pair;
        }
        Ok(Some(step))
    }

    fn tensor(&mut self, piece: &mut Piece<'_>) -> Result<Option<Step>, Damage> {
        if piece.name()?.is_none() {
            return Ok(None);
        }
        let Some(dimensions) = piece.u32() else { return Ok(None) };
        if dimensions > MOST_DIMENSIONS {
            return Err(Damage::new("it has a tensor of more than 8 dimensions"));
        }
        let mut elements = Elements::default();
        for _ in 0..dimensions {
            let Some(dimension) = piece.u64() else { return Ok(None) };
            elements.times(dimension)?;
        }
        let (Some(kind), Some(offset)) = (piece.u32(), piece.u64()) else { return Ok(None) };
        let elements = elements.product();
        if let Some((dtype, block, bytes)) = ggml_type(kind) {
            if !elements.is_multiple_of(block) {
                return Err(Damage::new("it has a tensor that is not made of whole blocks"));
            }
            let length = (elements / block).checked_mul(bytes);
            let end = length.and_then(|length| offset.checked_add(length)).ok_or(Damage::overflow())?;
            self.reach = self.reach.max(end);
            self.tally.count(dtype, elements)?;
        } else {
            self.tally.count_unknown(&format!("ggml type {kind}"), elements)?;
        }
        self.tensors -= 1;
        Ok(Some(piece.took()))
    }

    /// The header ends at `at`, the weights follow at the next multiple of the alignment.
    fn end(&mut self, at: u64) -> Result<Step, Damage> {
        self.weights = match self.alignment.unwrap_or(32) {
            0 => return Err(Damage::new("its alignment is zero")),
            alignment => at.checked_next_multiple_of(alignment).ok_or(Damage::overflow())?,
        };
        self.expect = Expect::End;
        Ok(Step::Done)
    }
}
