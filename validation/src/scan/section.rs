//! A part of what can be read and sought.

use std::io::{self, Read, Seek, SeekFrom};

/// What can be read from anywhere.
pub(crate) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// A run of bytes of a source. It reads from offsets of its own, so that parts of it can be read in
/// between.
pub(crate) struct Section<'a> {
    source: &'a mut dyn Source,
    start: u64,
    len: u64,
    at: u64,
}

impl<'a> Section<'a> {
    /// All of `source`.
    pub(crate) fn whole(source: &'a mut dyn Source) -> io::Result<Self> {
        let len = source.seek(SeekFrom::End(0))?;
        Ok(Self { source, start: 0, len, at: 0 })
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// The part from `start`, of at most `len` bytes.
    pub(crate) fn part(&mut self, start: u64, len: u64) -> Section<'_> {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        Section { source: &mut *self.source, start: self.start + start, len, at: 0 }
    }

    /// Fills `buffer` from `offset` on, as far as there are bytes. A source that has become shorter is an error.
    pub(crate) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        self.source.seek(SeekFrom::Start(self.start + offset))?;
        let mut filled = 0;
        while filled < wanted {
            match self.source.read(&mut buffer[filled..wanted]) {
                // Its length was taken before, and lengths are counted on.
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Section<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
