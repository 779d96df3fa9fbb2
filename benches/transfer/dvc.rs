//! Many files into a registry in a directory, beside `dvc add` + `dvc push` into one.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;
use tempfile::TempDir;
use tidegate::registry::ObjectBacked;
use tokio::runtime::Runtime;

use crate::{
    figures::{Figure, Sheet},
    load::{self, Cache, Load, median, run, scratch},
};

/// How long `publish` and dvc took, and what they left.
type Round = (Duration, Duration, Option<TempDir>);

pub(crate) fn report(
    runtime: &Runtime,
    tools: &Path,
    load: Load,
    rounds: u64,
    in_earnest: bool,
) -> Result<()> {
    println!("\n| load | command | s | dvc add + push s | ÷ publish |\n|---|---|--:|--:|--:|");
    let rounds = (0..rounds).map(|round| one(runtime, tools, load, round)).collect::<Result<Vec<_>>>()?;
    let over = |of: &dyn Fn(f64, f64) -> f64| {
        median(rounds.iter().map(|(own, dvc, _)| of(own.as_secs_f64(), dvc.as_secs_f64())))
    };
    println!(
        "| {load} | publish | {:.3} | {:.3} | {:.2} |",
        over(&|own, _| own),
        over(&|_, dvc| dvc),
        over(&|own, dvc| dvc / own)
    );
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("transfer-dvc");
    if let Some(why) = load.instead(Load { files: 10_000, bytes: 100 << 10 }) {
        return sheet.rest(&why);
    }
    let figure = Figure::of(over(&|own, _| own)).beside(over(&|_, dvc| dvc));
    sheet.say("publish 10 000 files of 100 KiB", figure.ratio(over(&|own, dvc| own / dvc)));
    sheet.close()
}

fn one(runtime: &Runtime, tools: &Path, load: Load, round: u64) -> Result<Round> {
    let scratch = scratch()?;
    let path = |name: &str| scratch.path().join(name);
    let (project, remote, registry) = (path("project"), path("remote"), path("registry"));
    let files = project.join("files");
    let dvc = |arguments: &[&str]| {
        let mut command = Command::new(tools.join("dvc"));
        run(command.args(arguments).arg("--quiet").current_dir(&project).env("DVC_NO_ANALYTICS", "1"))
    };
    fs::create_dir(&project)?;
    dvc(&["init", "--no-scm"])?;
    dvc(&["remote", "add", "--default", "remote", &remote.display().to_string()])?;
    load.write(&files, round)?;

    let publish = || {
        runtime.block_on(async { load::publish(ObjectBacked::directory(&registry).await?, &files).await })?;
        Ok(registry.clone())
    };
    let push = || {
        dvc(&["add", "files"])?;
        dvc(&["push"])?;
        Ok(remote.clone())
    };
    // Whoever adds may replace the files by links, so a publication must not come after it.
    let published = load.timed(&files, Cache::Warm, &publish)?;
    let pushed = load.timed(&files, Cache::Warm, &push)?;
    Ok((published, pushed, load.keep(scratch)))
}
