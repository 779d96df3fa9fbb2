//! The directory that a version is delivered into.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::blocking::{local, sync_directory};
use crate::{Error, File, FilePath, Hasher, Result};

/// A directory being filled. Dropping it removes what is staged.
#[derive(Debug)]
pub(crate) struct Destination {
    directory: PathBuf,
    staging: Staging,
    /// Whether the staging directory becomes the directory itself, because that does not exist yet.
    whole: bool,
}

/// A hidden directory on the same file system, removed when dropped.
#[derive(Debug)]
struct Staging(PathBuf);

impl Destination {
    /// Looks at everything in the way, then stages empty files for those of `files` that are missing.
    /// Returns their positions.
    pub(crate) fn prepare(directory: &Path, files: &[File]) -> Result<(Self, Vec<usize>)> {
        // Absolute, because `x` has the parent ``, which cannot be opened.
        let directory = std::path::absolute(directory).map_err(local("find", directory))?;
        let whole = match fs::metadata(&directory) {
            Ok(metadata) if metadata.is_dir() => false,
            Ok(_) => return Err(Error::Occupied { path: directory }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(local("inspect", &directory)(error)),
        };
        let mut missing = Vec::new();
        for (at, file) in files.iter().enumerate() {
            if whole || !is_there(&directory, file)? {
                missing.push(at);
            }
        }
        let staging = Staging::create(&directory, whole)?;
        let made = Self { directory, staging, whole };
        for &at in &missing {
            let path = made.staged(&files[at].path);
            create_parents(&path)?;
            fs::File::create_new(&path).map_err(local("create", &path))?;
        }
        Ok((made, missing))
    }

    /// Where a file is put together.
    pub(crate) fn staged(&self, path: &FilePath) -> PathBuf {
        path.below(&self.staging.0)
    }

    /// Moves the staged files, complete and synced, to their names.
    pub(crate) fn deliver(self, files: &[File], missing: &[usize]) -> Result<()> {
        let staged: Vec<_> = missing.iter().map(|&at| &files[at]).collect();
        // Where the directory has come into being since, file by file: it may be another download.
        if self.whole && fs::symlink_metadata(&self.directory).is_err() {
            sync_directories(&self.staging.0, &staged)?;
            match fs::rename(&self.staging.0, &self.directory) {
                Ok(()) => return self.directory.parent().map_or(Ok(()), sync_directory),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(local("rename", &self.staging.0)(error)),
            }
        }
        // Once more, for what may have come into the way since: a rename would overwrite it.
        let mut late = Vec::new();
        for file in &staged {
            late.push(is_there(&self.directory, file)?);
        }
        for (file, there) in std::iter::zip(&staged, late) {
            if there {
                continue;
            }
            let (from, to) = (self.staged(&file.path), file.path.below(&self.directory));
            create_parents(&to)?;
            fs::rename(&from, &to).map_err(local("rename", &from))?;
        }
        sync_directories(&self.directory, &staged)
    }
}

impl Staging {
    fn create(directory: &Path, whole: bool) -> Result<Self> {
        let hidden = format!(".tidegate-{}", Uuid::now_v7());
        let path = if whole { directory.with_file_name(hidden) } else { directory.join(hidden) };
        fs::create_dir_all(&path).map_err(local("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            // It became the destination.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "cannot remove the staging directory")
            }
            Ok(()) => {}
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

fn create_parents(path: &Path) -> Result<()> {
    let parent = path.parent().expect("a file below a directory has a parent");
    fs::create_dir_all(parent).map_err(local("create", parent))
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
