//! `tidegate`: publish, find, verify, validate, promote and take back model versions, by hand or from
//! scripts.

mod answer;
mod approve;
mod arguments;
mod aside;
mod at;
mod attest;
mod bench;
mod bom;
mod bucket;
mod cache;
mod calibrate;
mod calibrate_judge;
mod command;
mod compare;
mod delete;
mod demote;
mod directory;
mod document;
mod drift;
#[cfg(target_os = "linux")]
mod environment;
mod expire;
mod failure;
mod formats;
mod fsck;
mod gc;
mod history;
mod interrupt;
mod judge;
mod key;
mod list;
mod load;
mod location;
mod oci;
mod pace;
mod picture;
mod plan;
mod plan_schema;
mod policy;
mod profile;
mod promote;
mod publish;
mod pull;
mod pull_oci;
mod push_oci;
mod quarantine;
mod query;
mod registry;
mod report;
mod revert;
mod rollback;
mod rollout;
mod scan;
mod secret;
mod show;
mod sign;
mod signers;
mod smoke;
mod suite_schema;
mod transfer;
mod validate;
mod verify;
mod watch;
mod withdrawal;
mod words;
mod yank;

use std::{ffi::OsStr, io, io::Write as _, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, error::ErrorKind};
use serde_json::json;
use tidegate::registry::Stamp;
use tracing_subscriber::EnvFilter;

use answer::{Form, Status};
use command::Command;
use failure::Failure;
use location::Location;

const AFTER_HELP: &str = "\
Selectors:
  NAME@1.4.0       that version
  NAME@^1.2        the highest version that matches the requirement
  NAME@latest      the highest version that is not a pre-release
                   (both pass over what was yanked or quarantined)
  NAME:production  the version that the channel points to

Registries:
  models, file:///srv/models    a directory
  s3://BUCKET/PREFIX            with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION; for a server of
                                one's own AWS_ENDPOINT, and AWS_ALLOW_HTTP=true if it has no TLS
  gs://BUCKET/PREFIX            with GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS
  az://CONTAINER/PREFIX         with AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY or another key
Credentials are taken from the environment only, never from the URL.

Exit status:
    0  done
    1  refused, not found, a check failed, or the answer could not be written
    2  wrong usage or invalid input; nothing was changed
    3  inconclusive: the evidence does not decide
    4  the registry or the network is unavailable; try again later
    5  the rollout waits for a person, or a watch for whoever keeps it, and nobody attends to it
  130  interrupted: it is done or it is not, and no version is there in part

With --json there is exactly one JSON document on standard output, and everything for people is on
standard error. An error is a document, too: {\"error\": {\"kind\", \"message\", \"causes\": []}}. `judge`, `scan`,
`watch`, `rollout start`, `rollout watch`, `rollback run` and `rollback watch` answer with many, a line each. RUST_LOG=debug tells more.";

/// Deliver AI models: publish versions, find, verify, validate and promote them, and take them back.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    session: Session,
    #[command(subcommand)]
    command: Command,
}

/// Whose name is on record where none was given.
const NOBODY: &str = "unknown";

/// What every subcommand knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Session {
    /// The registry: a directory, or a URL such as s3://BUCKET/PREFIX [default: `tidegate` in the user's data directory]
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
        default_value = NOBODY
    )]
    by: String,
}

impl Session {
    fn stamp(&self) -> Stamp {
        Stamp::now(self.by.as_str())
    }

    fn location(&self) -> Result<Location> {
        self.registry.clone().map_or_else(Location::of_user, Ok)
    }

    /// Whether nobody said who this is.
    fn is_nobody(&self) -> bool {
        matches!(self.by.trim(), "" | NOBODY)
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(cli.command.loud())),
        )
        .with_writer(io::stderr)
        .with_ansi(console::colors_enabled_stderr())
        .init();
    let form = match cli.session.json {
        false => Form::Text,
        true if cli.command.goes_on() || cli.command.is_many() => Form::Lines,
        true => Form::Document,
    };
    let (goes_on, parting) = (cli.command.goes_on(), cli.command.parting());
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads");
    match runtime.and_then(|runtime| interrupt::run(runtime, cli.command.run(&cli.session))) {
        Ok(answer) => answer.print(form),
        // It had nothing else to wait for.
        Err(error) if goes_on && matches!(error.downcast_ref(), Some(Failure::Interrupted)) => {
            if let Some(parting) = parting {
                let _ = writeln!(io::stderr(), "{parting}");
            }
            Status::Interrupted.into()
        }
        Err(error) => failure::print(&error, form),
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
        return answer::print_json(&json!({ "error": problem }), Form::Document, Status::Misused);
    }
    Status::Misused.into()
}
