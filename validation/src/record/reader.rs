//! Records, read line by line.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use serde::de::DeserializeOwned;
use tidegate_registry::Digest;

use super::{
    RecordError,
    line::{Begin, End, Ended, Found, Header, Past, Spent, Trial},
};
use crate::{
    Outcome, Spending,
    lines::{self, Ending},
};

/// Bytes of the longest line.
pub(super) const LONGEST_LINE: usize = 64 << 20;
/// Of so many trials that were no hit it is remembered why; of the others only that it was so.
const MOST_REMEMBERED: usize = 4_096;
/// How a record begins.
const BEGINNING: &[u8] = br#"{"record":""#;

/// Reads a record line by line.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    path: &'a Path,
    line: u64,
    /// Whether trials are of interest of which nothing is known.
    lost: bool,
}

/// What a record holds.
#[derive(Debug, Default)]
pub(super) struct Old {
    /// None if not even the first line was written to its end.
    pub(super) header: Option<Header>,
    /// Bytes of all whole lines.
    pub(super) length: u64,
    pub(super) begun: HashMap<String, Begin>,
    pub(super) ended: HashMap<String, Ended>,
    pub(super) past: HashMap<[u8; 16], Past>,
    /// What the run took, as it was said last.
    pub(super) spent: Spending,
}

impl<'a> Reader<'a> {
    /// Of a run that goes on: what is not known is asked again.
    pub(super) const fn of_run(path: &'a Path) -> Self {
        Self { path, line: 0, lost: false }
    }

    /// Of a run that is over.
    pub(super) const fn of_past(path: &'a Path) -> Self {
        Self { path, line: 0, lost: true }
    }

    /// Everything that the record holds, if `check` has nothing against its first line.
    pub(super) fn read(
        &mut self,
        file: &File,
        check: impl Fn(&Header) -> Result<(), RecordError>,
    ) -> Result<Old, RecordError> {
        let mut old = Old::default();
        let mut input = BufReader::new(file);
        let mut line = Vec::new();
        let mut remembered = 0;
        loop {
            self.line += 1;
            let ending = lines::next(&mut input, &mut line, LONGEST_LINE);
            match ending.map_err(|source| RecordError::Io { path: self.path.to_owned(), source })? {
                Ending::None | Ending::Torn => {
                    self.torn(&line)?;
                    return Ok(old);
                }
                Ending::TooLong => {
                    return Err(self.malformed(format!("it is longer than {LONGEST_LINE} bytes")));
                }
                Ending::Whole => old.length += line.len() as u64,
            }
            if self.line == 1 {
                let header = self.parse(&line)?;
                check(&header)?;
                old.header = Some(header);
            } else {
                self.add(&line, &mut old, &mut remembered)?;
            }
        }
    }

    fn add(&self, line: &[u8], old: &mut Old, remembered: &mut usize) -> Result<(), RecordError> {
        let begins =
            |name: &str| line.strip_prefix(b"{\"").is_some_and(|rest| rest.starts_with(name.as_bytes()));
        if begins("begin\"") {
            let begin: Begin = self.parse(line)?;
            old.begun.insert(begin.begin.clone(), begin);
        } else if begins("end\"") {
            let End { end, unasked } = self.parse(line)?;
            old.ended.insert(end, Ended::Asked { unasked });
        } else if begins("found\"") {
            let found: Found = self.parse(line)?;
            old.ended.insert(found.found.check.clone(), Ended::Found(Box::new(found)));
        } else if begins("spent\"") {
            let Spent { spent } = self.parse(line)?;
            old.spent = spent;
        } else {
            let mut trial: Trial = self.parse(line)?;
            old.spent = trial.spent;
            if trial.past.lost && !self.lost {
                return Ok(());
            }
            if trial.past.outcome == Outcome::Hit || *remembered >= MOST_REMEMBERED {
                trial.past.why = String::new();
            } else {
                *remembered += 1;
            }
            trial.past.unanswered = trial.reply.is_none();
            old.past.insert(key(&trial.check, &trial.case, trial.trial), trial.past);
        }
        Ok(())
    }

    /// What is left at the end without a line's end. Only of a record is it dropped.
    fn torn(&self, rest: &[u8]) -> Result<(), RecordError> {
        if self.line > 1 || rest.is_empty() {
            return Ok(());
        }
        let blank = rest.iter().all(|&byte| byte == 0);
        let same = rest.len().min(BEGINNING.len());
        match blank || BEGINNING[..same] == rest[..same] {
            true => Ok(()),
            false => Err(self.malformed("it is no record of trials".to_owned())),
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, RecordError> {
        serde_json::from_slice(line).map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, why: String) -> RecordError {
        RecordError::Malformed { path: self.path.to_owned(), line: self.line, why }
    }
}

/// What a trial is found by: enough of the digest of its names, each with its length before it.
pub(super) fn key(check: &str, case: &str, trial: u32) -> [u8; 16] {
    Digest::of(format!("{}:{check}{}:{case}{trial}", check.len(), case.len())).half()
}
