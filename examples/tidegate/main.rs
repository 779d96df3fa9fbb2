//! `tidegate`: publish, find, verify, promote and validate model versions by hand or from scripts.

mod answer;
mod document;
mod failure;
mod history;
mod interrupt;
mod list;
mod location;
mod promote;
mod publish;
mod pull;
mod show;
mod transfer;
mod validate;
mod verify;
mod words;

use std::{ffi::OsStr, io, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, error::ErrorKind};
use serde_json::json;
use tidegate::registry::Stamp;
use tracing_subscriber::EnvFilter;

use answer::{Answer, Status};
use location::Location;

const AFTER_HELP: &str = "\
Selectors:
  NAME@1.4.0       that version
  NAME@^1.2        the highest version that matches the requirement
  NAME@latest      the highest version that is not a pre-release
  NAME:production  the version that the channel points to

Exit status:
    0  done
    1  refused, not found, a check failed, or the answer could not be written
    2  wrong usage or invalid input; nothing was changed
    3  inconclusive: the evidence does not decide
    4  the registry or the network is unavailable; try again later
  130  interrupted: it is done or it is not, and no version is there in part

With --json there is exactly one JSON document on standard output, and everything for people is on
standard error. An error is a document, too: {\"error\": {\"kind\", \"message\", \"causes\": []}}.
RUST_LOG=debug tells more.";

/// Deliver AI models: publish versions, find, verify, validate and promote them.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    session: Session,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Session {
    /// The registry: a directory or a file:// URL [default: `tidegate` in the user's data directory]
    #[arg(long, global = true, value_name = "URL", env = "TIDEGATE_REGISTRY", hide_env_values = true)]
    registry: Option<Location>,
    /// Answer with one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// Who does this, for the record
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "USER",
        hide_env_values = true,
        default_value = "unknown"
    )]
    by: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish the files of a directory as a new version
    Publish(publish::Publish),
    /// Download a version and verify every byte of it
    Pull(pull::Pull),
    /// List the models, or the versions of one
    List(list::List),
    /// Show what is known about a version
    Show(show::Show),
    /// Read a version in the registry again and compare it with its manifest
    Verify(verify::Verify),
    /// Point a channel to a version
    Promote(promote::Promote),
    /// Show where a channel pointed, the last move first
    History(history::History),
    /// Run a suite of checks against a version that is being served
    Validate(validate::Validate),
}

impl Session {
    fn stamp(&self) -> Stamp {
        Stamp::now(self.by.as_str())
    }

    fn location(&self) -> Result<Location> {
        self.registry.clone().map_or_else(Location::of_user, Ok)
    }
}

impl Command {
    async fn run(self, session: &Session) -> Result<Answer> {
        match self {
            Self::Publish(publish) => publish.run(session).await,
            Self::Pull(pull) => pull.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Verify(verify) => verify.run(session).await,
            Self::Promote(promote) => promote.run(session).await,
            Self::History(history) => history.run(session).await,
            Self::Validate(validate) => validate.run(session).await,
        }
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(io::stderr)
        .init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads");
    match runtime.and_then(|runtime| interrupt::run(runtime, cli.command.run(&cli.session))) {
        Ok(answer) => answer.print(cli.session.json),
        Err(error) => failure::print(&error, cli.session.json),
    }
}

/// Prints what clap has to say: help, the version, or what is wrong with the arguments.
fn misused(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return answer::delivered(printed, Status::Done);
    }
    if std::env::args_os().any(|arg| arg == OsStr::new("--json")) {
        let text = error.to_string();
        // The first paragraph says what is wrong; the rest is the usage.
        let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
        let message = lines.collect::<Vec<_>>().join(" ");
        let problem = failure::problem("usage", message.trim_start_matches("error: "), &[]);
        return answer::print_json(&json!({ "error": problem }), Status::Misused);
    }
    Status::Misused.into()
}
