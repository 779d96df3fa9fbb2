//! The directory of a cache. Everything in here blocks.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use uuid::Uuid;

use super::Usage;
use crate::{
    Digest, Error, File, Hasher, ModelRef, Result,
    transfer::blocking::{local, sync_directory},
};

/// See [`Cache`](super::Cache) for what lies where.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
}

/// Held during a delivery.
#[derive(Debug)]
pub(super) struct Held {
    whole: fs::File,
    content: fs::File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would leave both locked while a program that was just being started has the files open, too.
        let _ = self.content.unlock();
        let _ = self.whole.unlock();
    }
}

/// A cached file.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) bytes: u64,
    digest: Digest,
    used: SystemTime,
}

impl Disk {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(local("find", root))?;
        for folder in ["files", "incoming", "locks", "manifests", "used"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(local("create", &folder))?;
        }
        Ok(Self { root })
    }

    /// Where the file of this digest lies.
    pub(super) fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join("files").join(&hex[..2]).join(hex)
    }

    /// Where the manifest of a version of this store is kept.
    pub(super) fn manifest(&self, store: &str, model: &ModelRef) -> PathBuf {
        let name = Digest::of(format!("{store}\n{model}")).hex();
        self.root.join("manifests").join(format!("{name}.json"))
    }

    /// Where content is fetched to.
    pub(super) fn incoming(&self, content: &Digest) -> PathBuf {
        self.root.join("incoming").join(content.hex())
    }

    /// Waits until nobody else delivers this content, and keeps everything from being evicted.
    pub(super) fn hold(&self, content: &Digest) -> Result<Held> {
        let whole = self.lock_file("lock")?;
        whole.lock_shared().map_err(local("lock", &self.root))?;
        let name = Path::new("locks").join(content.hex());
        let one = self.lock_file(&name)?;
        one.lock().map_err(local("lock", &self.root.join(name)))?;
        Ok(Held { whole, content: one })
    }

    /// Whether the file is here and can be used. One that was changed is removed. Says that it is used now.
    pub(super) fn has(&self, file: &File) -> Result<bool> {
        let path = self.file(&file.digest);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(local("inspect", &path)(error)),
        };
        let is_it = metadata.is_file() && metadata.len() == file.size;
        let mark = mark(&metadata);
        let known = read(&self.used(&file.digest), 256).is_some_and(|known| known == mark.as_bytes());
        if is_it && (known || digests_to(&path, &file.digest)?) {
            // Written anew, so that its time is that of the file system.
            replace(&self.used(&file.digest), mark.as_bytes())?;
            return Ok(true);
        }
        tracing::warn!(path = %path.display(), "a cached file was changed, fetching it again");
        self.remove(&file.digest)?;
        Ok(false)
    }

    /// Takes in a verified file, which is gone from `from` then.
    pub(super) fn admit(&self, from: &Path, digest: &Digest) -> Result<()> {
        let path = self.file(digest);
        let folder = path.parent().expect("a cached file lies in a folder");
        fs::create_dir_all(folder).map_err(local("create", folder))?;
        let mut permissions = fs::metadata(from).map_err(local("inspect", from))?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(from, permissions).map_err(local("make read-only", from))?;
        fs::rename(from, &path).map_err(local("rename", from))?;
        let metadata = fs::metadata(&path).map_err(local("inspect", &path))?;
        replace(&self.used(digest), mark(&metadata).as_bytes())?;
        sync_directory(folder)
    }

    /// Every file.
    pub(super) fn files(&self) -> Result<Vec<Cached>> {
        let mut found = Vec::new();
        for folder in list(&self.root.join("files"))? {
            if !folder.is_dir() {
                continue;
            }
            for path in list(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let Ok(digest) = format!("sha256:{name}").parse() else { continue };
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                // What nobody has said to use was used before everything else.
                let used = fs::metadata(self.used(&digest)).and_then(|used| used.modified());
                let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(Cached { bytes: metadata.len(), digest, used });
            }
        }
        Ok(found)
    }

    /// Removes the least recently used files until there are `limit` bytes, unless somebody delivers.
    pub(super) fn shrink(&self, limit: u64) -> Result<Usage> {
        let mut removed = Usage::default();
        let whole = self.lock_file("lock")?;
        if whole.try_lock().is_err() {
            return Ok(removed);
        }
        let mut files = self.files()?;
        files.sort_by_key(|file| file.used);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if bytes <= limit {
                break;
            }
            self.remove(&file.digest)?;
            bytes -= file.bytes;
            removed.files += 1;
            removed.bytes += file.bytes;
        }
        if limit == 0 {
            for path in list(&self.root.join("incoming"))? {
                fs::remove_dir_all(&path).map_err(local("remove", &path))?;
            }
        }
        Ok(removed)
    }

    /// Removes every file that is not what its name says.
    pub(super) fn verify(&self) -> Result<Usage> {
        let mut removed = Usage::default();
        for file in self.files()? {
            let path = self.file(&file.digest);
            let plain = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            if !plain || !digests_to(&path, &file.digest)? {
                self.remove(&file.digest)?;
                removed.files += 1;
                removed.bytes += file.bytes;
            }
        }
        Ok(removed)
    }

    fn remove(&self, digest: &Digest) -> Result<()> {
        for path in [self.file(digest), self.used(digest)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(local("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn used(&self, digest: &Digest) -> PathBuf {
        self.root.join("used").join(digest.hex())
    }

    fn lock_file(&self, name: impl AsRef<Path>) -> Result<fs::File> {
        let path = self.root.join(name);
        let opened = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        opened.map_err(local("open", &path))
    }
}

/// By what a file is known to be unchanged.
fn mark(metadata: &fs::Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{} {} {}", inode(metadata), metadata.len(), modified.unwrap_or_default().as_nanos())
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

fn digests_to(path: &Path, digest: &Digest) -> Result<bool> {
    let hash = || {
        let mut file = fs::File::open(path)?;
        let (mut hasher, mut block) = (Hasher::default(), vec![0; 1 << 20]);
        loop {
            let n = file.read(&mut block)?;
            if n == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&block[..n]);
        }
    };
    hash().map(|found| found == *digest).map_err(local("read", path))
}

/// Writes a small file, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", Uuid::now_v7()));
    let fresh = PathBuf::from(name);
    let write = || {
        fs::File::create_new(&fresh)?.write_all(bytes)?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&fresh);
        local("write", path)(error)
    })
}

/// A small file, if it is there and no longer than that.
pub(super) fn read(path: &Path, longest: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(longest + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= longest).then_some(bytes)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = || |error| -> Error { local("list", directory)(error) };
    let entries = fs::read_dir(directory).map_err(failed())?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_being_started_holds_nothing_longer() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path()).unwrap();
        let content = Digest::of("a");
        let held = disk.hold(&content).unwrap();
        // What a child has between fork and exec: the same open files.
        let child = [held.whole.try_clone().unwrap(), held.content.try_clone().unwrap()];
        let others = || disk.lock_file("lock").unwrap();
        assert!(others().try_lock().is_err());
        drop(held);
        assert!(others().try_lock().is_ok());
        assert!(disk.lock_file(Path::new("locks").join(content.hex())).unwrap().try_lock().is_ok());
        drop(child);
    }
}
