//! Pickles inside the strings of a pickle.

use std::io::{self, Read};

/// Bytes of a string that are looked at.
pub(super) const HEAD: usize = 128;
/// Shortest pickle that imports something.
pub(super) const SHORTEST: u64 = 8;

/// A string that looks as if it held a pickle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) coding: Coding,
}

/// How a pickle is written into a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Base64,
    Hex,
    Plain,
}

/// Undoes a [`Coding`] while reading. Bytes that are none of it are left out, as Python does.
pub(super) struct Decoded<R> {
    inner: R,
    step: u32,
    held: u32,
    sum: u32,
}

/// Whether [`looks_like`] could say yes to a string that begins so.
#[inline]
pub(super) const fn may_begin(content: &[u8]) -> bool {
    matches!(content, [0x80 | b'c' | b'i' | b'(' | b'g' | b'Y' | b'K' | b'8' | b'6' | b'2', _, ..])
}

/// How a string that begins with `head` may hold a pickle, if it may.
pub(super) fn looks_like(head: &[u8]) -> Option<Coding> {
    if is_pickle(head) {
        return Some(Coding::Plain);
    }
    let coding = match head {
        // Two hexadecimal digits of the first byte: `80`, `63` for c, `28` for a mark.
        [b'8', b'0', ..] | [b'6', b'3', ..] | [b'2', b'8', ..] => Coding::Hex,
        // The first six bits of the same in Base64.
        [b'g' | b'Y' | b'K', ..] => Coding::Base64,
        _ => return None,
    };
    let mut decoded = Vec::new();
    Decoded::new(head, coding).read_to_end(&mut decoded).ok()?;
    (decoded.len() >= SHORTEST as usize && is_pickle(&decoded)).then_some(coding)
}

/// Whether bytes begin like a pickle: with its protocol, or with the name of an import within reach.
pub(super) fn is_pickle(head: &[u8]) -> bool {
    match head {
        [0x80, 0..=5, next, ..] => *next != 0,
        _ => memchr::memchr_iter(b'\n', head).any(|end| {
            let line = head[..end].rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            let names =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || *byte >= 0x80;
            let module = line.iter().rposition(|byte| !names(byte)).map_or(line, |at| &line[at + 1..]);
            // The opcode is a letter itself, so that it is part of what looks like a name.
            let imports = module.len() > 1 && module.iter().any(|byte| matches!(byte, b'c' | b'i'));
            let name: &[u8] = head[end + 1..].split(|&byte| byte == b'\n').next().unwrap_or_default();
            imports && !name.is_empty() && name.iter().all(names)
        }),
    }
}

impl<R: Read> Decoded<R> {
    pub(super) const fn new(inner: R, coding: Coding) -> Self {
        let step = match coding {
            Coding::Base64 => 6,
            Coding::Hex => 4,
            Coding::Plain => 8,
        };
        Self { inner, step, held: 0, sum: 0 }
    }
}

/// What a byte stands for, as one of `step` bits.
fn digit(step: u32, byte: u8) -> Option<u32> {
    let digit = match (step, byte) {
        (4, _) => return char::from(byte).to_digit(16),
        (8, _) => byte,
        (_, b'A'..=b'Z') => byte - b'A',
        (_, b'a'..=b'z') => byte - b'a' + 26,
        (_, b'0'..=b'9') => byte - b'0' + 52,
        (_, b'+' | b'-') => 62,
        (_, b'/' | b'_') => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut raw = vec![0; buffer.len().min(8192)];
        loop {
            let read = self.inner.read(&mut raw)?;
            if read == 0 {
                return Ok(0);
            }
            let mut filled = 0;
            let step = self.step;
            for digit in raw[..read].iter().filter_map(|&byte| digit(step, byte)) {
                self.sum = self.sum << self.step | digit;
                self.held += self.step;
                if self.held >= 8 {
                    self.held -= 8;
                    buffer[filled] = (self.sum >> self.held) as u8;
                    filled += 1;
                    self.sum &= (1 << self.held) - 1;
                }
            }
            if filled > 0 {
                return Ok(filled);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_is_known_in_any_dress() {
        assert_eq!(looks_like(b"\x80\x04\x95\x10\0\0\0\0\0\0\0"), Some(Coding::Plain));
        assert_eq!(looks_like(b"(S'id'\ncos\nsystem\n"), Some(Coding::Plain));
        assert_eq!(looks_like(b"gASVIwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU"), Some(Coding::Base64));
        assert_eq!(looks_like(b"Y29zCnN5c3RlbQooUydpZCcKdFIu"), Some(Coding::Base64));
        assert_eq!(looks_like(b"80049523000000000000008c05"), Some(Coding::Hex));
        assert_eq!(looks_like(b"a plain sentence of some length"), None);
        assert_eq!(looks_like(b"great things come to those who wait"), None);
    }

    #[test]
    fn decoding_leaves_out_what_is_no_digit() -> io::Result<()> {
        let mut text = String::new();
        Decoded::new(&b"aG Vs\nbG8="[..], Coding::Base64).read_to_string(&mut text)?;
        assert_eq!(text, "hello");
        Ok(())
    }
}
