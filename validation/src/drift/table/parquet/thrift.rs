//! Structs in Thrift's compact protocol, walked through and not believed.

use std::io::Read;

use super::{Wrong, damaged};

/// A number of 8 bits.
pub(super) const INT8: u8 = 3;
/// A number of 16 bits.
pub(super) const INT16: u8 = 4;
/// A number of 32 bits.
pub(super) const INT32: u8 = 5;
/// A number of 64 bits.
pub(super) const INT64: u8 = 6;
/// A floating-point number.
pub(super) const DOUBLE: u8 = 7;
/// Bytes or a text.
pub(super) const BINARY: u8 = 8;
/// A list.
pub(super) const LIST: u8 = 9;
/// A struct.
pub(super) const STRUCT: u8 = 12;

/// What is known to be in a field, a list or a struct.
///
/// The decoder goes by the numbers of fields and reads what it knows to be there, whatever kind the field says it is
/// of. A field of another kind would be other bytes to it, with whatever it likes in them, so it is an error here.
pub(super) enum Shape {
    Boolean,
    /// A value of this kind.
    Of(u8),
    /// So many at most of what it holds, and what those are called: the decoder makes room for all before it reads one.
    List(&'static Self, u64, &'static str),
    /// By number; what is of another is passed over by the decoder as well.
    Struct(&'static [(i64, Self)]),
}

/// How deep structs and lists in what is passed over are.
const DEEPEST: u32 = 8;

/// Goes through bytes and counts them; whatever does not belong there is an error, and nothing is kept.
pub(super) struct Walker<R> {
    input: R,
    read: u64,
    /// What is said of bytes that are not what they should be.
    malformed: &'static str,
}

impl<R: Read> Walker<R> {
    pub(super) const fn new(input: R, malformed: &'static str) -> Self {
        Self { input, read: 0, malformed }
    }

    /// How many bytes it has gone through.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    pub(super) fn malformed<T>(&self) -> Result<T, Wrong> {
        Err(damaged(self.malformed))
    }

    /// Calls `visit` with the number and the kind of each field of a struct; it has to go through the value, or to
    /// [pass](Self::pass) it over.
    pub(super) fn fields(
        &mut self,
        visit: &mut dyn FnMut(&mut Self, i64, u8) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                step => id + i64::from(step),
            };
            // Readers keep 16 bits of it, so that a greater one would be another to them.
            if !(0..=i64::from(i16::MAX)).contains(&id) {
                return self.malformed();
            }
            visit(self, id, kind)?;
        }
    }

    /// Goes over a value of this kind that is to be of this shape.
    pub(super) fn expect(&mut self, kind: u8, shape: &Shape) -> Result<(), Wrong> {
        match (shape, kind) {
            (Shape::Boolean, 1 | 2) => Ok(()),
            (Shape::Of(expected), kind) if kind == *expected => self.pass(kind),
            (Shape::List(held, most, named), LIST) => {
                let (kind, count) = self.list()?;
                if count > *most {
                    let why =
                        format!("it says it has {count} {named}, more than {most}; write it with fewer");
                    return Err(Wrong::new("", why));
                }
                (0..count).try_for_each(|_| self.expect(kind, held))
            }
            (Shape::Struct(known), STRUCT) => {
                self.fields(&mut |walker, id, kind| walker.field(id, kind, known))
            }
            _ => self.malformed(),
        }
    }

    /// Goes over a field, of which these are known.
    pub(super) fn field(&mut self, id: i64, kind: u8, known: &[(i64, Shape)]) -> Result<(), Wrong> {
        match known.iter().find(|(known, _)| *known == id) {
            Some((_, shape)) => self.expect(kind, shape),
            None => self.pass(kind),
        }
    }

    /// The kind and the number of what a list holds.
    pub(super) fn list(&mut self) -> Result<(u8, u64), Wrong> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((head & 0x0f, count))
    }

    /// Goes over a value of this kind.
    pub(super) fn pass(&mut self, kind: u8) -> Result<(), Wrong> {
        self.pass_within(kind, DEEPEST)
    }

    fn pass_within(&mut self, kind: u8, deep: u32) -> Result<(), Wrong> {
        let deeper = || deep.checked_sub(1).ok_or_else(|| damaged("its metadata are nested too deeply"));
        match kind {
            1 | 2 => {}
            3 => _ = self.byte()?,
            4..=6 => _ = self.varint()?,
            7 => self.skip(8)?,
            BINARY => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            LIST | 10 => {
                let (kind, count) = self.list()?;
                let deep = deeper()?;
                // The decoder takes them for no bytes at all, and others for one each.
                if matches!(kind, 1 | 2) && count > 0 {
                    return self.malformed();
                }
                // Each takes a byte at least, so that it ends with the input.
                for _ in 0..count {
                    self.pass_within(kind, deep)?;
                }
            }
            STRUCT => {
                let deep = deeper()?;
                self.fields(&mut |walker, _, kind| walker.pass_within(kind, deep))?;
            }
            _ => return self.malformed(),
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        let mut byte = [0];
        if self.input.read_exact(&mut byte).is_err() {
            return self.malformed();
        }
        self.read += 1;
        Ok(byte[0])
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<(), Wrong> {
        let skipped = std::io::copy(&mut self.input.by_ref().take(length), &mut std::io::sink())?;
        self.read += skipped;
        if skipped == length { Ok(()) } else { self.malformed() }
    }

    pub(super) fn varint(&mut self) -> Result<u64, Wrong> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.malformed()
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, Wrong> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
