//! A registry in a bucket of an S3 server on the loopback interface, beside the tools that move files there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use tidegate::registry::ObjectBacked;
use tokio::runtime::Runtime;

use crate::{
    figures::{Figure, Sheet},
    live::Live,
    load::{self, Cache, Load, median, run, scratch},
};

/// Of SeaweedFS, 256 MiB each: enough for what all of them upload in a round.
const VOLUMES: u64 = 4;

#[derive(Clone, Copy)]
enum Tool {
    Tidegate,
    Rclone,
    S5cmd,
    Boto3,
}

const TOOLS: [Tool; 4] = [Tool::Tidegate, Tool::Rclone, Tool::S5cmd, Tool::Boto3];

/// How long each of [`TOOLS`] took up and down.
type Round = [(Duration, Duration); TOOLS.len()];

pub(crate) fn report(
    runtime: &Runtime,
    tools: &Path,
    load: Load,
    rounds: u64,
    in_earnest: bool,
) -> Result<()> {
    println!("\n| load | to and from S3 | s | rclone s | s5cmd s | boto3 s | ÷ the fastest of them |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    let rounds = (0..rounds).map(|round| one(runtime, tools, load, round)).collect::<Result<Vec<Round>>>()?;
    let row = |what: &str, of: &dyn Fn(&(Duration, Duration)) -> Duration| {
        let seconds = |round: &Round, tool: usize| of(&round[tool]).as_secs_f64();
        let each = |tool| median(rounds.iter().map(|round| seconds(round, tool)));
        let ratio = median(rounds.iter().map(|round| {
            seconds(round, 0)
                / (1..TOOLS.len()).map(|tool| seconds(round, tool)).fold(f64::INFINITY, f64::min)
        }));
        println!(
            "| {load} | {what} | {:.3} | {:.3} | {:.3} | {:.3} | {ratio:.2} |",
            each(0),
            each(1),
            each(2),
            each(3)
        );
        let fastest = (1..TOOLS.len()).map(each).fold(f64::INFINITY, f64::min);
        Figure::of(each(0)).beside(fastest).ratio(ratio)
    };
    let (up, down) = (row("publish", &|(up, _)| *up), row("pull", &|(_, down)| *down));
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("transfer-bucket");
    if let Some(why) = load.instead(Load { files: 1, bytes: 4 << 30 }) {
        return sheet.rest(&why);
    }
    sheet.say("publish 4 GiB to S3 (SeaweedFS on the same cores)", up);
    sheet.say("pull 4 GiB from S3 (SeaweedFS on the same cores)", down);
    sheet.close()
}

/// One after the other up and down, in an order that turns, with a new server.
fn one(runtime: &Runtime, tools: &Path, load: Load, round: u64) -> Result<Round> {
    let scratch = scratch()?;
    let files = scratch.path().join("files");
    load.write(&files, round)?;
    let megabytes = load.mib() as u64;
    let server =
        runtime.block_on(Live::seaweedfs(&tools.join("weed"), 8 + VOLUMES * megabytes.div_ceil(200)));
    let session = Session { runtime, tools, server: &server, files: &files };
    let mut taken = Round::default();
    for turn in 0..TOOLS.len() {
        let at = (turn + round as usize) % TOOLS.len();
        let (tool, down) = (TOOLS[at], scratch.path().join("down"));
        let (up, from) = session.upload(tool, load)?;
        let pull = || session.download(tool, &from, &down).map(|()| down.clone());
        taken[at] = (up, load.timed(&files, Cache::Warm, &pull)?);
        fs::remove_dir_all(down)?;
    }
    Ok(taken)
}

struct Session<'a> {
    runtime: &'a Runtime,
    tools: &'a Path,
    server: &'a Live,
    files: &'a Path,
}

impl Session<'_> {
    /// Returns also where it was uploaded to: a registry's URL, or a prefix of the bucket.
    fn upload(&self, tool: Tool, load: Load) -> Result<(Duration, String)> {
        // Made before, because a bucket is tried out only once.
        let registry = self.runtime.block_on(self.server.registry()).to_string();
        let (name, files) = (tool.name(), self.files);
        let upload = || -> Result<PathBuf> {
            match tool {
                Tool::Tidegate => self
                    .runtime
                    .block_on(async { load::publish(self.open(&registry).await?, files).await })?,
                Tool::Rclone => run(self
                    .command("rclone")
                    .args(["copy", "--checksum"])
                    .arg(files)
                    .arg(format!(":s3:models/{name}")))?,
                Tool::S5cmd => run(self.command("s5cmd").args([
                    "cp",
                    &format!("{}/*", files.display()),
                    &format!("s3://models/{name}/"),
                ]))?,
                Tool::Boto3 => run(self.boto3().arg("upload").arg(files).arg(name))?,
            }
            Ok(files.to_owned())
        };
        let taken = load.timed(files, Cache::Warm, &upload)?;
        Ok((taken, if matches!(tool, Tool::Tidegate) { registry } else { name.to_owned() }))
    }

    fn download(&self, tool: Tool, from: &str, to: &Path) -> Result<()> {
        match tool {
            Tool::Tidegate => {
                self.runtime.block_on(async { load::pull(self.open(from).await?, to).await })?
            }
            Tool::Rclone => run(self
                .command("rclone")
                .args(["copy", "--checksum", &format!(":s3:models/{from}")])
                .arg(to))?,
            Tool::S5cmd => run(self.command("s5cmd").args([
                "cp",
                &format!("s3://models/{from}/*"),
                &format!("{}/", to.display()),
            ]))?,
            Tool::Boto3 => run(self.boto3().arg("download").arg(to).arg(from))?,
        }
        // What `pull` has delivered is on the disk. Others leave that to whoever needs it.
        match tool {
            Tool::Tidegate => Ok(()),
            _ => run(Command::new("sync").arg("-f").arg(to)),
        }
    }

    async fn open(&self, registry: &str) -> Result<ObjectBacked> {
        let mut options = self.server.options().to_vec();
        // As rclone does; otherwise every byte is hashed a second time, for the signature of its request.
        options.push(("aws_unsigned_payload".to_owned(), "true".to_owned()));
        Ok(ObjectBacked::open_url(registry, options).await?)
    }

    fn boto3(&self) -> Command {
        let mut command = self.command("python");
        command.args(["-c", include_str!("boto3.py")]);
        command
    }

    /// One of the tools, told by its environment where the server is.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.tools.join(name));
        let option = |wanted: &str| {
            let found = self.server.options().iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let (endpoint, region) = (option("aws_endpoint"), option("aws_region"));
        let (id, secret) = (option("aws_access_key_id"), option("aws_secret_access_key"));
        command
            .envs([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_REGION", region)])
            .envs([
                ("AWS_DEFAULT_REGION", region),
                ("AWS_ENDPOINT_URL", endpoint),
                ("S3_ENDPOINT_URL", endpoint),
            ])
            .envs([("RCLONE_S3_ACCESS_KEY_ID", id), ("RCLONE_S3_SECRET_ACCESS_KEY", secret)])
            .envs([("RCLONE_S3_ENDPOINT", endpoint), ("RCLONE_S3_PROVIDER", "SeaweedFS")])
            .envs([("RCLONE_CONFIG", "/dev/null"), ("RCLONE_S3_REGION", region)]);
        command
    }
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Rclone => "rclone",
            Self::S5cmd => "s5cmd",
            Self::Boto3 => "boto3",
        }
    }
}
