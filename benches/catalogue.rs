//! Finding versions among a hundred thousand of one model, and committing to its log, in a directory.
//!
//! Cold is with a registry opened anew for each look, its files in the page cache. Every figure is a median.
//! `TIDEGATE_BENCH_VERSIONS` sets the number of versions.
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod figures;

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tidegate::registry::{
    Cause, Channel, Channels, Digest, Expect, Filter, Lifecycle, Log as _, LogKey, ModelName,
    ModelStore as _, ModelStoreExt as _, ObjectBacked, Published, Seq, Stamp,
};
use tokio::runtime::Runtime;

use self::figures::{Figure, Sheet};

/// Versions that one record publishes, as a bulk import does.
const AT_ONCE: usize = 1000;

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let versions = std::env::var("TIDEGATE_BENCH_VERSIONS").map_or(Ok(100_000), |n| n.parse())?;
    let (rounds, versions, commits) = if in_earnest { (21, versions, 500) } else { (1, 3000, 70) };
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = Runtime::new()?;
    runtime.block_on(fill(scratch.path(), versions))?;

    println!("| with {versions} versions | ms | wanted |");
    println!("|---|--:|--:|");
    let name: ModelName = "m".parse()?;
    let resolve = async |selector: &str| {
        let registry = ObjectBacked::directory(scratch.path()).await?;
        let channels = Channels::new(Arc::new(registry.clone()));
        registry.resolve(&selector.parse()?, &channels).await.map_err(anyhow::Error::from)
    };
    let page = async |most: usize| {
        let registry = ObjectBacked::directory(scratch.path()).await?;
        let found = registry.versions(&name, Filter::default()).take(most);
        let found: Vec<Published> = found.try_collect().await?;
        ensure!(found.len() == most.min(versions), "{} versions", found.len());
        Ok(())
    };
    let report = |what: &str, wanted: &str, mut times: Vec<Duration>| {
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64();
        println!("| {what} | {:.2} | {wanted} |", median * 1e3);
        median
    };
    let (mut latest, mut caret, mut first, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        latest.push(timed(&runtime, async || resolve("m@latest").await.map(drop))?);
        caret.push(timed(&runtime, async || resolve("m@^1").await.map(drop))?);
        first.push(timed(&runtime, async || page(50).await)?);
        all.push(timed(&runtime, async || page(usize::MAX).await)?);
    }
    let newest = report("cold `latest`", "≤ 20", latest);
    let caret = report("cold `^1`", "≤ 20", caret);
    let first = report("cold first page of 50", "≤ 20", first);
    let all = report("cold list of all", "", all);

    let start = Instant::now();
    runtime.block_on(promote(scratch.path(), commits))?;
    let rate = |start: Instant| commits as f64 / start.elapsed().as_secs_f64();
    let ours = rate(start);
    let start = Instant::now();
    create(scratch.path(), commits)?;
    let disk = rate(start);
    println!("\ncommits to this model, one after the other: {ours:.0} a second (wanted: ≥ 200)");
    println!("files of the same size created durably, as each commit must: {disk:.0} a second");

    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("catalogue");
    sheet.say("commits to one model, one after the other", Figure::of(ours).beside(disk));
    if versions != 100_000 {
        return sheet.rest(&format!("of {versions} versions"));
    }
    let newest_of = "the newest of 100 000 versions, by a client that knows nothing yet";
    sheet.say(newest_of, Figure::of(newest));
    sheet.say("`^1` among 100 000 versions, by a client that knows nothing yet", Figure::of(caret));
    sheet.say("the first 50 of 100 000 versions, by a client that knows nothing yet", Figure::of(first));
    sheet.say("list all 100 000 versions", Figure::of(all));
    sheet.close()
}

/// What a commit cannot do without: a file is written and synced, linked to its name, and the name is synced.
fn create(root: &Path, files: usize) -> Result<()> {
    let directory = root.join("yardstick");
    fs::create_dir(&directory)?;
    let handle = fs::File::open(&directory)?;
    for n in 0..files {
        let (staged, name) = (directory.join("staged"), directory.join(n.to_string()));
        let mut file = fs::File::create_new(&staged)?;
        file.write_all(&[b'x'; 400])?;
        file.sync_all()?;
        fs::hard_link(&staged, &name)?;
        handle.sync_all()?;
        fs::remove_file(&staged)?;
    }
    Ok(())
}

fn timed(runtime: &Runtime, work: impl AsyncFn() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    runtime.block_on(work())?;
    Ok(start.elapsed())
}

/// Writes the log of a model with so many versions, of ten majors, as bulk imports write it.
async fn fill(root: &Path, versions: usize) -> Result<()> {
    let (registry, key) = (ObjectBacked::directory(root).await?, LogKey::model(&"m".parse()?));
    let (mut prev, majors) = (None::<Digest>, 10);
    for (record, first) in (0..versions).step_by(AT_ONCE).enumerate() {
        let facts: Vec<_> = (first..versions.min(first + AT_ONCE))
            .map(|n| {
                let digest = Digest::of(n.to_le_bytes());
                let version = format!("{}.{}.0", n % majors, n / majors);
                json!({ "publish": { "version": version, "digest": digest, "size": n, "manifest": digest,
                        "metrics": { "accuracy": 0.9 }, "tags": ["nightly"] } })
            })
            .collect();
        let seq = Seq::FIRST.plus(record);
        let mut entry =
            json!({ "v": 1, "seq": seq, "txn": uuid(record), "stamp": Stamp::now("bench"), "facts": facts });
        if let Some(prev) = prev {
            entry["prev"] = json!(prev);
        }
        let entry = serde_json::to_vec(&entry)?;
        prev = Some(Digest::of(&entry));
        registry.append(&key, seq, entry.into()).await?;
    }
    // Whoever says something next, and finds that it is time, keeps a snapshot.
    Lifecycle::new(Arc::new(registry)).yank(&"m@1.0.0".parse()?, "a bench", Stamp::now("bench")).await?;
    Ok(())
}

fn uuid(n: usize) -> String {
    format!("01a20521-8cf6-77d4-87b4-{n:012x}")
}

async fn promote(root: &Path, commits: usize) -> Result<()> {
    let channels = Channels::new(Arc::new(ObjectBacked::directory(root).await?));
    for n in 0..commits {
        let to = format!("m@2.{}.0", n % 2).parse()?;
        let (channel, stamp) = (Channel::production(), Stamp::now("bench"));
        channels.promote(&to, &channel, &Expect::Any, Cause::Rollout { id: n.to_string() }, stamp).await?;
    }
    Ok(())
}
