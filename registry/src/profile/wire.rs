//! Fields of protocol buffers, as they lie in a file.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use super::reading::Damage;

/// A field at the beginning of some bytes, without what a length stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Wire,
    /// Bytes of the tag, and of the varint or the length behind it.
    pub(super) taken: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// So many bytes that stand for a number.
    Fixed(u64),
    /// So many bytes follow: a message, a text, packed numbers.
    Length(u64),
    Varint(u64),
}

/// Reads a field; nothing where there are too few bytes.
pub(super) fn field(bytes: &[u8]) -> Result<Option<Field>, Damage> {
    let Some((tag, begin)) = varint(bytes)? else { return Ok(None) };
    let number = tag >> 3;
    let of = |value, taken| Ok(Some(Field { number, value, taken }));
    match tag & 7 {
        1 => of(Wire::Fixed(8), begin),
        5 => of(Wire::Fixed(4), begin),
        kind @ (0 | 2) => {
            let Some((value, length)) = varint(&bytes[begin..])? else { return Ok(None) };
            of(if kind == 0 { Wire::Varint(value) } else { Wire::Length(value) }, begin + length)
        }
        _ => Err(Damage::new("it has a field of a kind that protocol buffers do not have")),
    }
}

/// A number, and its bytes; nothing where there are too few.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Damage> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        // The tenth byte holds the last bit.
        if at == 9 && *byte > 1 {
            return Err(Damage::new("it has a number of more than 64 bits"));
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((number, at + 1)));
        }
    }
    Ok(None)
}
