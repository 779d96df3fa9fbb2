//! A registry in a directory, beside what it cannot beat: copying the same files durably, and hashing them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tidegate::registry::ObjectBacked;
use tokio::runtime::Runtime;

use crate::{
    figures::{Figure, Sheet},
    load::{self, Cache, Load, median, run, scratch},
};

/// What is measured: a command beside the copy of what it reads.
const COMMANDS: [&str; 3] = ["publish", "pull", "pull, cold"];

/// How long everything took in one round.
struct Round {
    beside: [(Duration, Duration); COMMANDS.len()],
    hash: Option<Duration>,
    _kept: Option<TempDir>,
}

pub(crate) fn report(runtime: &Runtime, loads: &[Load; 2], rounds: u64, in_earnest: bool) -> Result<()> {
    println!("| load | command | MiB/s | s | cp+sync s | sha256 s | ÷ the slower | ÷ (cp+sync+sha256) |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let mut sheet = Sheet::of("transfer-disk");
    for load in loads {
        let promised = if load.files == 1 {
            Load { files: 1, bytes: 4 << 30 }
        } else {
            Load { files: 10_000, bytes: 100 << 10 }
        };
        let rounds = (0..rounds).map(|round| one(load, runtime, round)).collect::<Result<Vec<Round>>>()?;
        let hashed = rounds.iter().all(|round| round.hash.is_some());
        for (at, command) in COMMANDS.iter().enumerate() {
            let over = |of: &dyn Fn(f64, f64, f64) -> f64| {
                let seconds = |duration: Duration| duration.as_secs_f64();
                median(rounds.iter().map(|round| {
                    let (command, copy) = round.beside[at];
                    of(seconds(command), seconds(copy), round.hash.map_or(f64::NAN, seconds))
                }))
            };
            println!(
                "| {load} | {command} | {:.0} | {:.3} | {:.3} | {:.3} | {:.2} | {:.2} |",
                over(&|command, _, _| load.mib() / command),
                over(&|command, _, _| command),
                over(&|_, copy, _| copy),
                over(&|_, _, hash| hash),
                over(&|command, copy, hash| command / if copy > hash { copy } else { hash }),
                over(&|command, copy, hash| command / (copy + hash)),
            );
            let both = Figure::of(over(&|command, _, _| command))
                .beside(over(&|_, copy, hash| copy + hash))
                .ratio(over(&|command, copy, hash| command / (copy + hash)));
            let slower = Figure::of(over(&|command, _, _| command))
                .beside(over(&|_, copy, hash| f64::max(copy, hash)))
                .ratio(over(&|command, copy, hash| command / f64::max(copy, hash)));
            let figures: &[(&str, Figure)] = match (load.files, *command) {
                (1, "publish") => &[
                    ("publish one file of 4 GiB", both),
                    ("publish one file of 4 GiB, at its limit", slower),
                ],
                (1, "pull") => &[("pull one file of 4 GiB", both)],
                (1, _) => &[("pull one file of 4 GiB of which nothing is in the page cache", both)],
                (_, "publish") => &[("publish 10 000 files of 100 KiB, each of which is synced", both)],
                (_, "pull") => &[("pull 10 000 files of 100 KiB, each of which is synced", both)],
                _ => &[],
            };
            for &(what, figure) in figures {
                match load.instead(promised) {
                    None if hashed => sheet.say(what, figure),
                    None => sheet.not_measured(what, "there is no openssl"),
                    Some(why) => sheet.not_measured(what, why),
                }
            }
        }
    }
    if in_earnest { sheet.close() } else { Ok(()) }
}

fn one(load: &Load, runtime: &Runtime, round: u64) -> Result<Round> {
    let scratch = scratch()?;
    let path = |name: &str| scratch.path().join(name);
    let (files, registry) = (path("files"), path("registry"));
    load.write(&files, round)?;

    let publish = || {
        runtime.block_on(async { load::publish(ObjectBacked::directory(&registry).await?, &files).await })?;
        Ok(registry.clone())
    };
    let pull = |to: &str| {
        let pulled = path(to);
        runtime.block_on(async { load::pull(ObjectBacked::directory(&registry).await?, &pulled).await })?;
        Ok(pulled)
    };
    // Both read the same files in the same state, and take turns to go first.
    let beside = |source: &Path, cache, command: &dyn Fn() -> Result<PathBuf>, copied: &str| -> Result<_> {
        let copied = path(copied);
        let copy = || {
            run(Command::new("cp").arg("-r").args([source, &copied]))?;
            run(Command::new("sync").arg("-f").arg(&copied))?;
            Ok(copied.clone())
        };
        let both = if round.is_multiple_of(2) {
            (load.timed(source, cache, command)?, load.timed(source, cache, &copy)?)
        } else {
            let copied = load.timed(source, cache, &copy)?;
            (load.timed(source, cache, command)?, copied)
        };
        Ok(both)
    };
    let published = beside(&files, Cache::Warm, &publish, "copied files")?;
    let blobs = registry.join("models/bench/blobs");
    let warm = beside(&blobs, Cache::Warm, &|| pull("pulled"), "copied blobs")?;
    let cold = beside(&blobs, Cache::Cold, &|| pull("pulled cold"), "copied blobs cold")?;
    let beside = [published, warm, cold];
    Ok(Round { beside, hash: hash(&files)?, _kept: load.keep(scratch) })
}

/// How long `openssl` takes, if there is one.
fn hash(directory: &Path) -> Result<Option<Duration>> {
    let files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    // Once, so that what is timed reads from the page cache.
    let mut taken = None;
    for _ in 0..2 {
        let start = Instant::now();
        let mut openssl = Command::new("openssl");
        match openssl.args(["dgst", "-sha256"]).args(&files).stdout(Stdio::null()).status() {
            Ok(status) => ensure!(status.success(), "openssl: {status}"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("openssl"),
        }
        taken = Some(start.elapsed());
    }
    Ok(taken)
}
