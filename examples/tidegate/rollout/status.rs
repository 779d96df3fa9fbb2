//! `tidegate rollout status --route R`

use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use tidegate::canary::{Rollout, RolloutId, WallClock};

use super::{
    end,
    frame::frame,
    target::{Target, latest},
    view::{View, of_the_last, replayed},
};
use crate::{Session, answer::Answer, arguments::moment, failure::Failure, picture::Paper};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
    /// As it was then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<SystemTime>,
    /// Of this many columns [default: as wide as the terminal, or 100]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  tidegate rollout status --route serving/fraud
  tidegate rollout status plan.yaml --json | jq .verdict
  tidegate rollout status --route serving/fraud --at 2026-11-24T15:04:05Z

Exit status: 0 it is under way or has ended well, 1 it has not, 3 it has ended undecided.";

impl Status {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (_, journal) = self.target.open(session).await?;
        let Some(at) = self.at else {
            let (id, rollout) = latest(&journal)?;
            let entries = of_the_last(journal.entries());
            return Ok(self.answer(&View { id, rollout, entries, now: WallClock::system().now() }));
        };
        let entries = journal.entries();
        let by_then = &entries[..entries.iter().position(|entry| entry.at > at).unwrap_or(entries.len())];
        let entries = of_the_last(by_then);
        let (id, rollout): (RolloutId, Rollout) = replayed(entries).ok_or_else(|| {
            Failure::Misused(
                "no rollout had been opened on this route by --at; choose a later time".to_owned(),
            )
        })?;
        Ok(self.answer(&View { id: &id, rollout: &rollout, entries, now: at }))
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let lines = frame(view, Paper::of_answers(self.width));
        let text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
        Answer { text, json: view.json(), status: end::status(view.rollout.state()) }
    }
}
