//! How a file gets from the cache to where it is wanted.

use std::{fs, io, path::Path};

use crate::{
    Result,
    transfer::{blocking::local, disk::share},
};

/// How a file gets from the cache to a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// Its bytes are copied, which takes space and time, and always works.
    Copy,
    /// It gets another name. Costs nothing, but the file is read-only, because it is the cached one: a program
    /// that changes it nevertheless damages the cache. Copied where the destination is on another file
    /// system.
    Hard,
    /// It shares the cached one's blocks until either is changed (`FICLONE` on Btrfs, XFS and others): costs
    /// nothing, and the destination is the caller's own. A hard link where the file system cannot do that.
    #[default]
    Share,
}

impl Link {
    /// Puts the file `cached` in place of the empty one at `staged`.
    pub(super) fn give(self, cached: &Path, staged: &Path) -> Result<()> {
        if self == Self::Share && shared(cached, staged).is_ok() {
            return Ok(());
        }
        if self != Self::Copy {
            fs::remove_file(staged).map_err(local("replace", staged))?;
            if fs::hard_link(cached, staged).is_ok() {
                return Ok(());
            }
        }
        copy(cached, staged).map_err(local("copy a cached file to", staged))
    }
}

fn shared(cached: &Path, staged: &Path) -> io::Result<()> {
    let to = fs::OpenOptions::new().write(true).open(staged)?;
    share(&fs::File::open(cached)?, &to)?;
    to.sync_all()
}

fn copy(cached: &Path, staged: &Path) -> io::Result<()> {
    // Not `fs::copy`, which copies that it is read-only.
    let mut to = fs::File::create(staged)?;
    io::copy(&mut fs::File::open(cached)?, &mut to)?;
    to.sync_all()
}
