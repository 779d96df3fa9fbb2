//! A release, from the sources to everybody, described in one file and run stage by stage.
//!
//! `cargo run --example pipeline -- examples/pipeline/release.toml --dry-run`
//!
//! The description is [`release`], what can run when [`schedule`], how far it is [`progress`]: all three are pure. A
//! [`driver`] begins stages, of the kinds in [`stage`], and writes down what comes of them in a [`journal`] that lies in
//! the registry; [`evidence`] says the same about the version, where the policy of the channel demands it.
//!
//! What files say about environments, plans and watches is read by the command line's own code, in `../tidegate`.

#[path = "../tidegate/answer.rs"]
#[expect(dead_code, reason = "the command line also answers line by line")]
mod answer;
#[path = "../tidegate/bucket.rs"]
mod bucket;
#[path = "../tidegate/directory.rs"]
mod directory;
#[path = "../tidegate/document.rs"]
mod document;
mod driver;
#[path = "../tidegate/environment/mod.rs"]
#[expect(dead_code, reason = "the command line also looks without acting")]
mod environment;
mod evidence;
#[path = "../tidegate/failure.rs"]
#[expect(dead_code, reason = "the command line objects to more")]
mod failure;
#[path = "../tidegate/formats.rs"]
#[expect(dead_code, reason = "the command line also writes JUnit, SARIF and Markdown")]
mod formats;
mod ground;
#[path = "../tidegate/interrupt.rs"]
mod interrupt;
mod journal;
#[path = "../tidegate/location.rs"]
mod location;
mod preview;
mod progress;
mod query;
#[path = "../tidegate/registry.rs"]
#[expect(dead_code, reason = "the command line asks more of it")]
mod registry;
mod release;
mod report;
mod schedule;
#[path = "../tidegate/secret.rs"]
#[expect(dead_code, reason = "the command line takes passphrases as arguments say")]
mod secret;
mod signed;
mod stage;
mod tell;
mod tidings;
#[path = "../tidegate/transfer.rs"]
#[expect(dead_code, reason = "the command line draws bars")]
mod transfer;
#[path = "../tidegate/words.rs"]
#[expect(dead_code, reason = "the command line says more")]
mod words;

use std::{io, num::NonZeroUsize, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::Value;
use tidegate::canary::WallClock;
use tracing_subscriber::EnvFilter;

use self::{
    answer::{Answer, Form, Status},
    driver::{Driver, Wishes},
    failure::Failure,
    ground::Ground,
    journal::Journal,
    location::Location,
    progress::Progress,
    release::Release,
    tidings::Couriers,
};

const AFTER_HELP: &str = "\
Examples:
  pipeline release.toml --dry-run          # what each stage would do, what it takes, and what is lacking
  pipeline release.toml --policy > policy.toml && tidegate policy set support --channel production policy.toml
  pipeline release.toml --revision \"$GITHUB_SHA\" --unattended
  pipeline release.toml --from canary      # that stage again, and all that need it

Killed anywhere, the same command goes on: what has passed is not done again, what was under way is gone on with or done
again, what failed is tried again. A second one takes the release over, and the first one ends. Where the description or the
revision is another one, everything is done again.

Exit status: 0 every stage passed; 1 one failed, or was refused; 2 the description is wrong, or something that it names;
3 one is undecided; 4 the registry or a server is unavailable; 5 it waits for a person, and is --unattended;
130 interrupted.";

/// Bring a version from its sources to its users, stage by stage.
#[derive(Debug, Parser)]
#[command(name = "pipeline", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// The release: a .toml, .yaml or .json file
    #[arg(value_name = "RELEASE")]
    release: PathBuf,
    /// Say what each stage would do, what it takes, and what is lacking; do nothing
    #[arg(long, conflicts_with = "policy")]
    dry_run: bool,
    /// Print the policy that the channel has to have, so that no version gets there around a stage, or unsigned
    #[arg(long)]
    policy: bool,
    /// Do this stage again, and all that need it
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    /// What is built from, such as a commit; where it is another one than before, everything is done again
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// End with status 5 where only a person makes it go on, instead of waiting
    #[arg(long)]
    unattended: bool,
    /// So many stages at once
    #[arg(long, value_name = "N", default_value = "4")]
    at_once: NonZeroUsize,
    /// The registry: a directory, or a URL such as s3://BUCKET/PREFIX [default: `tidegate` in the user's data directory]
    #[arg(long, value_name = "URL", env = "TIDEGATE_REGISTRY", hide_env_values = true)]
    registry: Option<Location>,
    /// Answer with one JSON document
    #[arg(long)]
    json: bool,
    /// Who does this, for the record
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, default_value = "pipeline")]
    by: String,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _unread = error.print();
            return if error.use_stderr() { Status::Misused.into() } else { Status::Done.into() };
        }
    };
    let level = EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(level.unwrap_or_else(|_| EnvFilter::new("warn,tidegate_metrics::scrape=error")))
        .with_writer(io::stderr)
        .with_ansi(console::colors_enabled_stderr())
        .init();
    let form = if cli.json { Form::Document } else { Form::Text };
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads");
    match runtime.and_then(|runtime| interrupt::run(runtime, cli.run())) {
        Ok(answer) => answer.print(form),
        Err(error) => failure::print(&error, form),
    }
}

