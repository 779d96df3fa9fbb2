//! The bytes of a pickle, read forwards through a buffer, and looked up again where a name was.

use super::{decode, opcodes as op};
use crate::scan::{limits::Budget, section::Section, walk::Stop};

/// Bytes read at once, and at first: most of what is tried as a pickle is none.
const BUFFER: usize = 64 << 10;
const FIRST: usize = 4 << 10;
/// Longest line of a protocol 0 opcode that is read as text; longer ones are skipped.
pub(super) const LINE: usize = 1024;
/// Longest string that may name an import.
pub(super) const NAME: u64 = 256;

pub(super) struct Input<'a, 's> {
    section: &'a mut Section<'s>,
    pub(super) budget: &'a mut Budget,
    buffer: Vec<u8>,
    /// Where the buffer begins in the section.
    base: u64,
    at: usize,
}

/// A line: where it begins, how long it is without its end, and whether it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) ended: bool,
}

impl<'a, 's> Input<'a, 's> {
    pub(super) fn new(section: &'a mut Section<'s>, budget: &'a mut Budget, start: u64) -> Self {
        Self { section, budget, buffer: Vec::new(), base: start, at: 0 }
    }

    /// Where the next byte is.
    pub(super) const fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    pub(super) const fn left(&self) -> u64 {
        self.section.len().saturating_sub(self.offset())
    }

    /// The buffer, how far it is read, and where it begins in the section.
    pub(super) fn held(&self) -> (&[u8], usize, u64) {
        (&self.buffer, self.at, self.base)
    }

    /// Goes on in the buffer.
    pub(super) const fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Goes on at `offset`.
    pub(super) fn go_to(&mut self, offset: u64) {
        self.base = offset;
        self.buffer.clear();
        self.at = 0;
    }

    /// The next byte, if there is one.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<Option<u8>, Stop> {
        if self.at == self.buffer.len() {
            self.refill()?;
        }
        let byte = self.buffer.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let bytes = self.peek(N)?;
        match bytes.first_chunk::<N>() {
            Some(&bytes) => {
                self.at += N;
                Ok(bytes)
            }
            None => Err(self.truncated()),
        }
    }

    /// Up to `wanted` of the next bytes, without going past them; fewer only at the end.
    #[inline]
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], Stop> {
        if self.buffer.len() - self.at < wanted {
            self.refill()?;
        }
        let end = self.buffer.len().min(self.at + wanted);
        Ok(&self.buffer[self.at..end])
    }

    /// Goes past `bytes` bytes; those beyond the buffer are not read.
    #[inline]
    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), Stop> {
        if bytes <= (self.buffer.len() - self.at) as u64 {
            self.at += bytes as usize;
            return Ok(());
        }
        if bytes > self.left() {
            return Err(self.truncated());
        }
        self.base = self.offset() + bytes;
        self.buffer.clear();
        self.at = 0;
        Ok(())
    }

    /// Goes past the next newline.
    pub(super) fn line(&mut self) -> Result<Line, Stop> {
        let start = self.offset();
        loop {
            if self.at == self.buffer.len() {
                self.refill()?;
            }
            let rest = &self.buffer[self.at..];
            if rest.is_empty() {
                return Ok(Line { start, len: self.offset() - start, ended: false });
            }
            match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    self.at += end + 1;
                    return Ok(Line { start, len: self.offset() - start - 1, ended: true });
                }
                None => self.at = self.buffer.len(),
            }
        }
    }

    /// The bytes of a line, if it is short enough for text.
    pub(super) fn line_bytes(&mut self, line: Line) -> Result<Option<Vec<u8>>, Stop> {
        if line.len > LINE as u64 {
            return Ok(None);
        }
        self.look_up(line.start, line.len as usize).map(Some)
    }

    /// Up to `len` bytes from `offset` on, wherever that is.
    pub(super) fn look_up(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, Stop> {
        let held = offset.checked_sub(self.base).and_then(|from| usize::try_from(from).ok());
        if let Some(bytes) = held.and_then(|from| self.buffer.get(from..from.checked_add(len)?)) {
            return Ok(bytes.to_vec());
        }
        self.budget.work(1 + len as u64)?;
        let mut bytes = vec![0; len];
        let read = self.section.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The text that the opcode at `offset` pushes; `None` if it is none that could be a name.
    pub(super) fn text(&mut self, offset: u64) -> Result<Option<String>, Stop> {
        let head = self.look_up(offset, 9)?;
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
        let (skip, len) = match *head.as_slice() {
            [op::STRING | op::UNICODE, ..] => {
                let line = self.look_up(offset, LINE + 2)?;
                let end = memchr::memchr(b'\n', &line).unwrap_or(line.len());
                let content = line.get(1..end).unwrap_or_default();
                return Ok(match line.first() {
                    Some(&op::UNICODE) => decode::raw_unicode_escape(content),
                    _ => decode::quoted(content),
                });
            }
            [op::SHORT_BINSTRING | op::SHORT_BINUNICODE, len, ..] => (2, u64::from(len)),
            [op::BINSTRING | op::BINUNICODE, a, b, c, d, ..] => (5, number(&[a, b, c, d])),
            [op::BINUNICODE8, ref len @ ..] => (9, number(len)),
            _ => return Ok(None),
        };
        if len > NAME {
            return Ok(None);
        }
        let bytes = self.look_up(offset + skip, len as usize)?;
        Ok(String::from_utf8(bytes).ok())
    }

    pub(super) const fn truncated(&self) -> Stop {
        Stop::Malformed { offset: self.offset(), what: "the pickle is cut short" }
    }

    /// Reads on, keeping what has not been gone past.
    #[cold]
    fn refill(&mut self) -> Result<(), Stop> {
        let more = if self.buffer.capacity() == 0 { FIRST } else { BUFFER };
        self.budget.work(self.at as u64 + 1 + more as u64 / 16)?;
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + more, 0);
        let read = self.section.read_at(self.base + held as u64, &mut self.buffer[held..])?;
        self.buffer.truncate(held + read);
        Ok(())
    }
}

/// Python's identifiers, with the dots between them, are made of these; others are let through, as
/// nobody needs to be exact here.
#[inline]
pub(super) const fn may_be_in_a_name(byte: u8) -> bool {
    const NAMES: [bool; 256] = {
        let mut names = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let c = byte as u8;
            names[byte] =
                c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'<' | b'>' | b'|') || c >= 0x80;
            byte += 1;
        }
        names
    };
    NAMES[byte as usize]
}
