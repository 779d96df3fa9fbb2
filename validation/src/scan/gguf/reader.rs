//! Numbers and strings of a GGUF file, in its byte order.

use super::{MAGIC, MOST};
use crate::scan::{
    limits::Limit,
    section::Section,
    walk::{Stop, Walk},
};

const CHUNK: usize = 64 << 10;

/// Reads from one end to the other, and never over it.
pub(super) struct Reader<'r, 'a, 's> {
    section: &'r mut Section<'a>,
    pub(super) walk: &'r mut Walk<'s>,
    at: u64,
    held: Vec<u8>,
    held_at: u64,
    big_endian: bool,
    version: u32,
}

impl<'r, 'a, 's> Reader<'r, 'a, 's> {
    /// A reader behind the magic number and the version.
    pub(super) fn new(section: &'r mut Section<'a>, walk: &'r mut Walk<'s>) -> Result<Self, Stop> {
        let mut reader = Self {
            section,
            walk,
            at: MAGIC.len() as u64,
            held: Vec::new(),
            held_at: 0,
            big_endian: false,
            version: 0,
        };
        let version = reader.u32()?;
        // The byte order is nowhere said: versions are small.
        reader.big_endian = version & 0xffff == 0;
        reader.version = if reader.big_endian { version.swap_bytes() } else { version };
        if !(1..=3).contains(&reader.version) {
            return Err(Stop::Malformed { offset: 4, what: "it is of no version that there is" });
        }
        Ok(reader)
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) const fn left(&self) -> u64 {
        self.section.len().saturating_sub(self.at)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        let bytes = self.take::<4>()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn u64(&mut self) -> Result<u64, Stop> {
        let bytes = self.take::<8>()?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A length or count: of 32 bits in the first version.
    pub(super) fn length(&mut self) -> Result<u64, Stop> {
        if self.version == 1 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// A number of keys or tensors.
    pub(super) fn count(&mut self) -> Result<u64, Stop> {
        let at = self.at;
        let count = self.length()?;
        if count > self.left() {
            return Err(Stop::Malformed { offset: at, what: "it counts more than the file has bytes" });
        }
        if count > MOST { Err(Stop::Limit(Limit::Members)) } else { Ok(count) }
    }

    /// A string of at most `longest` bytes.
    pub(super) fn string(&mut self, longest: u64, what: &'static str) -> Result<String, Stop> {
        let at = self.at;
        let (start, len) = self.skip_string()?;
        if len > longest {
            return Err(Stop::Malformed { offset: at, what });
        }
        let mut bytes = vec![0; len as usize];
        let from = (start - self.held_at) as usize;
        match self.held.get(from..from + bytes.len()) {
            Some(held) => bytes.copy_from_slice(held),
            None => {
                self.section.read_at(start, &mut bytes)?;
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where a string lies, behind which it reads on.
    pub(super) fn skip_string(&mut self) -> Result<(u64, u64), Stop> {
        let len = self.length()?;
        let start = self.at;
        self.skip(len)?;
        Ok((start, len))
    }

    pub(super) fn skip(&mut self, len: u64) -> Result<(), Stop> {
        self.walk.budget.work(1)?;
        if len > self.left() {
            return Err(Stop::Malformed {
                offset: self.at,
                what: "a value reaches over the end of the file",
            });
        }
        self.at += len;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let at = self.at;
        self.skip(N as u64)?;
        let within = at.checked_sub(self.held_at).map(|from| from as usize);
        let held = |bytes: &[u8], from: usize| bytes.get(from..)?.first_chunk::<N>().copied();
        if let Some(bytes) = within.and_then(|from| held(&self.held, from)) {
            return Ok(bytes);
        }
        self.held.resize(CHUNK, 0);
        let read = self.section.read_at(at, &mut self.held)?;
        self.held.truncate(read);
        self.held_at = at;
        held(&self.held, 0).ok_or(Stop::Malformed { offset: at, what: "the file is cut short" })
    }
}
