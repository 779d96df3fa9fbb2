//! `tidegate cache stat|shrink|verify`, and the options of whoever delivers by way of one

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tidegate::registry::{self, Link, Usage};

use crate::{
    answer::{Answer, Status},
    arguments::size,
    words::{bytes, count},
};

const AFTER_HELP: &str = "\
Examples:
  tidegate pull support:production model/ --cache /var/cache/tidegate --cache-limit 200GiB
  tidegate cache stat /var/cache/tidegate
  tidegate cache shrink /var/cache/tidegate 50GiB
  tidegate cache verify /var/cache/tidegate

Any number of programs may use a cache at once. An exact version that was delivered by way of it can be
pulled again while the registry is away.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Cache {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say how much there is in it
    Stat {
        /// The cache
        #[arg(value_name = "DIR", env = "TIDEGATE_CACHE", hide_env_values = true)]
        directory: PathBuf,
    },
    /// Remove what was used least recently, until it is no larger than this
    Shrink {
        /// The cache
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Bytes, for example 50GiB; 0 empties it
        #[arg(value_name = "BYTES", value_parser = size)]
        limit: u64,
    },
    /// Hash every file, and remove what is not what it was
    Verify {
        /// The cache
        #[arg(value_name = "DIR", env = "TIDEGATE_CACHE", hide_env_values = true)]
        directory: PathBuf,
    },
}

/// Delivering by way of a cache.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct Cached {
    /// Keep files in this directory, and fetch only what is not there
    #[arg(long, value_name = "DIR", env = "TIDEGATE_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// Keep at most so many bytes there
    #[arg(long, value_name = "BYTES", default_value = "100GiB", value_parser = size)]
    cache_limit: u64,
    /// How files get from there to the destination: share blocks, or else a hard link; hard: a read-only link; copy
    #[arg(long, value_name = "HOW", default_value = "share", hide_possible_values = true)]
    link: How,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    Copy,
    Hard,
    Share,
}

impl Cache {
    pub(crate) async fn run(self) -> Result<Answer> {
        // None of these keeps anything, so none has a limit.
        let open = async |directory: PathBuf| registry::Cache::open(existing(directory)?, u64::MAX).await;
        Ok(match self.command {
            Command::Stat { directory } => {
                let Usage { files, bytes: size, .. } = open(directory).await?.usage().await?;
                let text = format!("{}, {}", count(files, "file"), bytes(size));
                Answer::done(text, json!({ "files": files, "bytes": size }))
            }
            Command::Shrink { directory, limit } => {
                let Usage { files, bytes: size, .. } = open(directory).await?.shrink(limit).await?;
                let text = format!("removed {}, {}", count(files, "file"), bytes(size));
                Answer::done(text, json!({ "removed": { "files": files, "bytes": size } }))
            }
            Command::Verify { directory } => {
                let cache = open(directory).await?;
                let Usage { files, bytes: size, .. } = cache.verify().await?;
                let left = cache.usage().await?;
                let text = match files {
                    0 => format!("{} verified", count(left.files, "file")),
                    _ => format!("removed {} that were changed, {}", count(files, "file"), bytes(size)),
                };
                let json = json!({ "verified": left, "removed": { "files": files, "bytes": size } });
                let status = if files == 0 { Status::Done } else { Status::Refused };
                Answer { text, json, status }
            }
        })
    }
}

impl Cached {
    pub(crate) async fn open(self) -> Result<Option<registry::Cache>> {
        let Some(directory) = self.cache else { return Ok(None) };
        let link = match self.link {
            How::Share => Link::Share,
            How::Hard => Link::Hard,
            How::Copy => Link::Copy,
        };
        Ok(Some(registry::Cache::open(directory, self.cache_limit).await?.with_link(link)))
    }
}

/// Looking at a cache must not make one.
fn existing(directory: PathBuf) -> Result<PathBuf, registry::Error> {
    if directory.join("files").is_dir() {
        return Ok(directory);
    }
    Err(registry::Error::NotFound {
        what: format!("a cache in {}", directory.display()),
        remedy: "name the directory that `tidegate pull --cache` was given".to_owned(),
    })
}
