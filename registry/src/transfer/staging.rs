//! Where a download is put together before it gets its name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{blocking::local, directories::open_for_lock};
use crate::Result;

/// How the names of staging directories begin, which no file of a version may have.
pub(crate) const STAGING: &str = ".tidegate-";

/// A hidden directory on the same file system, removed when dropped. It is locked while it is in use, so
/// that what a killed program has left can be told from what another one is filling.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    _lock: Option<fs::File>,
}

impl Staging {
    /// Makes one in `directory`, and removes those that nobody uses any more.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        remove_stale(directory);
        loop {
            let path = directory.join(format!("{STAGING}{}", Uuid::now_v7()));
            fs::create_dir(&path).map_err(local("create", &path))?;
            let lock = open_for_lock(&path);
            let taken = lock
                .as_ref()
                .is_some_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)));
            // Another program may have taken it for stale before it was locked.
            if !taken && path.is_dir() {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.path) {
            // It became the destination.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot remove the staging directory")
            }
            Ok(()) => {}
        }
    }
}

/// Removes staging directories in `directory` whose programs are gone, as far as it can.
fn remove_stale(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::<_, io::Error>::ok) {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(STAGING));
        let is_staging = id.is_some_and(|id| Uuid::try_parse(id).is_ok())
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_staging {
            continue;
        }
        // Held until it is gone, so that nobody comes to use it meanwhile.
        let lock = open_for_lock(&entry.path()).filter(|lock| lock.try_lock().is_ok());
        if lock.is_some() && fs::remove_dir_all(entry.path()).is_ok() {
            tracing::debug!(path = %entry.path().display(), "removed what a broken-off download left");
        }
    }
}
