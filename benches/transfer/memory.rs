//! The most memory (`VmHWM` of Linux) that a process takes which does nothing but publish, or pull.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use tidegate::registry::ObjectBacked;
use tokio::runtime::Runtime;

use crate::{
    figures::{Figure, Sheet},
    load::{Load, publish, pull, scratch},
};

/// What tells a child process what to do.
pub(crate) const CHILD: &str = "TIDEGATE_BENCH_CHILD";

pub(crate) fn report(load: Load, in_earnest: bool) -> Result<()> {
    println!("\n| load | command | peak MiB |\n|---|---|--:|");
    let scratch = scratch()?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    load.write(Path::new(&path("files")), 1)?;
    let mut peaks = Vec::new();
    for (what, directory) in [("publish", "files"), ("pull", "pulled")] {
        let told = [what, &path("registry"), &path(directory)].join("\n");
        let output = Command::new(std::env::current_exe()?).env(CHILD, told).output()?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let peak: f64 = std::str::from_utf8(&output.stdout)?.trim().parse()?;
        println!("| {load} | {what} | {:.0} |", peak / 1024.0);
        peaks.push(Figure::of(peak * 1024.0));
    }
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("transfer-memory");
    if let Some(why) = load.instead(Load { files: 1, bytes: 10 << 30 }) {
        return sheet.rest(&why);
    }
    sheet.say("memory at most, publish 10 GiB", peaks[0]);
    sheet.say("memory at most, pull 10 GiB", peaks[1]);
    sheet.close()
}

/// Publishes or pulls, and prints the most memory that took, in KiB.
pub(crate) fn child(told: &str) -> Result<()> {
    let mut told = told.split('\n');
    let mut next = || told.next().context("three lines");
    let (what, registry, directory) = (next()?, next()?, next()?);
    Runtime::new()?.block_on(async {
        let registry = ObjectBacked::directory(registry).await?;
        match what {
            "pull" => pull(registry, Path::new(directory)).await,
            _ => publish(registry, Path::new(directory)).await,
        }
    })?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    println!("{}", peak.trim().trim_end_matches(" kB"));
    Ok(())
}
