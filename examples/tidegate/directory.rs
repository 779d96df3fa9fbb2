//! A registry in a directory.

use std::{fmt, fs, io, path::PathBuf};

use anyhow::Result;
use tidegate::registry::{Error, ObjectBacked};

use crate::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory(pub(crate) PathBuf);

/// What lies where a registry may be.
enum Found {
    /// A registry.
    Registry,
    /// No directory, or an empty one.
    Nothing,
    /// A directory of something else.
    Other,
}

const FILE: &str = "is a file, or lies below one; a registry is a directory";

/// The file that every registry has, from its beginning on.
const MARKER: &str = "tidegate.json";

impl Directory {
    /// The registry that is there.
    pub(crate) async fn find(&self) -> Result<Option<ObjectBacked>> {
        match self.inspect()? {
            Found::Registry => Ok(Some(ObjectBacked::directory(&self.0).await?)),
            Found::Nothing | Found::Other => Ok(None),
        }
    }

    pub(crate) async fn find_or_begin(&self) -> Result<ObjectBacked> {
        match self.inspect()? {
            Found::Registry | Found::Nothing => Ok(ObjectBacked::directory(&self.0).await?),
            Found::Other => {
                Err(self.misused("is not empty and no registry; name a new or an empty directory").into())
            }
        }
    }

    pub(crate) fn expect_writable(&self) -> Result<()> {
        // A file without a name, which nobody sees.
        tempfile::tempfile_in(&self.0).map(drop).map_err(|error| self.local("write to", error).into())
    }

    fn inspect(&self) -> Result<Found> {
        let read = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => anyhow::Error::new(self.misused(FILE)),
            _ => self.local("read", error).into(),
        };
        match fs::metadata(&self.0) {
            Ok(found) if !found.is_dir() => return Err(self.misused(FILE).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            found => found.map_err(read)?,
        };
        if self.0.join(MARKER).try_exists().map_err(read)? {
            return Ok(Found::Registry);
        }
        let empty = fs::read_dir(&self.0).map_err(read)?.next().is_none();
        Ok(if empty { Found::Nothing } else { Found::Other })
    }

    fn misused(&self, why: &str) -> Failure {
        Failure::Misused(format!("{self} {why}"))
    }

    fn local(&self, action: &'static str, source: io::Error) -> Error {
        Error::Local { action, path: self.0.clone(), source }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
