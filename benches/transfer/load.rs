//! What is published and pulled, and how that is timed.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tempfile::TempDir;
use tidegate::registry::{
    Content, Draft, ModelRef, ModelStore as _, ModelStoreExt as _, ObjectBacked, Stamp,
};

/// Files to be published, all of one size.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// Whether what is read is in the page cache.
#[derive(Clone, Copy)]
pub(crate) enum Cache {
    Warm,
    Cold,
}

impl Load {
    pub(crate) const fn bytes(&self) -> usize {
        self.files * self.bytes
    }

    pub(crate) fn mib(&self) -> f64 {
        self.bytes() as f64 / f64::from(1 << 20)
    }

    /// What is not of the promised size is not shown as if it were.
    pub(crate) fn instead(&self, promised: Self) -> Option<String> {
        let same = self.files == promised.files && self.bytes == promised.bytes;
        (!same).then(|| format!("of {self}, and not of {promised}"))
    }

    /// Makes the files in `directory`, with random bytes, never all of them in memory.
    pub(crate) fn write(&self, directory: &Path, seed: u64) -> Result<()> {
        let (mut rng, mut block) = (Rng::with_seed(seed), vec![0; 1 << 20]);
        fs::create_dir(directory)?;
        for file in 0..self.files {
            let mut file = fs::File::create(directory.join(format!("{file:05}.bin")))?;
            let mut left = self.bytes;
            while left > 0 {
                let some = &mut block[..left.min(1 << 20)];
                rng.fill(some);
                file.write_all(some)?;
                left -= some.len();
            }
        }
        Ok(())
    }

    /// Keeps what a round has left, where it is many files: ext4 makes new files slowly for a while after others
    /// were removed (`recently_deleted` in `fs/ext4/ialloc.c`), and takes it out on whoever comes next.
    pub(crate) fn keep(&self, scratch: TempDir) -> Option<TempDir> {
        (self.files > 1).then_some(scratch)
    }

    /// How long `command` took to read what lies in `source` and write it to where it says, on a disk that
    /// has nothing else to write. Makes sure that as much of the disk is taken up there as was to be written.
    pub(crate) fn timed(
        &self,
        source: &Path,
        cache: Cache,
        command: &dyn Fn() -> Result<PathBuf>,
    ) -> Result<Duration> {
        run(&mut Command::new("sync"))?;
        // A virtual machine may have given free memory back to its host, and getting it again takes longer
        // than copying into it. So whoever comes first would pay for all: there is enough of it from here on.
        drop(std::hint::black_box(vec![1_u8; (2 * self.bytes()).min(8 << 30)]));
        prepare(source, cache)?;
        let start = Instant::now();
        let written = command()?;
        let taken = start.elapsed();
        let used = Command::new("du").args(["-s", "-B1"]).arg(&written).output()?;
        let used: usize =
            std::str::from_utf8(&used.stdout)?.split('\t').next().unwrap_or_default().parse()?;
        ensure!(used >= self.bytes(), "{} holds only {used} bytes", written.display());
        Ok(taken)
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {} KiB", self.files, self.bytes >> 10)
    }
}

/// Publishes the files in `directory`.
pub(crate) async fn publish(registry: ObjectBacked, directory: &Path) -> Result<()> {
    let draft = Draft::new(model()?, Stamp::now("bench"));
    registry.publish(draft, Content::directory(directory), &()).await?;
    Ok(())
}

/// Downloads what [`publish`] published.
pub(crate) async fn pull(registry: ObjectBacked, directory: &Path) -> Result<()> {
    registry.download(&model()?, directory, &()).await?;
    Ok(())
}

fn model() -> Result<ModelRef> {
    Ok("bench@1.0.0".parse()?)
}

/// On the file system of the target directory, because `/tmp` may be in memory. Gone when dropped.
pub(crate) fn scratch() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Of an odd number of values; `NaN` if one is.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    if values.iter().any(|value| value.is_nan()) { f64::NAN } else { values[values.len() / 2] }
}

/// Brings the files below `path` into the page cache, or out of it.
fn prepare(path: &Path, cache: Cache) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            prepare(&entry?.path(), cache)?;
        }
        return Ok(());
    }
    let mut file = fs::File::open(path)?;
    match cache {
        Cache::Warm => drop(std::io::copy(&mut file, &mut std::io::sink())?),
        #[cfg(target_os = "linux")]
        Cache::Cold => rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?,
        #[cfg(not(target_os = "linux"))]
        Cache::Cold => {}
    }
    Ok(())
}
