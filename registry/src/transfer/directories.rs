//! Directories made on the way, and what keeps two programs apart in one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::blocking::{local, sync_directory};
use crate::Result;

/// Directories that were made for something. Dropping this removes those of them that are empty.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct NewDirectories {
    /// Deepest last.
    made: Vec<PathBuf>,
}

impl NewDirectories {
    /// Makes `directory` and whatever is missing above it.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let mut new = Self::default();
        new.add(directory)?;
        Ok(new)
    }

    /// Makes another one.
    pub(crate) fn add(&mut self, directory: &Path) -> Result<()> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let missing: Vec<_> = directory.ancestors().take_while(is_missing).collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => self.made.push(path.to_owned()),
                // Somebody else made it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(local("create", path)(error)),
            }
        }
        if directory.is_dir() {
            return Ok(());
        }
        Err(local("create", directory)(io::ErrorKind::NotADirectory.into()))
    }

    /// Makes their names durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.made.iter().filter_map(|path| path.parent()).try_for_each(|above| {
            // The parent of `x` is ``, which cannot be opened.
            sync_directory(if above.as_os_str().is_empty() { Path::new(".") } else { above })
        })
    }

    /// Lets them stay.
    pub(crate) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for NewDirectories {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // Fails if somebody put something there, and then it stays.
            let _ = fs::remove_dir(path);
        }
    }
}

/// A directory opened so that it can be locked, where the system can do that: on Unix, on most file
/// systems. The lock goes with the handle, so also with a process that dies.
pub(crate) fn open_for_lock(directory: &Path) -> io::Result<fs::File> {
    if cfg!(unix) { fs::File::open(directory) } else { Err(io::ErrorKind::Unsupported.into()) }
}
