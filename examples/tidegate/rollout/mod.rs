//! `tidegate rollout start|status|watch|pause|resume|approve|reject|abort|skip|promote|override|replace`

mod ask;
mod end;
mod follower;
mod frame;
mod plan;
#[cfg(target_os = "linux")]
mod start;
mod status;
mod target;
mod view;
mod watch;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{Session, answer::Answer, picture::Screen};

const AFTER_HELP: &str = "\
Examples:
  tidegate rollout start plan.yaml --environment machine.yaml
  tidegate rollout watch --route serving/fraud
  tidegate rollout pause --route serving/fraud
  tidegate rollout abort --route serving/fraud --reason \"alerts fire\"

`start` drives a rollout for as long as it runs; killed anywhere, the same command goes on. All the others
work from any machine that reaches the registry: they read the journal of the route and write what is asked
into it, and whoever drives the rollout does it within seconds.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin the rollout of a plan, or go on with it, and drive it to its end
    #[cfg(target_os = "linux")]
    Start(start::Start),
    /// Show how the last rollout of a route stands, or stood
    Status(status::Status),
    /// Follow a rollout to its end
    Watch(watch::Watch),
    /// Keep it where it is; evidence against the candidate still counts
    Pause(ask::Pause),
    /// Let a paused or undecided rollout go on
    Resume(ask::Resume),
    /// Let it through its gate, for exactly the content that you looked at
    Approve(ask::Approve),
    /// Shut its gate for good: traffic returns to stable
    Reject(ask::Reject),
    /// Give up: traffic returns to stable
    Abort(ask::Abort),
    /// Take the step for done, whatever is missing
    Skip(ask::Skip),
    /// Send everything to the candidate and promote it, without further proof
    Promote(ask::Promote),
    /// Take the freezes that are on for none
    Override(ask::Override),
    /// Return to stable and begin again with another plan
    Replace(ask::Replace),
}

impl Rollout {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        match self.command {
            #[cfg(target_os = "linux")]
            Command::Start(start) => Box::pin(start.run(session)).await,
            Command::Status(status) => status.run(session).await,
            Command::Watch(watch) => watch.run(session).await,
            Command::Pause(pause) => pause.run(session).await,
            Command::Resume(resume) => resume.run(session).await,
            Command::Approve(approve) => approve.run(session).await,
            Command::Reject(reject) => reject.run(session).await,
            Command::Abort(abort) => abort.run(session).await,
            Command::Skip(skip) => skip.run(session).await,
            Command::Promote(promote) => promote.run(session).await,
            Command::Override(over) => over.run(session).await,
            Command::Replace(replace) => replace.run(session).await,
        }
    }

    pub(crate) const fn goes_on(&self) -> bool {
        match self.command {
            #[cfg(target_os = "linux")]
            Command::Start(_) => true,
            Command::Watch(_) => true,
            _ => false,
        }
    }

    /// Logs would tear a picture to pieces, and a side that does not run yet cannot be scraped.
    pub(crate) fn loud(&self) -> &'static str {
        let draws = self.goes_on() && Screen::of_answers().is_some();
        if draws { "error" } else { "warn,tidegate_metrics::scrape=error" }
    }

    pub(crate) const fn parting(&self) -> Option<&'static str> {
        match self.command {
            #[cfg(target_os = "linux")]
            Command::Start(_) => Some(start::PARTING),
            _ => None,
        }
    }
}
