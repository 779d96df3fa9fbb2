//! Writing files as fast as the disk takes them, and making many of them durable at once.

use std::{
    fs, io,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
};

use super::block::{ALIGNMENT, is_aligned};

/// A file being written at any position.
///
/// Whole blocks go to the disk past the page cache where the system can do that: they are not copied, no
/// memory is given out for them, and at the end nothing is left to be written. What is not aligned, the end
/// of most files, goes the usual way; the system keeps both in accord.
#[derive(Debug)]
pub(crate) struct Output {
    file: fs::File,
    unbuffered: Option<fs::File>,
}

impl Output {
    /// A handle on the existing file at `path`.
    pub(crate) fn open(path: &Path, unbuffered: bool) -> io::Result<Self> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, unbuffered: if unbuffered { system::open_unbuffered(path) } else { None } })
    }

    /// Shows others that it is in use, until this is dropped or the program ends; where the file system can.
    #[cfg(feature = "fs")]
    pub(crate) fn hold(&self) {
        let _ = self.file.lock();
    }

    /// Makes sure that `bytes` are at `at`.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if at.is_multiple_of(ALIGNMENT as u64)
            && is_aligned(bytes)
            && let Some(unbuffered) = &mut self.unbuffered
        {
            match write_all(unbuffered, at, bytes) {
                // A file system that opens a file so and then cannot write it.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.unbuffered = None,
                done => return done,
            }
        }
        write_all(&mut self.file, at, bytes)
    }

    /// Whether exactly `bytes` are at `at`; `scratch` is as long as they are.
    #[cfg(feature = "fs")]
    pub(crate) fn holds(&mut self, at: u64, bytes: &[u8], scratch: &mut [u8]) -> io::Result<bool> {
        use std::io::Read as _;

        self.file.seek(SeekFrom::Start(at))?;
        match self.file.read_exact(scratch) {
            Ok(()) => Ok(scratch == bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file ends after `size` bytes.
    #[cfg(feature = "fs")]
    pub(crate) fn end_at(&self, size: u64) -> io::Result<()> {
        if self.file.metadata()?.len() == size { Ok(()) } else { self.file.set_len(size) }
    }

    /// Makes its bytes durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn write_all(file: &mut fs::File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// A file system of which everything can be made durable with one call.
#[derive(Debug)]
pub(crate) struct Together(fs::File);

impl Together {
    /// The one that `directory` lies on, if it can do that and says so when it fails. To be asked before
    /// anything is written, because it tells of failures from then on.
    pub(crate) fn of(directory: &Path) -> Option<Self> {
        let opened = fs::File::open(directory).ok()?;
        system::syncs_together(&opened).then_some(Self(opened))
    }

    /// Makes durable whatever was written to it by now, names included.
    pub(crate) fn sync(&self) -> io::Result<()> {
        system::sync_together(&self.0)
    }
}

/// Makes `to` share the blocks of `from` until either is changed, where the file system can do that.
#[cfg(feature = "fs")]
pub(crate) fn share(from: &fs::File, to: &fs::File) -> io::Result<()> {
    system::share(from, to)
}

#[cfg(all(feature = "fs", target_os = "linux"))]
mod system {
    use std::{fs, io, path::Path};

    use rustix::fs::{Mode, OFlags, fstatfs, ioctl_ficlone, open, syncfs};

    pub(super) fn share(from: &fs::File, to: &fs::File) -> io::Result<()> {
        ioctl_ficlone(to, from).map_err(io::Error::from)
    }

    /// Nothing where the file system cannot do it, such as `tmpfs` before Linux 6.6.
    pub(super) fn open_unbuffered(path: &Path) -> Option<fs::File> {
        open(path, OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty()).ok().map(fs::File::from)
    }

    /// `syncfs` tells of failed writes since Linux 5.8 (`man 2 syncfs`). The file systems are those that
    /// are known to write everything, by the 32 bits of `linux/magic.h`; a network's is not among them.
    pub(super) fn syncs_together(directory: &fs::File) -> bool {
        const BTRFS: u32 = 0x9123_683e;
        const EXT4: u32 = 0xef53;
        const F2FS: u32 = 0xf2f5_2010;
        const TMPFS: u32 = 0x0102_1994;
        const XFS: u32 = 0x5846_5342;
        let kind = fstatfs(directory).map(|found| found.f_type as u32);
        matches!(kind, Ok(BTRFS | EXT4 | F2FS | TMPFS | XFS)) && is_at_least_5_8()
    }

    pub(super) fn sync_together(directory: &fs::File) -> io::Result<()> {
        syncfs(directory).map_err(io::Error::from)
    }

    fn is_at_least_5_8() -> bool {
        let system = rustix::system::uname();
        let release = system.release().to_string_lossy();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
            _ => false,
        }
    }
}

/// Elsewhere everything is written the usual way and synced file by file.
#[cfg(not(all(feature = "fs", target_os = "linux")))]
mod system {
    use std::{fs, io, path::Path};

    #[cfg(feature = "fs")]
    pub(super) fn share(_: &fs::File, _: &fs::File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn open_unbuffered(_: &Path) -> Option<fs::File> {
        None
    }

    pub(super) fn syncs_together(_: &fs::File) -> bool {
        false
    }

    pub(super) fn sync_together(_: &fs::File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::block::{BLOCK, Blocks};

    #[tokio::test]
    async fn aligned_and_other_writes_agree() {
        let directory = tempfile::tempdir().unwrap();
        for unbuffered in [true, false] {
            let path = directory.path().join("file");
            fs::File::create(&path).unwrap();
            let mut output = Output::open(&path, unbuffered).unwrap();
            let mut expected = Vec::new();
            for (seed, size) in [(1, BLOCK), (2, BLOCK), (3, 12_345)] {
                let mut block = Blocks::new(1).take().await;
                fastrand::Rng::with_seed(seed).fill(&mut block.room()[..size]);
                block.fill(size);
                output.write(expected.len() as u64, block.as_ref()).unwrap();
                expected.extend_from_slice(block.as_ref());
            }
            let mut scratch = vec![0; 1000];
            assert!(output.holds(5, &expected[5..1005], &mut scratch).unwrap());
            assert!(!output.holds(6, &expected[5..1005], &mut scratch).unwrap());
            assert!(!output.holds(expected.len() as u64 - 10, &expected[5..1005], &mut scratch).unwrap());
            output.write(4096, b"over").unwrap();
            expected[4096..4100].copy_from_slice(b"over");
            output.end_at(expected.len() as u64 - 7).unwrap();
            output.sync().unwrap();
            assert!(fs::read(&path).unwrap() == expected[..expected.len() - 7]);
        }
    }
}
