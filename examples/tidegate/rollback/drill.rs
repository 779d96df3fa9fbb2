//! `tidegate rollback drill NAME --route ROUTE --environment FILE`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    canary::{RolloutId, WallClock},
    rollback::{Rehearsal, drill},
};

use super::goal::{self, Goal};
use crate::{
    Session,
    answer::{Answer, Status},
    environment::{EnvironmentFile, Taken},
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate rollback drill fraud --route serving/fraud --environment machine.yaml

Everything is done that moves no traffic: the target's bytes are verified, it is made to run beside what is in service,
the router is told once more what is in force. What cannot be tried is said to be so. No rollout can begin meanwhile.
Exit status: 0 nothing speaks against a rollback's arriving; 1 it would not arrive.")]
pub(crate) struct Drill {
    #[command(flatten)]
    goal: Goal,
    /// Where things are: a .yaml, .toml or .json file, as for `tidegate rollout start`
    #[arg(long, short, value_name = "FILE")]
    environment: PathBuf,
    /// What the drill is to be called; that of one that was killed gives its route back [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
}

impl Drill {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let environment = EnvironmentFile::read(&self.environment)?;
        let location = session.location()?;
        let registry = location.open().await?;
        location.expect_writable().await?;
        let clock = WallClock::system();
        let environment = environment.open(&registry, &self.goal.route, clock, Taken::AtOnce).await?;
        let world = environment.world(&registry, clock);
        let (order, choice) = self.goal.order(&world, "a drill").await?;
        let now = humantime::format_rfc3339_seconds(clock.now());
        let id = self.id.map_or_else(|| format!("drill-{now}").parse(), Ok)?;
        let rehearsal = drill(&world, &id, order).await?;
        let status = if rehearsal.succeeded() { Status::Done } else { Status::Refused };
        let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
        let parts = rehearsal.parts.iter().map(|part| {
            json!({
                "step": part.step.to_string(),
                "seconds": part.took.as_secs_f64(),
                "failed": part.failed,
                "untried": part.untried,
            })
        });
        let json = json!({
            "choice": goal::document(&choice),
            "parts": parts.collect::<Vec<_>>(),
            "secondsUntilTrafficIsBack": seconds(rehearsal.until_traffic_is_back()),
            "secondsInAll": seconds(rehearsal.whole()),
        });
        Ok(Answer { text: format!("{}\n{}", goal::words(&choice), text(&rehearsal)), json, status })
    }
}

fn text(rehearsal: &Rehearsal) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in &rehearsal.parts {
        let how = match (&part.failed, part.untried) {
            (Some(why), _) => format!("  failed: {}", plain(why)),
            (None, Some(why)) => format!("  not tried: {why}"),
            (None, None) => String::new(),
        };
        lines.push(format!("{:>9.3} s  {}{how}", part.took.as_secs_f64(), part.step));
    }
    lines.push(match (rehearsal.until_traffic_is_back(), rehearsal.whole()) {
        (Some(back), Some(whole)) => format!(
            "a rollback would have traffic back after {:.1} s, and be over after {:.1} s",
            back.as_secs_f64(),
            whole.as_secs_f64()
        ),
        _ if rehearsal.succeeded() => {
            "nothing speaks against a rollback's arriving; how long it would take was not tried".to_owned()
        }
        _ => "a rollback would not arrive".to_owned(),
    });
    lines.join("\n")
}
