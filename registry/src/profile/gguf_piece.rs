//! Numbers, names and lengths of a GGUF header.

use super::{reading::Damage, steps::Step};

/// Bytes of a key or of a tensor's name.
const LONGEST_NAME: u64 = 65_535;

/// An array that is being passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    /// The type number of its elements.
    pub(super) element: u32,
    /// How many of them have not been passed.
    pub(super) left: u64,
}

/// The type number of a string.
pub(super) const STRING: u32 = 8;

/// The type number of an array.
pub(super) const ARRAY: u32 = 9;

/// Bytes of a number of type `kind`.
pub(super) fn width(kind: u32) -> Result<u64, Damage> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(Damage::said(format!("it has a value of the unknown type {kind}"))),
    }
}

/// Takes things off the front of a piece.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    bytes: &'a [u8],
    pub(super) taken: usize,
    big_endian: bool,
    /// How long the piece is at least, where it was too short.
    missing: Option<usize>,
}

impl<'a> Piece<'a> {
    pub(super) const fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, taken: 0, big_endian, missing: None }
    }

    pub(super) fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let end = self.taken.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let Some(taken) = self.bytes.get(self.taken..end) else {
            self.missing = Some(end);
            return None;
        };
        self.taken = end;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let number = u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken"));
        Some(if self.big_endian { number.swap_bytes() } else { number })
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let number = u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken"));
        Some(if self.big_endian { number.swap_bytes() } else { number })
    }

    pub(super) fn array(&mut self) -> Option<Array> {
        Some(Array { element: self.u32()?, left: self.u64()? })
    }

    pub(super) fn name(&mut self) -> Result<Option<&'a [u8]>, Damage> {
        let Some(length) = self.u64() else { return Ok(None) };
        if length > LONGEST_NAME {
            return Err(Damage::new("it has a name of more than 64 KiB"));
        }
        Ok(self.take(length))
    }

    /// The number in `bytes`, if its type is for whole ones and it is not negative.
    pub(super) fn natural(&self, kind: u32, bytes: &[u8]) -> Option<u64> {
        const SIGNED: [u32; 4] = [1, 3, 5, 11];
        const UNSIGNED: [u32; 4] = [0, 2, 4, 10];
        if !SIGNED.contains(&kind) && !UNSIGNED.contains(&kind) {
            return None;
        }
        let shift = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let (number, top) = if self.big_endian {
            (bytes.iter().fold(0, shift), bytes.first()?)
        } else {
            (bytes.iter().rev().fold(0, shift), bytes.last()?)
        };
        (UNSIGNED.contains(&kind) || top & 0x80 == 0).then_some(number)
    }

    pub(super) const fn took(&self) -> Step {
        Step::Took(self.taken)
    }

    /// What to ask for when something was missing.
    pub(super) fn need(&self) -> Step {
        Step::Need(self.missing.unwrap_or(self.taken + 1))
    }
}
