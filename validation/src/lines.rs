//! Lines of files from outside, none of them longer than it may be.

use std::io::{self, BufRead, Read as _};

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is longer than it may be.
    TooLong,
    /// With the input: whoever wrote it may not have finished it.
    Torn,
    /// There is no line any more.
    None,
    /// With a line's end.
    Whole,
}

/// Reads the next line of at most `longest` bytes into `line`, its end included.
pub(crate) fn next(input: &mut impl BufRead, line: &mut Vec<u8>, longest: usize) -> io::Result<Ending> {
    line.clear();
    let read = input.take((longest as u64).saturating_add(1)).read_until(b'\n', line)?;
    Ok(match line.last() {
        _ if read > longest => Ending::TooLong,
        None => Ending::None,
        Some(b'\n') => Ending::Whole,
        Some(_) => Ending::Torn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_four_ways() {
        let mut input = &b"ab\n\n123456\nc"[..];
        let mut line = Vec::new();
        let mut told = Vec::new();
        while told.last() != Some(&Ending::None) {
            told.push(next(&mut input, &mut line, 4).unwrap());
        }
        // What is left of a line that is too long is another one.
        let [whole, torn] = [Ending::Whole, Ending::Torn];
        assert_eq!(told, [whole, whole, Ending::TooLong, whole, torn, Ending::None]);
    }
}
