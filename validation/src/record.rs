//! Where the trials of a run are written down as they happen, and found again by a run that was killed.

mod line;
mod reader;
mod recording;
mod shares;

use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) use self::{
    line::{Begin, Difference, Ended, Header, Past, Said, Trial},
    recording::Recording,
    shares::{Share, Shares},
};

/// A file that takes one line of JSON for each trial of the checks that stream, as soon as it is scored, and one for
/// what each other check found.
///
/// If the file exists, the run goes on from it: what was answered is not asked again, and a last line that was
/// not written to its end is dropped. A check that asks and keeps no trials, such as `latency`, is made anew unless what
/// it found is there and decided, with the same settings, instruments, concurrency and timeout of a call. It must then be the same run: same version, suite, agent and seed, and
/// the same questions and settings of each check. What the agent gave no answer to is asked again, and so is what
/// could not be scored because a judge or an embedder did not answer, unless they refused it for good. What was spent stays spent: the run has what was
/// left of its budget, and reports all. Of a process that was killed, calls that it had begun after the last line are
/// not known.
///
/// The records of all shares of a run are merged with [`Suite::merge`](crate::Suite::merge).
///
/// Each line is handed to the operating system before the next trial of its turn begins, so that a killed
/// process loses nothing; the disk has it after a batch of lines, and at the end of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    path: PathBuf,
    keep: Keep,
}

/// How much of a reply is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// Its beginning, fit for a line of a report.
    #[default]
    Excerpt,
    /// All of its text, up to 4 MiB.
    Whole,
}

/// What a record lacks that a run which goes on from it asks again. A question that the agent will not answer, however
/// often it is asked, is no gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gaps {
    /// Trials of which nothing is known: the agent gave no answer, or what scores it was not to be had.
    pub lost: u64,
    /// Why trials were lost of which every other one would be lost as well, until somebody changes the credentials, the
    /// account, the name or the address: up to 10 different reasons. Those trials are among the lost.
    pub denied: Vec<String>,
    /// Checks of datasets that did not ask everything, by their names, for the budget was used up.
    pub short: Vec<String>,
    /// Checks of datasets that did not ask everything, by their names: there was too little time, or no use in it.
    pub unasked: Vec<String>,
    /// Trials that were answered and could not be scored, for the budget was used up.
    pub unscored: u64,
}

impl Gaps {
    /// Whether nothing is lacking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the same run may fill some of it if it is made again; where it was [denied](Self::denied), after that was
    /// seen to. What the budget did not suffice for takes a greater one.
    #[must_use]
    pub fn may_be_filled(&self) -> bool {
        self.lost > 0 || !self.unasked.is_empty()
    }
}

/// Why trials cannot be recorded, or a record not be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Another run is writing to it. Wait for that, or record elsewhere.
    #[error("record {path} is written by another run; wait for it to end or record elsewhere", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is of another run. Record elsewhere, or repeat the run that it is of.
    #[error(
        "record {path} is of another run: {what} was {recorded} and is {now}; record elsewhere or restore what it was",
        path = .path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
        /// What it is in the record.
        recorded: String,
        /// What it is in this run.
        now: String,
    },
    /// It could not be read or written. What to do is in the source.
    #[error("record {path} could not be read or written", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no record, or a damaged one. Record elsewhere.
    #[error("line {line} of record {path} cannot be read: {why}; record elsewhere", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl Record {
    /// A record at `path`, which may exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), keep: Keep::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it lacks, once the run is over that writes it; blocking. Of a check that was not begun it does not know.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if it cannot be read, or if a run still writes to it.
    pub fn gaps(&self) -> Result<Gaps, RecordError> {
        Share::read(self).map(|share| share.gaps())
    }

    /// This record, with so much of each reply.
    #[must_use]
    pub const fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }
}
