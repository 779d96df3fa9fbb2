//! The windows that were taken, in a file, so that a judge that was killed goes on.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    criteria::Criteria,
    lines::{Line, Lines},
};
use crate::failure::Failure;

/// A file of one line that says by what is judged, and then of windows as they were read.
#[derive(Debug)]
pub(crate) struct State {
    file: File,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Heading {
    /// The version of this format.
    tidegate_judge: u32,
    criteria: Criteria,
}

impl State {
    const VERSION: u32 = 1;

    /// Opens the file, or begins it, and has `take` hear the windows in it.
    pub(crate) fn open(
        path: &Path,
        criteria: &Criteria,
        mut take: impl FnMut(Line) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let named = format!("state `{}`", path.display());
        let misused = |why: String| Failure::Misused(format!("{named} {why}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file =
            file.map_err(|error| misused(format!("cannot be opened: {error}; name a file to keep")))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => misused("is in use by another judge; name another file".to_owned()),
            TryLockError::Error(error) => misused(format!("cannot be locked: {error}")),
        })?;
        let heading =
            serde_json::to_string(&Heading { tidegate_judge: Self::VERSION, criteria: criteria.clone() });
        let heading = heading.expect("a criterion is written as JSON");

        let mut lines = Lines::new(BufReader::new(&file), Some(&named));
        let first = lines.next()?;
        let mut kept = lines.read;
        match &first {
            Some(line) if line.is_whole => Heading::expect(&line.text, criteria).map_err(misused)?,
            // Killed while it wrote its first line.
            Some(line) if heading.starts_with(&line.text) && !line.text.is_empty() => kept = 0,
            Some(_) => {
                return Err(misused("was not written by `tidegate judge`; name another file".to_owned()));
            }
            None => kept = 0,
        }
        if kept > 0 {
            while let Some(line) = lines.next()? {
                if !line.is_whole {
                    break;
                }
                take(line)?;
                kept = lines.read;
            }
        }
        let mut state = Self { file, path: path.to_owned() };
        // What was torn when the program was killed is cut off; nobody was answered on account of it.
        state.file.set_len(kept).map_err(|error| state.lost(error))?;
        state.file.seek(SeekFrom::End(0)).map_err(|error| state.lost(error))?;
        if kept == 0 {
            state.keep(&heading)?;
            state.keep_name().map_err(|error| state.lost(error))?;
        }
        Ok(state)
    }

    /// Keeps one more line for good.
    pub(crate) fn keep(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.and_then(|()| self.file.sync_data()).map_err(|error| self.lost(error))
    }

    /// A file that is new is there for good when its directory is.
    #[cfg(unix)]
    fn keep_name(&self) -> io::Result<()> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    #[cfg(not(unix))]
    fn keep_name(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn lost(&self, source: io::Error) -> Failure {
        Failure::Lost { what: format!("state `{}` cannot be written", self.path.display()), source }
    }
}

impl Heading {
    /// Whether the file that begins with this line is of the same criteria.
    fn expect(line: &str, criteria: &Criteria) -> Result<(), String> {
        let heading: Self = serde_json::from_str(line)
            .map_err(|_| "was not written by this `tidegate judge`; name another file".to_owned())?;
        if heading.tidegate_judge != State::VERSION {
            return Err("is of another version of tidegate; name another file".to_owned());
        }
        if heading.criteria != *criteria {
            return Err(format!(
                "was begun with other options, those of {}; use the same again, or name another file",
                line.trim()
            ));
        }
        Ok(())
    }
}
