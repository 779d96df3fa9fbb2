//! `publish` and `pull`, a registry's `download`, over a registry in a directory, beside what they cannot
//! beat: copying the same files durably, and hashing them.
//!
//! Every figure is a median over rounds. In a round each command runs next to its yardstick, in an order that
//! alternates, on files with new random content, into a new registry; so neither caches nor the state of the
//! disk favour one of them, and nothing can be skipped. A registry is opened anew for each command, within
//! the time that counts.
//!
//! A last table has the peak memory (`VmHWM` of Linux) of a process that does nothing but publish, or pull,
//! the large file.
//!
//! `TIDEGATE_BENCH_MIB` sets the size of the large file, 512 otherwise; `TIDEGATE_BENCH_FILES` the number of
//! files of 100 KiB, 2 000 otherwise; `TIDEGATE_BENCH_ROUNDS` the rounds, 5 otherwise. Needs `cp`, `sync` and `du` of GNU
//! coreutils; without `openssl` the columns about hashing say `NaN`.
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tidegate::registry::{
    Content, Draft, ModelRef, ModelStore as _, ModelStoreExt as _, ObjectBacked, Stamp,
};
use tokio::runtime::Runtime;

/// Files to be published, all of one size.
struct Load {
    files: usize,
    bytes: usize,
}

/// How long everything took in one round. Each copy is beside the command whose yardstick it is.
struct Round {
    publish: (Duration, Duration),
    pull: (Duration, Duration),
    hash: Option<Duration>,
}

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    if let Ok(told) = std::env::var(CHILD) {
        return child(&told);
    }
    let of = |name, otherwise: usize| std::env::var(name).map_or(Ok(otherwise), |number| number.parse());
    let mib = of("TIDEGATE_BENCH_MIB", 512)?;
    let (files, rounds) = (of("TIDEGATE_BENCH_FILES", 2_000)?, of("TIDEGATE_BENCH_ROUNDS", 5)? as u64);
    let (rounds, large, small) = if in_earnest { (rounds, mib, files) } else { (1, 1, 10) };
    let loads = [Load { files: 1, bytes: large << 20 }, Load { files: small, bytes: 100 << 10 }];

    println!("| load | command | MiB/s | s | cp+sync s | sha256 s | ÷ the slower | ÷ (cp+sync+sha256) |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let runtime = Runtime::new()?;
    for load in loads {
        let rounds = (0..rounds).map(|round| load.round(&runtime, round)).collect::<Result<Vec<Round>>>()?;
        let hash = |round: &Round| round.hash;
        load.report("publish", rounds.iter().map(|round| (round.publish, hash(round))).collect());
        load.report("pull", rounds.iter().map(|round| (round.pull, hash(round))).collect());
    }
    if cfg!(target_os = "linux") {
        memory(large)?;
    }
    Ok(())
}

/// What tells a child process what to do.
const CHILD: &str = "TIDEGATE_BENCH_CHILD";

/// Publishes or pulls, and prints the most memory that took, in KiB.
fn child(told: &str) -> Result<()> {
    let mut told = told.split('\n');
    let mut next = || told.next().context("three lines");
    let (what, registry, directory) = (next()?, next()?, next()?);
    let model: ModelRef = "bench@1.0.0".parse()?;
    Runtime::new()?.block_on(async {
        let registry = ObjectBacked::directory(registry).await?;
        if what == "pull" {
            return registry.download(&model, Path::new(directory), &()).await;
        }
        let draft = Draft::new(model, Stamp::now("bench"));
        registry.publish(draft, Content::directory(directory), &()).await
    })?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    println!("{}", peak.trim().trim_end_matches(" kB"));
    Ok(())
}

fn memory(mib: usize) -> Result<()> {
    println!("\n| load | command | peak MiB |\n|---|---|--:|");
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    // Never in memory as a whole, here neither.
    fs::create_dir(path("files"))?;
    let (mut rng, mut block) = (Rng::with_seed(1), vec![0; 1 << 20]);
    let mut file = fs::File::create(Path::new(&path("files")).join("large.bin"))?;
    for _ in 0..mib {
        rng.fill(&mut block);
        file.write_all(&block)?;
    }
    for (what, directory) in [("publish", "files"), ("pull", "pulled")] {
        let told = [what, &path("registry"), &path(directory)].join("\n");
        let output = Command::new(std::env::current_exe()?).env(CHILD, told).output()?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let peak: f64 = std::str::from_utf8(&output.stdout)?.trim().parse()?;
        println!("| 1 × {mib} MiB | {what} | {:.0} |", peak / 1024.0);
    }
    Ok(())
}

