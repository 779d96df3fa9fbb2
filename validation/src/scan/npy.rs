//! Arrays of NumPy (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use super::{
    pickle,
    section::Section,
    walk::{Stop, Walk},
};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy itself warns from 10 000 bytes on.
const LONGEST: u64 = 1 << 20;

/// Scans an array: of objects, it is a pickle.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut head = [0; 12];
    let read = section.read_at(0, &mut head)?;
    let cut = Stop::Malformed { offset: read as u64, what: "the header of the array is cut short" };
    let (start, len) = match head {
        [_, _, _, _, _, _, 1, _, a, b, ..] if read >= 10 => (10, u64::from(u16::from_le_bytes([a, b]))),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d] if read == 12 => {
            (12, u64::from(u32::from_le_bytes([a, b, c, d])))
        }
        _ => return Err(cut),
    };
    if len > LONGEST || start + len > section.len() {
        return Err(cut);
    }
    let mut header = vec![0; len as usize];
    section.read_at(start, &mut header)?;
    let mut content = section.part(start + len, u64::MAX);
    // What is not known to be numbers may be objects to NumPy, which unpickles them.
    match Literal(&header).header() {
        Some(()) => pickle::unlikely(&mut content, walk),
        None => pickle::walk(&mut content, walk),
    }
}

/// What is left of a header, read as strictly as NumPy writes it: no escapes, no prefixes, one literal after the other.
struct Literal<'a>(&'a [u8]);

impl<'a> Literal<'a> {
    /// Most dtypes within dtypes.
    const DEEPEST: u8 = 8;

    fn blanks(&mut self) {
        let blanks = self.0.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.0 = &self.0[blanks..];
    }

    /// Takes this sign, if it is next.
    fn takes(&mut self, sign: u8) -> bool {
        self.blanks();
        let rest = self.0.strip_prefix(&[sign]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        self.blanks();
        let (quote, rest) = self.0.split_first().filter(|(quote, _)| matches!(**quote, b'\'' | b'"'))?;
        let end = rest.iter().position(|byte| byte == quote)?;
        let (text, rest) = (&rest[..end], &rest[end + 1..]);
        self.0 = rest;
        (!text.contains(&b'\\')).then_some(text)
    }

    /// `(3, 4)`, or a number.
    fn shape(&mut self) -> Option<()> {
        if !self.takes(b'(') {
            return self.number();
        }
        while !self.takes(b')') {
            self.number()?;
            if !self.takes(b',') {
                return self.takes(b')').then_some(());
            }
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.blanks();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = &self.0[digits..];
        (digits > 0).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.blanks();
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// A dtype of numbers, texts or times, or a list of such with names.
    fn dtype(&mut self, depth: u8) -> Option<()> {
        if !self.takes(b'[') {
            return self.text().filter(|dtype| is_plain(dtype)).map(|_| ());
        }
        if depth >= Self::DEEPEST {
            return None;
        }
        while !self.takes(b']') {
            (self.takes(b'(')).then_some(())?;
            self.text()?;
            self.takes(b',').then_some(())?;
            self.dtype(depth + 1)?;
            if self.takes(b',') && !self.takes(b')') {
                self.shape()?;
                self.takes(b')').then_some(())?;
            } else if self.0.first() == Some(&b')') {
                self.takes(b')');
            }
            if !self.takes(b',') {
                return self.takes(b']').then_some(());
            }
        }
        Some(())
    }

    /// The whole header.
    fn header(mut self) -> Option<()> {
        self.takes(b'{').then_some(())?;
        let mut descr = false;
        while !self.takes(b'}') {
            let key = self.text()?;
            self.takes(b':').then_some(())?;
            match key {
                // A second one would be the one that counts.
                b"descr" if !descr => {
                    self.dtype(0)?;
                    descr = true;
                }
                b"fortran_order" => self.word(b"True").or_else(|| self.word(b"False"))?,
                b"shape" => self.shape()?,
                _ => return None,
            }
            if !self.takes(b',') {
                self.takes(b'}').then_some(())?;
                break;
            }
        }
        self.blanks();
        (descr && self.0.is_empty()).then_some(())
    }
}

/// `<f8`, `|b1`, `<U12`, `<M8[ns]`: what is in no case an object.
fn is_plain(dtype: &[u8]) -> bool {
    let dtype = match dtype {
        [b'<' | b'>' | b'|' | b'=', rest @ ..] => rest,
        all => all,
    };
    let [kind, rest @ ..] = dtype else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = &rest[digits..];
    let is_unit = |unit: &[u8]| {
        unit.strip_prefix(b"[")
            .and_then(|unit| unit.strip_suffix(b"]"))
            .is_some_and(|unit| unit.is_ascii() && !unit.is_empty())
    };
    match kind {
        b'?' | b'b' | b'i' | b'u' | b'f' | b'c' | b'S' | b'a' | b'U' | b'V' => unit.is_empty(),
        b'm' | b'M' => unit.is_empty() || is_unit(unit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_by_what_cannot_be_anything_else() {
        let is_numbers = |descr: &str| {
            let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2, 3), }}   \n");
            Literal(header.as_bytes()).header().is_some()
        };
        for numbers in [
            "'<f8'",
            "\"|b1\"",
            "'<U12'",
            "'<M8[ns]'",
            "'|V8'",
            "[('a', '<f8'), ('b', '<i4', (2,))]",
            "[('a', [('b', '<f4')])]",
        ] {
            assert!(is_numbers(numbers), "{numbers}");
        }
        for others in [
            "'|O'",
            "'O8'",
            "'object'",
            "'object_'",
            "'i4,O'",
            "'O,i4'",
            "'(2,)O'",
            "'|\\x4f'",
            "b'<f8'",
            "'<f8' '|O'",
            "[('a', '<f8'), ('b', '|O')]",
            "'<f8', 'descr': '|O'",
            "[('a', '<f8')",
        ] {
            assert!(!is_numbers(others), "{others}");
        }
        assert!(Literal(b"{'descr': '<f8', 'fortran_order': True, 'shape': ()}").header().is_some());
    }
}
