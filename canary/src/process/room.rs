//! The state directory: what is to run in each slot and what was started for it, so that whoever opens it next
//! goes on from there.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::linux::{self, Identity};
use crate::{Fence, Release, Slot};

const FORMAT: u32 = 1;
const LARGEST_FILE: u64 = 1 << 20;

/// A state directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    boot: String,
    lock: File,
}

/// What is known of a slot: the file `SLOT.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    format: u32,
    /// The highest one that has acted on this slot.
    pub(super) fence: Option<Fence>,
    /// What is to run.
    pub(super) wanted: Option<Release>,
    /// How many servers were started so far.
    pub(super) starts: u64,
    /// Those that may still be there, the oldest first.
    pub(super) servers: Vec<Started>,
}

/// A server that was started, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Started {
    /// Its number in the slot, from 1.
    pub(super) start: u64,
    pub(super) release: Release,
    pub(super) port: u16,
    /// Whether it was ready once.
    pub(super) ready: bool,
    /// Written as soon as there is one. If it is missing, there may be one all the same: whoever started it may
    /// have been killed in between.
    pub(super) process: Option<Identity>,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("`{}` cannot be used as a state directory", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "`{}` is not what a supervisor has written; restore it, or stop the servers that it names and remove it",
        .path.display()
    )]
    Garbled { path: PathBuf, source: Option<serde_json::Error> },
    #[error("another supervisor uses the state directory `{}`; end it, or give this one its own", .path.display())]
    Taken { path: PathBuf },
}

impl Room {
    /// Takes the directory, and makes it if there is none. Blocks.
    pub(super) fn take(directory: &Path) -> Result<Self, Unusable> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| Unusable::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory.join("logs"))
            .map_err(unusable(directory))?;
        let directory = directory.canonicalize().map_err(unusable(directory))?;
        let boot = linux::boot().map_err(unusable(Path::new("/proc/sys/kernel/random/boot_id")))?;
        let path = directory.join("lock");
        let lock = private().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(unusable(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Unusable::Taken { path: directory }),
            Err(TryLockError::Error(source)) => return Err(Unusable::Io { path, source }),
        }
        Ok(Self { directory, boot, lock })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Which start of the machine this is.
    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// What is known of `slot`. Blocks.
    pub(super) fn read(&self, slot: Slot) -> Result<Record, Unusable> {
        let path = self.file(slot);
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            Err(source) => return Err(Unusable::Io { path, source }),
        }
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.format == FORMAT => Ok(record),
            Ok(_) => Err(Unusable::Garbled { path, source: None }),
            Err(source) => Err(Unusable::Garbled { path, source: Some(source) }),
        }
    }

    /// Writes down what is known of `slot`: all of it, or nothing. Blocks.
    pub(super) fn write(&self, slot: Slot, record: &Record) -> io::Result<()> {
        let path = self.file(slot);
        let next = path.with_extension("json.next");
        let mut file = private().write(true).create(true).truncate(true).open(&next)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        File::open(&self.directory)?.sync_all()
    }

    fn file(&self, slot: Slot) -> PathBuf {
        self.directory.join(format!("{slot}.json"))
    }

    /// What the processes of a start bear in their environment. No other supervisor of this machine has this
    /// directory, and none of it uses the number again.
    pub(super) fn mark(&self, slot: Slot, start: u64) -> OsString {
        let mut mark = self.directory.clone().into_os_string();
        mark.push(format!("#{slot}#{start}"));
        mark
    }

    /// Where the output of a start goes.
    pub(super) fn log(&self, slot: Slot, start: u64) -> PathBuf {
        self.directory.join("logs").join(format!("{slot}-{start}.log"))
    }

    /// Removes the logs of `slot` up to start `last`. Blocks.
    pub(super) fn forget_logs(&self, slot: Slot, last: u64) {
        let Ok(entries) = fs::read_dir(self.directory.join("logs")) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| {
                let rest = name.strip_prefix(&format!("{slot}-"))?;
                rest.strip_suffix(".log").or_else(|| rest.strip_suffix(".log.1"))?.parse::<u64>().ok()
            });
            if number.is_some_and(|number| number <= last) {
                let _stays = fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Closing alone would leave it taken while a server that was just being started has the file open, too.
        drop(self.lock.unlock());
    }
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, fence: None, wanted: None, starts: 0, servers: Vec::new() }
    }
}

/// For this user alone: what a server prints is nobody else's business.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_being_started_does_not_hold_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::take(directory.path()).unwrap();
        // What a server has between fork and exec: the same open file.
        let child = room.lock.try_clone().unwrap();
        assert!(matches!(Room::take(directory.path()), Err(Unusable::Taken { .. })));
        drop(room);
        assert!(Room::take(directory.path()).is_ok());
        drop(child);
    }
}