impl Cli {
    async fn run(self) -> Result<Answer> {
        let mut release = Release::read(&self.release)?;
        if self.policy {
            return policy(&release);
        }
        let from = self.from.as_deref().map(|name| release.index(name)).transpose()?;
        let location = self.registry.map_or_else(Location::of_user, Ok)?;
        let registry = match self.dry_run {
            true => match location.open().await {
                Ok(registry) => Some(registry),
                Err(error) if matches!(error.downcast_ref(), Some(Failure::NoRegistry(_))) => None,
                Err(error) => return Err(error),
            },
            false => {
                let registry = location.open_or_begin().await?;
                // Hours of work may depend on it.
                location.expect_writable().await?;
                Some(registry)
            }
        };
        let journal = match &registry {
            Some(registry) => Some(Journal::open(Arc::new(registry.store.clone()), &release.model).await?),
            None => None,
        };
        let (notify, clock) = (std::mem::take(&mut release.notify), WallClock::system());
        let couriers = match &registry {
            Some(registry) => Couriers::open(notify, &release, registry, clock)?,
            None => Couriers::default(),
        };
        let ground = Ground {
            release,
            location,
            registry,
            by: self.by,
            clock,
            unattended: self.unattended,
            loud: !self.json,
        };
        match journal {
            Some(journal) if !self.dry_run => {
                let wishes = Wishes { from, revision: self.revision, at_once: self.at_once.get() };
                let driver =
                    Driver::new(&ground, journal, |event, progress| tell::event(&ground, event, progress));
                let driven = tokio::select! {
                    driven = driver.run(&wishes) => driven,
                    () = couriers.run() => unreachable!("they tell for as long as they are let"),
                };
                couriers.tell_the_end().await;
                let course = driven?;
                let answer = tell::answer(&ground, &course);
                report::write(&ground, &course.progress, answer.json["end"].as_str().unwrap_or_default())?;
                Ok(answer)
            }
            journal => {
                let nothing = Progress::default();
                let progress = journal.as_ref().map_or(&nothing, Journal::progress);
                preview::preview(&ground, progress, from).await
            }
        }
    }
}

fn policy(release: &Release) -> Result<Answer> {
    let policy = evidence::policy(release, &signed::read(release)?);
    if policy.rules.is_empty() {
        let why = "no stage comes before a rollout, and nobody has to sign the version, so that there is nothing to demand; let a stage say `rollout`, or name keys in [[signed]]";
        return Err(Failure::Misused(why.to_owned()).into());
    }
    let json: Value = serde_json::to_value(&policy)?;
    Ok(Answer::done(toml::to_string(&policy)?.trim_end(), json))
}
