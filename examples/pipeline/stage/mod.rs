//! The kinds of stages: what each does, whether it may, and what it would do.

pub(crate) mod approval;
pub(crate) mod command;
pub(crate) mod leftovers;
pub(crate) mod output;
pub(crate) mod publish;
pub(crate) mod rollout;
pub(crate) mod sarif;
pub(crate) mod scan;
pub(crate) mod staging;
pub(crate) mod validate;
pub(crate) mod watch;

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use tidegate::validation::{Report, Verdict as Found};

use self::{
    approval::Approve, command::Command, publish::Publish, rollout::Rollout, sarif::Scans, scan::Scan,
    validate::Validate, watch::Watch,
};
use crate::{
    environment::EnvironmentFile,
    ground::Ground,
    progress::{Outcome, Verdict},
    words::plain,
};

/// What is done in a stage.
#[derive(Debug)]
pub(crate) enum Work {
    Approve(Approve),
    Publish(Publish),
    Rollout(Rollout),
    Run(Command),
    Sarif(Scans),
    Scan(Scan),
    Validate(Validate),
    Watch(Watch),
}

/// What became of a stage that was not interrupted.
#[derive(Debug)]
pub(crate) enum Ending {
    Came(Outcome),
    /// Only a person makes it go on, and nobody is to be waited for.
    Waits(String),
}

/// What a stage would do, and what is lacking for it.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// A sentence.
    pub(crate) does: String,
    /// What has to be there.
    pub(crate) takes: Vec<String>,
    /// What of it is not, and what to do about it.
    pub(crate) lacks: Vec<String>,
}

impl Work {
    /// Does it. Whatever was done of it before is gone on with or done again.
    pub(crate) async fn run(&self, at: At<'_>) -> Result<Ending> {
        match self {
            Self::Approve(approve) => approve.run(at).await,
            Self::Publish(publish) => publish.run(at).await,
            Self::Rollout(rollout) => Box::pin(rollout.run(at)).await,
            Self::Run(command) => command.run(at).await,
            Self::Sarif(scans) => scans.run(at).await,
            Self::Scan(scan) => scan.run(at).await,
            Self::Validate(validate) => Box::pin(validate.run(at)).await,
            Self::Watch(watch) => Box::pin(watch.run(at)).await,
        }
    }

    /// Says what it would do, and does nothing.
    pub(crate) async fn preview(&self, ground: &Ground) -> Result<Preview> {
        Ok(match self {
            Self::Approve(approve) => approve.preview(ground),
            Self::Publish(publish) => publish.preview(ground).await?,
            Self::Rollout(rollout) => rollout.preview(ground).await?,
            Self::Run(command) => command.preview(ground),
            Self::Sarif(scans) => scans.preview(ground),
            Self::Scan(scan) => scan.preview(ground),
            Self::Validate(validate) => validate.preview(ground),
            Self::Watch(watch) => watch.preview(ground),
        })
    }

    /// What is wrong with what is said of it, and in which field.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Approve(approve) => approve.flaw(),
            Self::Run(command) => command.flaw(),
            Self::Sarif(scans) => scans.flaw(),
            Self::Publish(_) | Self::Rollout(_) | Self::Scan(_) | Self::Validate(_) | Self::Watch(_) => None,
        }
    }

    /// Its name in the file.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Publish(_) => "publish",
            Self::Rollout(_) => "rollout",
            Self::Run(_) => "run",
            Self::Sarif(_) => "sarif",
            Self::Scan(_) => "scan",
            Self::Validate(_) => "validate",
            Self::Watch(_) => "watch",
        }
    }

    /// Whether it is about a version that is published already.
    pub(crate) const fn asks_for_a_version(&self) -> bool {
        matches!(self, Self::Approve(_) | Self::Rollout(_) | Self::Validate(_) | Self::Watch(_))
    }

    /// Whether its result says something about the version, for a policy to demand: publishing it is what is asked about.
    pub(crate) const fn is_evidence(&self) -> bool {
        !matches!(self, Self::Publish(_))
    }

    /// The environment that it acts on.
    pub(crate) fn environment(&self) -> Option<&str> {
        match self {
            Self::Rollout(rollout) => Some(&rollout.environment),
            Self::Validate(validate) => Some(&validate.environment),
            Self::Watch(watch) => Some(&watch.environment),
            Self::Approve(_) | Self::Publish(_) | Self::Run(_) | Self::Sarif(_) | Self::Scan(_) => None,
        }
    }
}

/// A stage that is to be done: where, and for the how-manieth time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) stage: &'a str,
    pub(crate) attempt: u32,
    /// The same for as long as it comes to no result, however often it is interrupted.
    pub(crate) round: u32,
    /// The images that stages before it have made, each by its digest.
    pub(crate) images: &'a BTreeMap<String, String>,
    pub(crate) ground: &'a Ground,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self::Came(outcome)
    }
}

impl Preview {
    pub(crate) fn new(does: impl Into<String>) -> Self {
        Self { does: does.into(), ..Self::default() }
    }

    /// It takes this.
    pub(crate) fn taking(mut self, what: impl Into<String>) -> Self {
        self.takes.push(what.into());
        self
    }

    /// It lacks this, if anything.
    pub(crate) fn lacking(mut self, what: impl IntoIterator<Item = String>) -> Self {
        self.lacks.extend(what);
        self
    }
}

/// What a report of checks comes to for a stage.
pub(crate) fn reported(report: &Report) -> Outcome {
    let verdict = match report.verdict() {
        _ if report.accepted() => Verdict::Passed,
        Found::Fail => Verdict::Failed,
        _ => Verdict::Undecided,
    };
    let text = report.to_string();
    let mut lines = text.lines().map(plain);
    Outcome::new(verdict, lines.next().unwrap_or_default()).with_lines(lines)
}

/// What is wrong with an environment file, if it cannot be read.
pub(crate) fn unread(ground: &Ground, file: &Path) -> Option<String> {
    EnvironmentFile::read(&ground.release.path(file)).err().map(|error| format!("{error:#}"))
}
