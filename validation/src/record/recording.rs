//! A record that is open: what it holds, and what is added.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

use super::{
    Keep, Record, RecordError,
    line::{Begin, Difference, End, Ended, Found, Header, Past, Spent, Trial},
    reader::{LONGEST_LINE, Reader, key},
};
use crate::{Finding, Reason, Spending, Verdict};

/// After so many lines the disk is made to have them.
const BATCH: u32 = 64;

/// A record that is open.
#[derive(Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    keep: Keep,
    /// What was there already.
    past: HashMap<[u8; 16], Past>,
    tail: Mutex<Tail>,
}

/// The end of the file, where lines are added.
#[derive(Debug)]
struct Tail {
    file: File,
    /// Each check that began.
    begun: HashMap<String, Begin>,
    /// Each check that ended.
    ended: HashMap<String, Ended>,
    /// What the run took, as it was said last.
    spent: Spending,
    /// Lines that the disk may not have yet.
    unsynced: u32,
    /// Whether a line was not written to its end, after which no other may follow.
    torn: bool,
}

impl Recording {
    /// Opens the record of the run that `header` describes; blocking.
    pub(crate) fn open(record: &Record, header: &Header) -> Result<Self, RecordError> {
        let failed = |source| RecordError::Io { path: record.path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&record.path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => RecordError::Busy { path: record.path.clone() },
            TryLockError::Error(source) => failed(source),
        })?;
        let old = Reader::of_run(&record.path).read(&file, |recorded| match recorded.difference(header) {
            Some(difference) => Err(differs(record, difference)),
            None => Ok(()),
        })?;
        file.set_len(old.length).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let tail =
            Tail { file, begun: old.begun, ended: old.ended, spent: old.spent, unsynced: 0, torn: false };
        let recording =
            Self { path: record.path.clone(), keep: record.keep, past: old.past, tail: Mutex::new(tail) };
        if old.length == 0 {
            recording.append(header)?;
        }
        recording.sync_now()?;
        Ok(recording)
    }

    /// Notes that a check begins, unless it did already, in the same way.
    pub(crate) fn begin(&self, begin: &Begin) -> Result<(), RecordError> {
        let recorded = self.lock().begun.get(&begin.begin).cloned();
        match recorded {
            None => {
                self.append(begin)?;
                self.lock().begun.insert(begin.begin.clone(), begin.clone());
                Ok(())
            }
            Some(recorded) => match recorded.difference(begin) {
                None => Ok(()),
                Some(difference) => Err(differs(&Record::at(&self.path), difference)),
            },
        }
    }

    /// Notes that a check which streams asks no more, and why it has not asked everything, if so.
    pub(crate) fn end(&self, check: &str, unasked: Option<&Reason>) -> Result<(), RecordError> {
        let line = End { end: check.to_owned(), unasked: unasked.cloned() };
        self.ended(check, Ended::Asked { unasked: unasked.cloned() }, &line)
    }

    /// Notes what a check found that does not stream, or could not be made, and how, if that is known.
    pub(crate) fn found(&self, finding: &Finding, by: Option<Begin>) -> Result<(), RecordError> {
        let line = Found { found: finding.clone(), by };
        self.ended(&finding.check, Ended::Found(Box::new(line.clone())), &line)
    }

    /// What a check found that does not stream, if that decided and was found in this way.
    pub(crate) fn decided_by(&self, by: &Begin) -> Option<Finding> {
        match self.lock().ended.get(&by.begin)? {
            Ended::Found(line) if !matches!(line.found.verdict, Verdict::Inconclusive(_)) => {
                (line.by.as_ref() == Some(by)).then(|| line.found.clone())
            }
            _ => None,
        }
    }

    /// What became of a trial, if it is known.
    pub(crate) fn past(&self, check: &str, case: &str, trial: u32) -> Option<&Past> {
        self.past.get(&key(check, case, trial))
    }

    /// What the run took, as it was said last.
    pub(crate) fn spent(&self) -> Spending {
        self.lock().spent
    }

    /// Notes what the run took by now, unless that is known.
    pub(crate) fn spend(&self, spent: Spending) -> Result<(), RecordError> {
        if self.spent() != spent {
            self.append(&Spent { spent })?;
            self.lock().spent = spent;
        }
        Ok(())
    }

    /// Adds a trial.
    pub(crate) async fn add(&self, trial: &Trial) -> Result<(), RecordError> {
        let unsynced = self.append(trial)?;
        self.lock().spent = trial.spent;
        match unsynced {
            unsynced if unsynced >= BATCH => self.sync().await,
            _ => Ok(()),
        }
    }

    /// Returns once the disk has every line that was added before.
    pub(crate) async fn sync(&self) -> Result<(), RecordError> {
        let file = {
            let mut tail = self.lock();
            tail.unsynced = 0;
            tail.file.try_clone().map_err(|source| self.failed(source))?
        };
        let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
        synced.map_err(io::Error::other).and_then(|synced| synced).map_err(|source| self.failed(source))
    }

    pub(crate) const fn keep(&self) -> Keep {
        self.keep
    }

    /// Adds `line`, unless the check ended in the same way before.
    fn ended(&self, check: &str, ended: Ended, line: &impl Serialize) -> Result<(), RecordError> {
        if self.lock().ended.get(check) == Some(&ended) {
            return Ok(());
        }
        self.append(line)?;
        self.lock().ended.insert(check.to_owned(), ended);
        Ok(())
    }

    fn sync_now(&self) -> Result<(), RecordError> {
        self.lock().file.sync_data().map_err(|source| self.failed(source))
    }

    /// Writes one line, and says how many the disk may not have.
    fn append(&self, line: &impl Serialize) -> Result<u32, RecordError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| self.failed(io::Error::other(error)))?;
        bytes.push(b'\n');
        if bytes.len() >= LONGEST_LINE {
            let why = format!("a line would be longer than {LONGEST_LINE} bytes; split the check");
            return Err(self.failed(io::Error::other(why)));
        }
        let mut tail = self.lock();
        if tail.torn {
            return Err(self.failed(io::Error::other(
                "an earlier line was not written to its end; free space and run again",
            )));
        }
        if let Err(source) = tail.file.write_all(&bytes) {
            tail.torn = true;
            return Err(self.failed(source));
        }
        tail.unsynced += 1;
        Ok(tail.unsynced)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> RecordError {
        RecordError::Io { path: self.path.clone(), source }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Closing alone keeps the lock for as long as a process that was just forked has not let go of its copy. A
        // lock that cannot be given back ends with the process.
        drop(self.file.unlock());
    }
}

fn differs(record: &Record, Difference { what, recorded, now }: Difference) -> RecordError {
    RecordError::Differs { path: record.path.clone(), what, recorded, now }
}
