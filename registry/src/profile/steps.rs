//! A binary header read as it arrives, one small piece after the other.

use std::fmt;

use super::reading::{Damage, Facts};

/// Bytes that a piece may have. More would be names of more than 64 KiB.
const LARGEST: usize = 128 << 10;

/// Reads a file of one kind.
///
/// Takes its bytes in blocks of any size. Which sizes makes no difference to what it finds.
pub(super) trait Scan: fmt::Debug + Send + Sync {
    /// Takes in the next bytes.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Damage>;

    /// How many of the next bytes make no difference; `u64::MAX` when nothing does any more.
    fn idle(&self) -> u64;

    /// Passes over `count` bytes, at most those that [`idle`](Self::idle) said.
    fn pass(&mut self, count: u64);

    /// What a file of `size` bytes says, all of which were fed or passed.
    fn finish(self: Box<Self>, size: u64) -> Result<Facts, Damage>;
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing more is needed.
    Done,
    /// So many bytes are needed at once; more than there were.
    Need(usize),
    /// So many bytes were taken: as many as were needed last, where anything was.
    Took(usize),
    /// So many were taken, and so many behind them make no difference.
    Skip(usize, u64),
}

/// Takes pieces from the beginning of what has arrived.
pub(super) trait Pieces {
    /// Looks at `bytes`, which lie `at` bytes into the file. With too few, nothing may change.
    fn step(&mut self, at: u64, bytes: &[u8]) -> Result<Step, Damage>;

    /// What a file of `size` bytes says; `between` pieces it ended, or within one.
    fn finish(self, size: u64, between: bool) -> Result<Facts, Damage>;
}

/// Cuts a stream into the pieces that `P` asks for.
#[derive(Debug, Default)]
pub(super) struct Steps<P> {
    pieces: P,
    /// The beginning of a piece of `need` bytes.
    held: Vec<u8>,
    need: usize,
    skip: u64,
    at: u64,
    done: bool,
}

impl<P: Pieces + fmt::Debug + Send + Sync> Scan for Steps<P> {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while !bytes.is_empty() && !self.done {
            if self.skip > 0 {
                let count = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.pass(count as u64);
                bytes = &bytes[count..];
            } else if self.need == 0 {
                let step = self.pieces.step(self.at, bytes)?;
                let taken = self.follow(step)?;
                bytes = &bytes[taken..];
            } else {
                let count = bytes.len().min(self.need - self.held.len());
                self.held.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                if self.held.len() == self.need {
                    let step = self.pieces.step(self.at, &self.held)?;
                    let taken = self.follow(step)?;
                    debug_assert!(taken == 0 || taken == self.held.len(), "a piece is what was needed");
                    if taken > 0 {
                        self.held.clear();
                    }
                }
            }
        }
        Ok(())
    }

    fn idle(&self) -> u64 {
        if self.done { u64::MAX } else { self.skip }
    }

    fn pass(&mut self, count: u64) {
        self.skip = self.skip.saturating_sub(count);
        self.at = self.at.saturating_add(count);
    }

    fn finish(self: Box<Self>, size: u64) -> Result<Facts, Damage> {
        let between = self.held.is_empty() && self.skip == 0;
        self.pieces.finish(size, between)
    }
}

impl<P> Steps<P> {
    /// How many bytes were taken.
    fn follow(&mut self, step: Step) -> Result<usize, Damage> {
        let (taken, skip) = match step {
            Step::Done => {
                self.done = true;
                (0, 0)
            }
            Step::Need(need) if need > LARGEST => {
                return Err(Damage::new("it has a name of more than 64 KiB"));
            }
            Step::Need(need) => {
                self.need = need;
                return Ok(0);
            }
            Step::Took(taken) => (taken, 0),
            Step::Skip(taken, skip) => (taken, skip),
        };
        self.need = 0;
        self.skip = skip;
        self.at = self.at.saturating_add(taken as u64);
        Ok(taken)
    }
}
