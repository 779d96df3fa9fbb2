//! `tidegate rollback run|watch|abort|status|drill|candidates|quarantine|hold|resume|stop|alarm|report`

mod abort;
mod ask;
mod candidates;
mod drill;
mod follower;
mod frame;
mod goal;
mod persist;
mod quarantine;
mod report;
mod run;
mod same;
mod spark;
mod status;
mod unjudged;
mod view;
mod watch;
mod watch_file;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{Session, answer::Answer, picture::Screen};

const AFTER_HELP: &str = "\
Examples:
  tidegate rollback candidates fraud --route serving/fraud
  tidegate rollback run fraud --route serving/fraud --environment machine.yaml --reason \"it is slow\"
  tidegate rollback watch watch.yaml --environment machine.yaml
  tidegate rollback status --route serving/fraud
  tidegate rollback report serving/fraud -o incident.html

`run`, `watch` and `drill` act for as long as they run; killed anywhere, the same command goes on. All the others
work from any machine that reaches the registry.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Rollback {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Go back, and see whether it helped
    Run(run::Run),
    /// Guard what was promoted, and go back when it does not keep its limits
    Watch(watch::Watch),
    /// Call off the rollback that is under way, before traffic moves
    Abort(abort::Abort),
    /// Show how the last watch of a route stands, or stood
    Status(status::Status),
    /// Rehearse going back without moving traffic, and say how long each part takes
    Drill(drill::Drill),
    /// Say where a rollback would go, and why not to the others; changes nothing
    Candidates(candidates::Candidates),
    /// List the content that no plan and no promotion takes
    Quarantine(quarantine::Quarantine),
    /// Let a watch do nothing without a person
    Hold(ask::Hold),
    /// Let a watch act by itself again
    Resume(ask::Resume),
    /// End a watch
    Stop(ask::Stop),
    /// Tell a watch that something is wrong: evidence like any other
    Alarm(ask::Alarm),
    /// Write down an incident, as one HTML page or as Markdown
    Report(report::Report),
}

impl Rollback {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        match self.command {
            Command::Run(run) => Box::pin(run.run(session)).await,
            Command::Watch(watch) => Box::pin(watch.run(session)).await,
            Command::Abort(abort) => abort.run(session).await,
            Command::Status(status) => status.run(session).await,
            Command::Drill(drill) => Box::pin(drill.run(session)).await,
            Command::Candidates(candidates) => candidates.run(session).await,
            Command::Quarantine(quarantine) => quarantine.run(session).await,
            Command::Hold(hold) => hold.run(session).await,
            Command::Resume(resume) => resume.run(session).await,
            Command::Stop(stop) => stop.run(session).await,
            Command::Alarm(alarm) => alarm.run(session).await,
            Command::Report(report) => report.run(session).await,
        }
    }

    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self.command, Command::Run(_) | Command::Watch(_))
    }

    /// What is logged of a rollback and a watch is said as an answer already, and logs would tear a picture to pieces.
    pub(crate) fn loud(&self) -> &'static str {
        match self.command {
            Command::Watch(_) if Screen::of_answers().is_some() => "error",
            Command::Run(_) | Command::Watch(_) => {
                "warn,tidegate_metrics::scrape=error,tidegate_rollback::driver=error,tidegate_rollback::guard=error"
            }
            _ => "warn",
        }
    }

    pub(crate) const fn parting(&self) -> Option<&'static str> {
        match self.command {
            Command::Run(_) => {
                Some("stopped; the rollback stays as its journal says, and the same command goes on with it")
            }
            Command::Watch(_) => Some(
                "stopped watching; the watch stays as its journal says, and the same command goes on with it",
            ),
            _ => None,
        }
    }
}
