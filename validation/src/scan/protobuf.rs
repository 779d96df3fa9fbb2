//! Messages of protocol buffers (<https://protobuf.dev/programming-guides/encoding/>), one field at a time and
//! without a schema, over files of any size.

use super::{
    section::Section,
    walk::{Stop, Walk},
};

const CHUNK: usize = 16 << 10;
/// Longest text that is read.
const LONGEST: u64 = 64 << 10;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number. Those of fixed length are none that is looked at, so that they come as zero.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(Part),
}

/// A run of bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
    pub(super) at: u64,
}

/// A file of messages, of which any part can be read at any time.
pub(super) struct Messages<'r, 'a> {
    section: &'r mut Section<'a>,
    held: Vec<u8>,
    held_at: u64,
}

impl<'r, 'a> Messages<'r, 'a> {
    pub(super) const fn new(section: &'r mut Section<'a>) -> Self {
        Self { section, held: Vec::new(), held_at: 0 }
    }

    /// The whole file as one message.
    pub(super) const fn whole(&self) -> Part {
        Part { start: 0, end: self.section.len() }
    }

    /// The field at the beginning of `rest`, which is then behind it; `None` at the end.
    pub(super) fn next(&mut self, rest: &mut Part) -> Result<Option<Field>, Stop> {
        let at = rest.start;
        if at >= rest.end {
            return Ok(None);
        }
        let tag = self.varint(rest)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint(rest)?),
            1 => Value::Number(skip(rest, 8).map(|_| 0)?),
            2 => {
                let len = self.varint(rest)?;
                Value::Bytes(skip(rest, len)?)
            }
            5 => Value::Number(skip(rest, 4).map(|_| 0)?),
            // The ends of a group; what is in it is read like the rest.
            3 | 4 => Value::Number(0),
            _ => return Err(Stop::Malformed { offset: at, what: "a field is of no type that there is" }),
        };
        if tag >> 3 == 0 {
            return Err(Stop::Malformed { offset: at, what: "a field has no number" });
        }
        Ok(Some(Field { number: tag >> 3, value, at }))
    }

    /// Calls `each` with every field of a message.
    pub(super) fn each(
        &mut self,
        message: Part,
        walk: &mut Walk<'_>,
        mut each: impl FnMut(&mut Self, &mut Walk<'_>, Field) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut rest = message;
        while let Some(field) = self.next(&mut rest)? {
            walk.budget.work(1)?;
            each(self, walk, field)?;
        }
        Ok(())
    }

    /// A text, of which no more is read than is ever needed.
    pub(super) fn text(&mut self, part: Part) -> Result<String, Stop> {
        let mut bytes = vec![0; (part.end - part.start).min(LONGEST) as usize];
        let read = self.section.read_at(part.start, &mut bytes)?;
        bytes.truncate(read);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn varint(&mut self, rest: &mut Part) -> Result<u64, Stop> {
        let at = rest.start;
        let mut number = 0;
        for shift in 0..10 {
            let byte = self.byte(rest)?;
            number |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Stop::Malformed { offset: at, what: "a number is longer than 64 bits" })
    }

    fn byte(&mut self, rest: &mut Part) -> Result<u8, Stop> {
        let cut = Stop::Malformed { offset: rest.start, what: "a message is cut short" };
        if rest.start >= rest.end {
            return Err(cut);
        }
        let within = rest.start.checked_sub(self.held_at).and_then(|at| self.held.get(at as usize));
        let byte = match within {
            Some(byte) => *byte,
            None => {
                self.held.resize(CHUNK, 0);
                let read = self.section.read_at(rest.start, &mut self.held)?;
                self.held.truncate(read);
                self.held_at = rest.start;
                *self.held.first().ok_or(cut)?
            }
        };
        rest.start += 1;
        Ok(byte)
    }
}

impl Field {
    /// The bytes of a field that has some.
    pub(super) const fn bytes(self) -> Result<Part, Stop> {
        match self.value {
            Value::Bytes(part) => Ok(part),
            Value::Number(_) => {
                Err(Stop::Malformed { offset: self.at, what: "a field is of another type than it should be" })
            }
        }
    }
}

fn skip(rest: &mut Part, len: u64) -> Result<Part, Stop> {
    let start = rest.start;
    match start.checked_add(len) {
        Some(end) if end <= rest.end => {
            rest.start = end;
            Ok(Part { start, end })
        }
        _ => Err(Stop::Malformed { offset: start, what: "a field reaches over the end of its message" }),
    }
}
