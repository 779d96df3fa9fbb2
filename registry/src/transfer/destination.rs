//! The directory that a version is delivered into.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{
    blocking::{local, sync_directory},
    directories::{NewDirectories, open_for_lock},
    disk::Together,
    staging::{Notes, Staging, Verified, make_room},
};
use crate::{Digest, Error, File, FilePath, Hasher, Result};

/// A directory being filled. Dropping it removes what is staged.
#[derive(Debug)]
pub(crate) struct Destination {
    directory: PathBuf,
    staging: Staging,
    /// Whether what is staged becomes the directory itself, because that does not exist yet.
    whole: bool,
    /// What had to be made to stage there. After the staging, so that it is empty when dropped.
    above: NewDirectories,
}

/// Files given their names. Dropping this takes them away again.
#[derive(Debug, Default)]
struct Delivered {
    files: Vec<PathBuf>,
    directories: NewDirectories,
}

impl Destination {
    /// Looks at everything in the way, then makes room for those of `files` that are missing, unless there is
    /// some from another time. Returns their positions, and where to note which of their parts are verified.
    /// What is staged is `kept` when this is dropped, or not.
    pub(crate) fn prepare(
        directory: &Path,
        content: &Digest,
        files: &[File],
        kept: bool,
    ) -> Result<(Self, Vec<usize>, Notes)> {
        // Absolute, because `x` has the parent ``, which cannot be opened.
        let directory = std::path::absolute(directory).map_err(local("find", directory))?;
        let whole = match fs::metadata(&directory) {
            Ok(metadata) if metadata.is_dir() => false,
            Ok(_) => return Err(Error::Occupied { path: directory }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(local("inspect", &directory)(error)),
        };
        let beside = if whole { directory.parent().unwrap_or(&directory) } else { &directory };
        let above = NewDirectories::create(beside)?;
        let mut missing = Vec::new();
        {
            // Not while another delivery is under way, which may yet take its files away again.
            let _lock = open_for_lock(&directory).ok().filter(|opened| opened.lock_shared().is_ok());
            for (at, file) in files.iter().enumerate() {
                if whole || !is_there(&directory, file)? {
                    missing.push(at);
                }
            }
        }
        let (staging, notes) = Staging::open(beside, content, kept)?;
        let made = Self { directory, staging, whole, above };
        for &at in &missing {
            make_room(&made.staged(&files[at].path), files[at].size)?;
        }
        Ok((made, missing, notes))
    }

    /// Where a file is put together.
    pub(crate) fn staged(&self, path: &FilePath) -> PathBuf {
        path.below(self.staging.files())
    }

    /// Whether a part of a file, both by their positions, was put together another time.
    pub(crate) fn was_verified(&self, part: Verified) -> bool {
        self.staging.was_verified(part)
    }

    /// What can sync everything that is staged at once, if that can be done.
    pub(crate) fn together(&self) -> Option<Together> {
        Together::of(&self.staging.files())
    }

    /// Moves the staged files, complete and synced, to their names, over nothing that is there.
    pub(crate) fn deliver(mut self, files: &[File], missing: &[usize]) -> Result<()> {
        // Everything is here, so if it cannot be delivered, having it once more would not help.
        self.staging.give_up();
        let staged: Vec<_> = missing.iter().map(|&at| &files[at]).collect();
        if !(self.whole && self.deliver_whole(&staged)?) {
            self.deliver_each(&staged)?;
        }
        self.above.sync()?;
        self.above.keep();
        Ok(())
    }

    /// Makes what is staged the directory itself, unless that has come into being since, perhaps by
    /// another download.
    fn deliver_whole(&self, staged: &[&File]) -> Result<bool> {
        if fs::symlink_metadata(&self.directory).is_ok() {
            return Ok(false);
        }
        let ready = self.staging.files();
        sync_directories(&ready, staged)?;
        match fs::rename(&ready, &self.directory) {
            Ok(()) => {
                self.directory.parent().map_or(Ok(()), sync_directory)?;
                Ok(true)
            }
            // POSIX allows either.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(local("rename", &ready)(error)),
        }
    }

    /// One delivery at a time where the system can lock a directory. Elsewhere two at the same time fail
    /// rather than overwrite each other.
    fn deliver_each(&self, staged: &[&File]) -> Result<()> {
        let mut delivered = Delivered::default();
        delivered.directories.add(&self.directory)?;
        let _lock = open_for_lock(&self.directory).ok().filter(|opened| opened.lock().is_ok());
        // All of them first, so that what came into the way since is found before anything is moved.
        let late = staged.iter().map(|file| is_there(&self.directory, file)).collect::<Result<Vec<_>>>()?;
        for (file, there) in std::iter::zip(staged, late) {
            if !there {
                delivered.place(&self.staged(&file.path), &self.directory, file)?;
            }
        }
        sync_directories(&self.directory, staged)?;
        delivered.directories.sync()?;
        delivered.keep();
        Ok(())
    }
}

impl Delivered {
    /// Gives the file at `from` its name in `directory` if nothing has that name.
    fn place(&mut self, from: &Path, directory: &Path, file: &File) -> Result<()> {
        let to = file.path.below(directory);
        self.directories.add(to.parent().expect("a file below a directory has a parent"))?;
        match fs::hard_link(from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return if is_there(directory, file)? { Ok(()) } else { Err(Error::Occupied { path: to }) };
            }
            // A file system without hard links: a rename would overwrite, so look first.
            Err(_) if fs::symlink_metadata(&to).is_ok() => return Err(Error::Occupied { path: to }),
            Err(_) => fs::rename(from, &to).map_err(local("rename", from))?,
        }
        self.files.push(to);
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        std::mem::take(&mut self.directories).keep();
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        for file in &self.files {
            if let Err(error) = fs::remove_file(file) {
                tracing::warn!(path = %file.display(), %error, "cannot take back a file of a failed delivery");
            }
        }
    }
}

