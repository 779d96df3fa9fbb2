//! `tidegate rollout watch --route R`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tidegate::canary::WallClock;

use super::{end, follower::Follower, target::Target};
use crate::{
    Session,
    answer::{Answer, Status},
    failure,
    watch::interval,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Watch {
    #[command(flatten)]
    target: Target,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    every: Duration,
}

const EXAMPLES: &str = "\
Examples:
  tidegate rollout watch --route serving/fraud
  tidegate rollout watch plan.yaml --json | jq .said

On a terminal it is a picture that is drawn anew, without colours where NO_COLOR is set; elsewhere a line for
each record of the rollout that was opened last, from its beginning; with --json a document a line. While the store
is away, standard error says so, and watching goes on. It ends with the rollout, with the exit status of
`rollout start`, and at Ctrl-C with 130; the rollout goes on without it.";

impl Watch {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (_, journal) = self.target.open(session).await?;
        let clock = WallClock::system();
        let mut follower = Follower::new(journal, session.json)?;
        loop {
            if !follower.tell(clock.now())? {
                return Ok(Answer::said());
            }
            match follower.rollout().map(|rollout| rollout.state()) {
                Some(state) if state.is_end() => return Ok(told(&follower)),
                Some(_) => {}
                None => return Ok(told(&follower)),
            }
            tokio::time::sleep(self.every).await;
            if let Err(error) = follower.catch_up().await {
                failure::warn(&error, "watching goes on");
            }
        }
    }
}

/// Everything was said but what scripts go by.
fn told(follower: &Follower) -> Answer {
    let status = follower.rollout().map_or(Status::Refused, |rollout| end::status(rollout.state()));
    Answer { status, ..Answer::said() }
}
