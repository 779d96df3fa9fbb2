//! `tidegate at NAME --channel C TIME`

use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Channel, ModelName};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::moment,
    failure::Failure,
    words::{stamp, time},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct At {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel, for example production
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
    /// The time, in UTC; a day alone is its beginning
    #[arg(value_name = "TIME", value_parser = moment)]
    time: SystemTime,
}

const EXAMPLES: &str = "\
Examples:
  tidegate at fraud-scorer --channel production 2026-11-24T15:04:05Z
  tidegate at fraud-scorer --channel production 2026-11-24 --json | jq -r .move.to

Exit status 1 if it pointed nowhere. Moves carry the clocks of those who made them.";

impl At {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (name, channel, at) = (self.name, self.channel, self.time);
        if at > session.stamp().at {
            let why = format!(
                "{} is still to come; `tidegate show {name}:{channel}` says where it points now",
                time(at)
            );
            return Err(Failure::Misused(why).into());
        }
        let registry = session.location()?.open().await?;
        registry.expect_model(&name).await?;
        let made = registry.channels.at(&name, &channel, at).await?;
        let (text, status) = match &made {
            Some(made) => (format!("{}, since {}", made.to, stamp(&made.stamp)), Status::Done),
            None => (format!("{channel} of {name} pointed nowhere at {}", time(at)), Status::Refused),
        };
        let at = humantime::format_rfc3339(at).to_string();
        Ok(Answer { text, json: json!({ "channel": channel, "at": at, "move": made }), status })
    }
}
