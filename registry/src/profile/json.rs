//! JSON (RFC 8259) read as it arrives: in blocks of any size, in constant memory, never as a whole.

use std::{borrow::Cow, mem, str};

use serde::de::IgnoredAny;

use super::reading::Damage;

/// Levels of arrays and objects.
const DEEPEST: usize = 64;

/// Levels whose keys are kept; those further in are counted only.
const NAMED: usize = 4;

/// Bytes of a string that are kept; of a longer one the rest passes unseen.
const LONGEST: usize = 4096;

/// Bytes of a number or a word.
const LONGEST_BARE: usize = 128;

/// What a document says at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// The end of an array or object.
    Close,
    Number(&'a str),
    /// The beginning of an array or object.
    Open,
    Text(&'a str),
    /// `true`, `false` or `null`.
    Word(&'a str),
}

/// Looks at the values of a document, in order.
pub(super) trait See {
    /// There is `value` at `path`, which has one level for each array or object around it.
    fn see(&mut self, path: &[Level], value: Value<'_>) -> Result<(), Damage>;
}

/// An array or object that is being read, at one of its elements.
#[derive(Debug, Default)]
pub(super) struct Level {
    object: bool,
    key: String,
    index: u64,
}

impl Level {
    /// Whether this is an object at `key`.
    pub(super) fn is(&self, key: &str) -> bool {
        self.object && self.key == key
    }

    /// Whether this is an array at `index`.
    pub(super) fn is_at(&self, index: u64) -> bool {
        !self.object && self.index == index
    }

    /// Whether this is an array.
    pub(super) fn is_array(&self) -> bool {
        !self.object
    }

    /// The key, of an object.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// Reads one object.
#[derive(Debug, Default)]
pub(super) struct Json {
    /// Those from `depth` on are spare, for their buffers.
    levels: Vec<Level>,
    depth: usize,
    expect: Expect,
    /// What has arrived of a string (still escaped) or of a number or word.
    token: Vec<u8>,
    /// The string is longer than what is in `token`.
    cut: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    Bare,
    Colon,
    End,
    FirstKey,
    FirstValue,
    Key,
    Next,
    #[default]
    Start,
    String {
        key: bool,
        escape: bool,
    },
    Value,
}

impl Json {
    /// Takes in the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8], see: &mut impl See) -> Result<(), Damage> {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = match self.expect {
                Expect::String { key, escape } => self.string(bytes, key, escape, see)?,
                Expect::Bare => self.bare(bytes, see)?,
                _ if matches!(first, b' ' | b'\t' | b'\n' | b'\r') => rest,
                _ => {
                    self.expect = self.punctuation(first, see)?;
                    rest
                }
            };
        }
        Ok(())
    }

    /// Whether the object has ended.
    pub(super) fn is_complete(&self) -> bool {
        self.expect == Expect::End
    }

    fn path(&self) -> &[Level] {
        &self.levels[..self.depth]
    }

    fn punctuation(&mut self, byte: u8, see: &mut impl See) -> Result<Expect, Damage> {
        Ok(match (self.expect, byte) {
            (Expect::Start, b'{') => self.open(true, see)?,
            (Expect::Start, _) => return Err(Damage::new("it does not begin with {")),
            (Expect::End, _) => return Err(Damage::new("something follows the end of its JSON")),
            (Expect::FirstKey, b'}') | (Expect::FirstValue, b']') => self.close(see)?,
            (Expect::Next, b'}') if self.in_object() => self.close(see)?,
            (Expect::Next, b']') if !self.in_object() => self.close(see)?,
            (Expect::Next, b',') if self.in_object() => Expect::Key,
            (Expect::Next, b',') => {
                let level = self.levels.get_mut(self.depth - 1);
                level.expect("a comma is expected only within a level").index += 1;
                Expect::Value
            }
            (Expect::FirstKey | Expect::Key, b'"') => Expect::String { key: true, escape: false },
            (Expect::Colon, b':') => Expect::Value,
            (Expect::Value | Expect::FirstValue, b'"') => Expect::String { key: false, escape: false },
            (Expect::Value | Expect::FirstValue, b'{') => self.open(true, see)?,
            (Expect::Value | Expect::FirstValue, b'[') => self.open(false, see)?,
            (Expect::Value | Expect::FirstValue, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.token.push(byte);
                Expect::Bare
            }
            _ => return Err(Damage::new("it is not valid JSON")),
        })
    }

    fn in_object(&self) -> bool {
        self.path().last().is_some_and(|level| level.object)
    }

    fn open(&mut self, object: bool, see: &mut impl See) -> Result<Expect, Damage> {
        see.see(self.path(), Value::Open)?;
        if self.depth == DEEPEST {
            return Err(Damage::new("its JSON is nested more than 64 levels deep"));
        }
        if self.depth == self.levels.len() {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[self.depth];
        level.object = object;
        level.index = 0;
        level.key.clear();
        self.depth += 1;
        Ok(if object { Expect::FirstKey } else { Expect::FirstValue })
    }

    fn close(&mut self, see: &mut impl See) -> Result<Expect, Damage> {
        self.depth -= 1;
        see.see(self.path(), Value::Close)?;
        Ok(if self.depth == 0 { Expect::End } else { Expect::Next })
    }

    /// Reads on in a string. What is left is behind it.
    fn string<'a>(
        &mut self,
        bytes: &'a [u8],
        key: bool,
        mut escape: bool,
        see: &mut impl See,
    ) -> Result<&'a [u8], Damage> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                0..=0x1f => return Err(Damage::new("a string in its JSON has a control character")),
                _ if escape => escape = false,
                b'\\' => {
                    escape = true;
                    self.escaped = true;
                }
                b'"' => {
                    self.keep(&bytes[..at]);
                    self.end_string(key, see)?;
                    return Ok(&bytes[at + 1..]);
                }
                _ => {}
            }
        }
        self.keep(bytes);
        self.expect = Expect::String { key, escape };
        Ok(&[])
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LONGEST - self.token.len());
        self.token.extend_from_slice(&bytes[..kept]);
        self.cut |= kept < bytes.len();
    }

    fn end_string(&mut self, key: bool, see: &mut impl See) -> Result<(), Damage> {
        let text = if mem::take(&mut self.cut) {
            String::from_utf8_lossy(&self.token)
        } else {
            let raw =
                str::from_utf8(&self.token).map_err(|_| Damage::new("a string in its JSON is not UTF-8"))?;
            if self.escaped { unescape(raw) } else { Cow::Borrowed(raw) }
        };
        self.escaped = false;
        if key {
            self.expect = Expect::Colon;
            if self.depth <= NAMED {
                let level = &mut self.levels[self.depth - 1];
                level.key.clear();
                level.key.push_str(&text);
            }
        } else {
            self.expect = Expect::Next;
            see.see(&self.levels[..self.depth], Value::Text(&text))?;
        }
        self.token.clear();
        Ok(())
    }

    /// Reads on in a number or a word. What is left begins behind it.
    fn bare<'a>(&mut self, bytes: &'a [u8], see: &mut impl See) -> Result<&'a [u8], Damage> {
        let bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let end = bytes.iter().position(|byte| !bare(byte));
        let (token, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if token.len() > LONGEST_BARE - self.token.len() {
            return Err(Damage::new("it has a number of more than 128 digits"));
        }
        self.token.extend_from_slice(token);
        if end.is_none() {
            return Ok(rest);
        }
        let invalid = Damage::new("it is not valid JSON");
        if serde_json::from_slice::<IgnoredAny>(&self.token).is_err() {
            return Err(invalid);
        }
        let text = str::from_utf8(&self.token).map_err(|_| invalid)?;
        let value = if text.starts_with(['t', 'f', 'n']) { Value::Word(text) } else { Value::Number(text) };
        see.see(&self.levels[..self.depth], value)?;
        self.token.clear();
        self.expect = Expect::Next;
        Ok(rest)
    }
}

/// Half a surrogate pair is left as it is written: vocabularies have such things.
fn unescape(raw: &str) -> Cow<'_, str> {
    serde_json::from_str(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}
