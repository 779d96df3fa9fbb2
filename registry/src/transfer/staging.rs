//! Where a download is put together before it gets its name.

use std::{
    collections::HashSet,
    fs, io,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use uuid::Uuid;

use super::{blocking::local, directories::open_for_lock};
use crate::{Digest, Result};

/// How the names of staging directories begin, which no file of a version may have.
pub(crate) const STAGING: &str = ".tidegate-";

/// How long another content's staging waits for somebody to go on with it.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A hidden directory on the same file system. It is named after the content that is put together in it, so
/// that what a killed program has left is found again, and locked while it is in use, so that this can be
/// told from what another one is filling.
///
/// ```text
/// .tidegate-<uuid>/files/…   the files, as they will be delivered
/// .tidegate-<uuid>/parts     which parts of them were verified: `<file> <part>` a line
/// ```
///
/// Removed when dropped, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    verified: HashSet<Verified>,
    kept: bool,
    lock: Option<fs::File>,
}

/// A part of a file, both by their positions in the manifest.
pub(crate) type Verified = (usize, usize);

/// Notes which parts were verified. Only a hint where to look: whoever goes on hashes them again.
#[derive(Debug)]
pub(crate) struct Notes(fs::File);

impl Staging {
    /// Goes on with what there is for `content` in `directory`, or makes a new one; and removes those that
    /// nobody will use any more. If it is `kept`, it stays when it is dropped.
    pub(super) fn open(directory: &Path, content: &Digest, kept: bool) -> Result<(Self, Notes)> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *content.as_bytes();
        let own = Uuid::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]);
        let mut path = directory.join(format!("{STAGING}{own}"));
        let staging = loop {
            let made = match fs::create_dir(&path) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(local("create", &path)(error)),
            };
            let lock = match open_for_lock(&path) {
                // Taken for stale before it was locked. A third may make it anew before one looks again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.ok(),
            };
            let locked = lock.as_ref().map(|lock| lock.try_lock());
            // Where nothing can be locked, only what was made just now is known to be nobody else's.
            let ours = match locked {
                Some(Err(fs::TryLockError::WouldBlock)) => false,
                Some(Ok(())) => true,
                None | Some(Err(_)) => made,
            };
            // Another program may have taken it for stale before it was locked, and that of a download that has
            // just ended is gone; a third may have made it anew since, and then it is not what was locked.
            if ours && is_at(lock.as_ref(), &path) {
                break Self { path, verified: HashSet::new(), kept, lock };
            }
            if !ours {
                path = directory.join(format!("{STAGING}{}", Uuid::now_v7()));
            }
        };
        remove_stale(directory, &staging.path);
        staging.take_up()
    }

    /// Reads what was verified, if all that is there can be ours.
    fn take_up(mut self) -> Result<(Self, Notes)> {
        let (files, notes) = (self.files(), self.path.join("parts"));
        let plain = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if plain(&notes) && is_plain(&files).unwrap_or(false) {
            self.verified = read_notes(&notes);
        } else {
            // Made just now, or it holds what we would never put there.
            clear(&self.path).map_err(local("clear", &self.path))?;
            fs::create_dir(&files).map_err(local("create", &files))?;
        }
        let opened = fs::OpenOptions::new().create(true).append(true).open(&notes);
        let opened = opened.map_err(local("open", &notes))?;
        Ok((self, Notes(opened)))
    }

    /// Where the files are.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// Whether a part was verified once.
    pub(super) fn was_verified(&self, part: Verified) -> bool {
        self.verified.contains(&part)
    }

    /// Removes it when it is dropped, whatever was said before.
    pub(super) const fn give_up(&mut self) {
        self.kept = false;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot remove the staging directory");
                }
                _ => {}
            }
        }
        // Closing alone would leave it locked while a program that was just being started has it open, too.
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl Notes {
    /// This part is verified.
    pub(super) fn note(&self, (file, part): Verified) {
        // Without it the part is fetched again, no more.
        let _ = (&self.0).write_all(format!("{file} {part}\n").as_bytes());
    }
}

fn read_notes(path: &Path) -> HashSet<Verified> {
    /// Bytes that are looked at; there are a hundred thousand files and parts in less than 2 MiB.
    const LONGEST: u64 = 64 << 20;
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    if read.is_err() {
        return HashSet::new();
    }
    let line = |line: &[u8]| {
        let (file, part) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        Some((file.parse().ok()?, part.parse().ok()?))
    };
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// Whether there is nothing below `root` but directories and files that have no other name.
fn is_plain(root: &Path) -> io::Result<bool> {
    let mut pending = vec![root.to_owned()];
    if !fs::symlink_metadata(root)?.is_dir() {
        return Ok(false);
    }
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if !kind.is_file() || has_other_names(&entry.metadata()?) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether the directory that was opened is the one at `path`.
#[cfg(unix)]
fn is_at(opened: Option<&fs::File>, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(there) = fs::symlink_metadata(path) else { return false };
    match opened.map(fs::File::metadata) {
        Some(Ok(opened)) => (opened.dev(), opened.ino()) == (there.dev(), there.ino()),
        _ => there.is_dir(),
    }
}

#[cfg(not(unix))]
fn is_at(_: Option<&fs::File>, path: &Path) -> bool {
    path.is_dir()
}

#[cfg(unix)]
fn has_other_names(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &fs::Metadata) -> bool {
    false
}

/// Removes everything in `directory`.
fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes staging directories beside `ours` whose programs are gone, as far as it can: those of which
/// nothing was verified at once, others when nobody has gone on with them for a week. Their own times are
/// compared, which one file system has given them.
fn remove_stale(directory: &Path, ours: &Path) {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let now = changed(ours);
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::<_, io::Error>::ok) {
        let (name, path) = (entry.file_name(), entry.path());
        let id = name.to_str().and_then(|name| name.strip_prefix(STAGING));
        let is_staging = id.is_some_and(|id| Uuid::try_parse(id).is_ok())
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_staging || path == ours {
            continue;
        }
        // Held until it is gone, so that nobody comes to use it meanwhile. What was locked may have been removed
        // before, and what is there now been made anew by somebody who is using it.
        let lock = open_for_lock(&path).ok();
        let held = lock.as_ref().is_some_and(|lock| lock.try_lock().is_ok() && is_at(Some(lock), &path));
        let noted = fs::metadata(path.join("parts")).is_ok_and(|found| found.len() > 0);
        let age = now.zip(changed(&path.join("parts"))).and_then(|(now, then)| now.duration_since(then).ok());
        let wanted = noted && age.is_none_or(|age| age < KEPT);
        if !wanted && held && fs::remove_dir_all(&path).is_ok() {
            tracing::debug!(path = %path.display(), "removed what a broken-off download left");
        }
    }
}

/// Makes a file of `size` bytes at `path`, or leaves the one that is there and as long.
pub(super) fn make_room(path: &Path, size: u64) -> Result<()> {
    let parent = path.parent().expect("a file below a directory has a parent");
    fs::create_dir_all(parent).map_err(local("create", parent))?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == size) {
        return Ok(());
    }
    let file = fs::File::create(path).map_err(local("create", path))?;
    file.set_len(size).map_err(local("create", path))
}
