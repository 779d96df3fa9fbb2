//! Lines of a stream that anybody may have written.

use std::{
    fmt,
    io::{self, BufRead, Read as _},
    sync::Arc,
};

use crate::failure::Failure;

/// The lines of a stream, as they come, with their numbers. Empty ones are passed over.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    of: Option<Arc<str>>,
    number: usize,
    /// Bytes of the lines before and of this one.
    pub(crate) read: u64,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) place: Place,
    /// Without blanks at either end.
    pub(crate) text: String,
    /// Whether the stream says where it ends.
    pub(crate) is_whole: bool,
}

/// Where a line was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    of: Option<Arc<str>>,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    /// The longest line, 1 MiB.
    const LONGEST: u64 = 1 << 20;

    /// `of` names the stream where it is not the one that everybody expects.
    pub(crate) fn new(reader: R, of: Option<&str>) -> Self {
        Self { reader, of: of.map(Arc::from), number: 0, read: 0 }
    }

    /// The next line that is not empty.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut bytes = Vec::new();
            let limited = (&mut self.reader).take(Self::LONGEST + 1).read_until(b'\n', &mut bytes);
            let length = limited.map_err(|error| self.unreadable(error))?;
            if length == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.read += length as u64;
            let place = Place { of: self.of.clone(), number: self.number };
            let is_whole = bytes.ends_with(b"\n");
            if !is_whole && length as u64 > Self::LONGEST {
                return Err(place.wrong("is longer than 1 MiB; write one window a line"));
            }
            let Ok(text) = str::from_utf8(&bytes) else {
                // What was torn may end within a letter; who reads on decides what that means.
                if is_whole {
                    return Err(place.wrong("is no UTF-8; write JSON"));
                }
                return Ok(Some(Line { place, text: String::new(), is_whole }));
            };
            // Some programs begin a stream with a byte order mark.
            let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text };
            if !text.trim().is_empty() {
                return Ok(Some(Line { place, text: text.trim().to_owned(), is_whole }));
            }
        }
    }

    fn unreadable(&self, error: io::Error) -> Failure {
        let of = self.of.as_deref().unwrap_or("standard input");
        Failure::Lost {
            what: format!("{of} cannot be read; name a file of windows, or try again"),
            source: error,
        }
    }
}

impl Place {
    /// What is wrong with the line.
    pub(crate) fn wrong(&self, why: impl fmt::Display) -> Failure {
        Failure::Misused(format!("{self} {why}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.number)?;
        self.of.as_ref().map_or(Ok(()), |of| write!(f, " of {of}"))
    }
}
