//! `tidegate demote NAME --channel C`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Channel, ModelName};

use crate::{
    Session,
    answer::Answer,
    arguments::{Expectation, reason},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demote {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel that is to point nowhere
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
    #[command(flatten)]
    expectation: Expectation,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

const EXAMPLES: &str = "\
Example:
  tidegate demote fraud-scorer --channel staging --reason \"the trial is over\"

The version itself stays. `tidegate revert` takes a demotion back.";

impl Demote {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (name, channel) = (self.name, self.channel);
        let expect = self.expectation.of(&name)?;
        let registry = session.location()?.open().await?;
        let asked = session.stamp();
        let last = registry.channels.demote(&name, &channel, &expect, self.reason, asked.clone()).await?;
        let ended = last.as_ref().filter(|last| last.ended.as_ref().is_some_and(|end| end.stamp == asked));
        let text = match ended {
            Some(made) => format!("{channel} of {name} points nowhere now and pointed to {} before", made.to),
            None => format!("unchanged: {channel} of {name} points nowhere"),
        };
        Ok(Answer::done(text, json!({ "channel": channel, "changed": ended.is_some(), "move": last })))
    }
}
