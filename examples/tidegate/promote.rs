//! `tidegate promote REF --channel C`

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Cause, Channel, Expect, ModelRef};

use crate::{Session, answer::Answer, failure::Failure, words::stamp};

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The version that the channel is to point to
    #[arg(value_name = "REF")]
    model: ModelRef,
    /// The channel, for example production
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
    /// Only if the channel points here now: a version, or `none` if it points nowhere yet
    #[arg(long, value_name = "REF|none")]
    expect: Option<Expected>,
}

/// What the caller believes about the channel.
#[derive(Clone, Debug)]
enum Expected {
    Nothing,
    Version(ModelRef),
}

impl Promote {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (model, channel) = (self.model, self.channel);
        let expect = match self.expect {
            None => Expect::Any,
            Some(Expected::Nothing) => Expect::Absent,
            Some(Expected::Version(at)) if at.name() == model.name() => Expect::At(at),
            Some(Expected::Version(at)) => {
                let why = format!(
                    "--expect {at} is another model than {model}; write {}@VERSION or none",
                    model.name()
                );
                return Err(Failure::Misused(why).into());
            }
        };
        let registry = session.location()?.open().await?;
        let asked = session.stamp();
        let made =
            registry.channels.promote(&model, &channel, &expect, Cause::Promote, asked.clone()).await?;

        let changed = made.stamp == asked;
        let text = match &made.from {
            _ if !changed => format!("unchanged: {channel} is at {model} since {}", stamp(&made.stamp)),
            Some(from) => format!("{channel} moved from {from} to {model}"),
            None => format!("{channel} points to {model} and pointed nowhere before"),
        };
        Ok(Answer::done(text, json!({ "channel": channel, "changed": changed, "move": made })))
    }
}

impl FromStr for Expected {
    type Err = tidegate::registry::Invalid;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s == "none" { Ok(Self::Nothing) } else { s.parse().map(Self::Version) }
    }
}