/// Whether exactly this file lies in `directory`. Anything else under its name, or a file or symbolic
/// link where one of its directories has to be, is [`Error::Occupied`].
fn is_there(directory: &Path, file: &File) -> Result<bool> {
    let mut path = directory.to_owned();
    let mut segments = file.path.as_str().split('/').peekable();
    while let Some(segment) = segments.next() {
        path.push(segment);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(local("inspect", &path)(error)),
        };
        let fits = match segments.peek() {
            Some(_) => metadata.is_dir(),
            None => metadata.is_file() && metadata.len() == file.size && digests_to(&path, file)?,
        };
        if !fits {
            return Err(Error::Occupied { path });
        }
    }
    Ok(true)
}

fn digests_to(path: &Path, file: &File) -> Result<bool> {
    let mut opened = fs::File::open(path).map_err(local("open", path))?;
    let (mut hasher, mut block) = (Hasher::default(), vec![0; 1 << 20]);
    loop {
        let n = opened.read(&mut block).map_err(local("read", path))?;
        if n == 0 {
            return Ok(hasher.finish() == file.digest);
        }
        hasher.update(&block[..n]);
    }
}

/// Makes the names of `files` below `root` durable.
fn sync_directories(root: &Path, files: &[&File]) -> Result<()> {
    let mut directories = BTreeSet::from([root.to_owned()]);
    for file in files {
        let path = file.path.below(root);
        directories.extend(path.ancestors().skip(1).take_while(|above| *above != root).map(Path::to_owned));
    }
    directories.iter().try_for_each(|directory| sync_directory(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_fails_takes_back_its_files_and_directories() {
        let root = tempfile::tempdir().unwrap();
        let (staged, target) = (root.path().join("staged"), root.path().join("target"));
        fs::write(&staged, "new").unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(target.join("c"), "mine").unwrap();
        let file = |path: &str| {
            let digest = Digest::of("new");
            File { path: path.parse().unwrap(), size: 3, digest, parts: vec![digest] }
        };
        let mut delivered = Delivered::default();
        for path in ["a", "b/b/b"] {
            delivered.place(&staged, &target, &file(path)).unwrap();
            delivered.place(&staged, &target, &file(path)).unwrap();
        }
        assert_eq!(fs::read(target.join("b/b/b")).unwrap(), b"new");
        let error = delivered.place(&staged, &target, &file("c")).unwrap_err();
        assert!(matches!(error, Error::Occupied { .. }), "{error}");
        drop(delivered);
        let left: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["c"]);
        assert_eq!(fs::read(target.join("c")).unwrap(), b"mine");
    }
}
