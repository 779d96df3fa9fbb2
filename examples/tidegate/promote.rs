//! `tidegate promote REF --channel C`

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::registry::{Cause, Channel, ModelRef, Move, Stamp};

use crate::{Session, answer::Answer, arguments::Expectation, words::stamp};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Promote {
    /// The version that the channel is to point to
    #[arg(value_name = "REF")]
    model: ModelRef,
    /// The channel, for example production
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
    #[command(flatten)]
    expectation: Expectation,
}

const EXAMPLES: &str = "\
Examples:
  tidegate promote fraud-scorer@1.4.0 --channel production --expect fraud-scorer@1.3.2
  tidegate promote fraud-scorer@1.0.0 --channel production --expect none

A channel may have a policy; `tidegate policy check` says beforehand whether it is satisfied.";

impl Promote {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (model, channel) = (self.model, self.channel);
        let expect = self.expectation.of(model.name())?;
        let registry = session.location()?.open().await?;
        let asked = session.stamp();
        let made =
            registry.channels.promote(&model, &channel, &expect, Cause::Promote, asked.clone()).await?;
        let (text, json) = told(&channel, &made, &asked);
        Ok(Answer::done(text, json))
    }
}

/// What came of a promotion that was asked for with the stamp `asked`.
pub(crate) fn told(channel: &Channel, made: &Move, asked: &Stamp) -> (String, Value) {
    let (changed, to) = (made.stamp == *asked, &made.to);
    let text = match &made.from {
        _ if !changed => format!("unchanged: {channel} is at {to} since {}", stamp(&made.stamp)),
        Some(from) => format!("{channel} moved from {from} to {to}"),
        None => format!("{channel} points to {to} and pointed nowhere before"),
    };
    (text, json!({ "channel": channel, "changed": changed, "move": made }))
}
