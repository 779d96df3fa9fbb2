//! `tidegate revert NAME --channel C`

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
pub(crate) struct Revert {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel whose last move is to be taken back
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
  tidegate revert fraud-scorer --channel production --expect fraud-scorer@1.4.0 --reason \"alerts fire\"

The channel points again to where it did before its last move, whatever its policy says, unless that
content is in quarantine. A revert is a move as well: a second one takes back the first.";

impl Revert {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (name, channel) = (self.name, self.channel);
        let expect = self.expectation.of(&name)?;
        let registry = session.location()?.open().await?;
        // Not a model with an empty history, but a typo.
        registry.expect_model(&name).await?;
        let made = registry.channels.revert(&name, &channel, &expect, self.reason, session.stamp()).await?;
        let text = match &made.from {
            Some(from) => format!("{channel} moved back from {from} to {}", made.to),
            None => format!("{channel} points to {} again and pointed nowhere before", made.to),
        };
        Ok(Answer::done(text, json!({ "channel": channel, "changed": true, "move": made })))
    }
}
