//! Bytes of a dataset, hashed as they pass and bounded where they end.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
    sync::Arc,
};

use tidegate_registry::{Digest, Hasher};

use crate::{
    flaw::Flaw,
    lines::{self, Ending},
};

/// Bytes of the longest line, and of the longest record of CSV.
pub(crate) const LONGEST_LINE: usize = 4 << 20;
/// Bytes of the longest document that is read whole.
pub(super) const LONGEST_DOCUMENT: usize = 16 << 20;

/// Where the bytes of a dataset are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Bytes(Arc<[u8]>),
    File(Arc<Path>),
}

/// The bytes, from their beginning, without a byte-order mark.
pub(crate) type Input = BufReader<Hashing>;

/// Hashes what is read through it.
#[derive(Debug)]
pub(crate) struct Hashing {
    from: Bytes,
    hasher: Hasher,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Cursor<Arc<[u8]>>),
}

impl Source {
    pub(crate) fn open(&self) -> Result<Input, Flaw> {
        let from = match self {
            Self::Bytes(bytes) => Bytes::Memory(Cursor::new(Arc::clone(bytes))),
            Self::File(path) => Bytes::File(open(path).map_err(|error| unreadable(&error))?),
        };
        let mut input = BufReader::new(Hashing { from, hasher: Hasher::default() });
        let starts_with_mark = input.fill_buf().map_err(|error| unreadable(&error))?.starts_with(MARK);
        if starts_with_mark {
            input.consume(MARK.len());
        }
        Ok(input)
    }
}

const MARK: &[u8] = "\u{feff}".as_bytes();

/// Opens a regular file; opening a pipe could take for ever.
fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    File::open(path)
}

/// The next line with its end, into `line`; false at the end of the input.
pub(crate) fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, longest: usize) -> Result<bool, Flaw> {
    match lines::next(input, line, longest).map_err(|error| unreadable(&error))? {
        Ending::None => Ok(false),
        Ending::Torn | Ending::Whole => Ok(true),
        Ending::TooLong => {
            let why = format!("the line is longer than {longest} bytes; is it of another format?");
            Err(Flaw::new("", why))
        }
    }
}

/// All that is left.
pub(super) fn whole(input: &mut impl BufRead) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::new();
    input.take(LONGEST_DOCUMENT as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > LONGEST_DOCUMENT {
        let why = format!(
            "a document that is no JSON Lines or CSV may have {LONGEST_DOCUMENT} bytes at most, and this has more; write it as JSON Lines"
        );
        return Err(Flaw::new("", why));
    }
    Ok(bytes)
}

/// The digest of everything, once the end is reached; what is left unread is read for it.
pub(super) fn digest(mut input: Input) -> Result<Digest, Flaw> {
    io::copy(&mut input, &mut io::sink()).map_err(|error| unreadable(&error))?;
    Ok(input.into_inner().hasher.finish())
}

pub(super) fn unreadable(error: &io::Error) -> Flaw {
    Flaw::unreadable(error)
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.from {
            Bytes::File(file) => file.read(buffer)?,
            Bytes::Memory(bytes) => bytes.read(buffer)?,
        };
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