impl Load {
    fn round(&self, runtime: &Runtime, round: u64) -> Result<Round> {
        // On the file system of the target directory, because `/tmp` may be in memory. Gone when dropped.
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let path = |name: &str| scratch.path().join(name);
        let (files, registry, pulled) = (path("files"), path("registry"), path("pulled"));
        let model: ModelRef = "bench@1.0.0".parse()?;
        self.write(&files, round)?;

        let publish = || {
            runtime.block_on(async {
                let registry = ObjectBacked::directory(&registry).await?;
                let draft = Draft::new(model.clone(), Stamp::now("bench"));
                registry.publish(draft, Content::directory(&files), &()).await
            })?;
            Ok(registry.clone())
        };
        let pull = || {
            runtime.block_on(async {
                let registry = ObjectBacked::directory(&registry).await?;
                registry.download(&model, &pulled, &()).await
            })?;
            Ok(pulled.clone())
        };
        let copy = || {
            let copied = path("copied");
            run(Command::new("cp").arg("-r").args([&files, &copied]))?;
            run(Command::new("sync").arg("-f").arg(&copied))?;
            Ok(copied)
        };
        let beside = |command: &dyn Fn() -> Result<PathBuf>| -> Result<(Duration, Duration)> {
            let (taken, copied) = if round.is_multiple_of(2) {
                (self.timed(command)?, self.timed(&copy)?)
            } else {
                let copied = self.timed(&copy)?;
                (self.timed(command)?, copied)
            };
            fs::remove_dir_all(path("copied"))?;
            Ok((taken, copied))
        };
        Ok(Round { publish: beside(&publish)?, pull: beside(&pull)?, hash: self.hash(&files)? })
    }

    /// Random bytes, on disk and in the page cache when it returns.
    fn write(&self, directory: &Path, seed: u64) -> Result<()> {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = vec![0; self.bytes];
        fs::create_dir(directory)?;
        for file in 0..self.files {
            rng.fill(&mut bytes);
            fs::write(directory.join(format!("{file:04}.bin")), &bytes)?;
        }
        Ok(())
    }

    /// How long `command` took, on a disk that has nothing else to write. Makes sure that the directory it
    /// names takes up as much of the disk as was to be written.
    fn timed(&self, command: &dyn Fn() -> Result<PathBuf>) -> Result<Duration> {
        run(&mut Command::new("sync"))?;
        // A virtual machine may have given free memory back to its host, and getting it again takes longer
        // than copying into it. So whoever comes first would pay for all: there is enough of it from here on.
        drop(std::hint::black_box(vec![1_u8; 2 * self.files * self.bytes]));
        let start = Instant::now();
        let written = command()?;
        let taken = start.elapsed();
        let used = Command::new("du").args(["-s", "-B1"]).arg(&written).output()?;
        let used: usize =
            std::str::from_utf8(&used.stdout)?.split('\t').next().unwrap_or_default().parse()?;
        ensure!(used >= self.files * self.bytes, "{} holds only {used} bytes", written.display());
        Ok(taken)
    }

    fn hash(&self, directory: &Path) -> Result<Option<Duration>> {
        let files = (0..self.files).map(|file| directory.join(format!("{file:04}.bin")));
        let start = Instant::now();
        let mut openssl = Command::new("openssl");
        match openssl.args(["dgst", "-sha256"]).args(files).stdout(Stdio::null()).status() {
            Ok(status) => {
                ensure!(status.success(), "openssl: {status}");
                Ok(Some(start.elapsed()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("openssl"),
        }
    }

    fn report(&self, command: &str, rounds: Vec<((Duration, Duration), Option<Duration>)>) {
        let (files, size) = (self.files, self.bytes >> 10);
        let over = |of: &dyn Fn(f64, f64, f64) -> f64| {
            let seconds = |duration: Duration| duration.as_secs_f64();
            let each = rounds.iter().map(|&((command, copy), hash)| {
                of(seconds(command), seconds(copy), hash.map_or(f64::NAN, seconds))
            });
            median(each.collect())
        };
        let mib = (files * self.bytes) as f64 / f64::from(1 << 20);
        println!(
            "| {files} × {size} KiB | {command} | {:.0} | {:.3} | {:.3} | {:.3} | {:.2} | {:.2} |",
            over(&|command, _, _| mib / command),
            over(&|command, _, _| command),
            over(&|_, copy, _| copy),
            over(&|_, _, hash| hash),
            over(&|command, copy, hash| command / if copy > hash { copy } else { hash }),
            over(&|command, copy, hash| command / (copy + hash)),
        );
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Of an odd number of values; `NaN` if one is.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.iter().any(|value| value.is_nan()) { f64::NAN } else { values[values.len() / 2] }
}
