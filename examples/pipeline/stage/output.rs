//! What a command says, kept in a file: all of it up to a length, and the end of it for people at once.

use std::{collections::VecDeque, fs::File, io, io::Write as _, path::Path};

use crate::words::plain;

/// Where what is said is kept.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    longest: u64,
    written: u64,
    dropped: u64,
    end: VecDeque<u8>,
}

/// Bytes of the end that is remembered.
const END: usize = 4 << 10;

impl Output {
    /// Kept at `path` up to `longest` bytes; what comes after that is counted, and gone.
    pub(crate) fn create(path: &Path, longest: u64) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, longest, written: 0, dropped: 0, end: VecDeque::new() })
    }

    /// Keeps `bytes`. A disk that is full loses them, and does not end the command.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.end.extend(bytes);
        let surplus = self.end.len().saturating_sub(END);
        self.end.drain(..surplus);
        let room = usize::try_from(self.longest - self.written).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        match self.file.write_all(kept) {
            Ok(()) => {
                self.written += kept.len() as u64;
                self.dropped += (bytes.len() - kept.len()) as u64;
            }
            Err(_) => self.dropped += bytes.len() as u64,
        }
    }

    /// Says in the file that it is not all, if it is not; and how many bytes are gone.
    pub(crate) fn close(&mut self) -> u64 {
        if self.dropped > 0 {
            let _full = writeln!(self.file, "\n[{} more bytes were not kept]", self.dropped);
        }
        self.dropped
    }

    /// The last lines that were said, each fit to be shown.
    pub(crate) fn last(&self, lines: usize) -> Vec<String> {
        let bytes: Vec<u8> = self.end.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let said: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        said[said.len().saturating_sub(lines)..].iter().map(|line| plain(line)).collect()
    }
}
