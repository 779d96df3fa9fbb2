//! `tidegate policy show NAME`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Channel, ModelName};

use super::words::rule;
use crate::{Session, answer::Answer};

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// Only of this channel
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<Channel>,
}

impl Show {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let Self { name, channel } = self;
        let registry = session.location()?.open().await?;
        registry.expect_model(&name).await?;
        let mut policies = registry.channels.policies(&name).await?;
        policies.retain(|of, _| channel.as_ref().is_none_or(|wanted| wanted == of));
        let mut lines = Vec::new();
        for (channel, policy) in &policies {
            lines.push(format!("{channel}:"));
            lines.extend(policy.rules.iter().map(|of| format!("  {}", rule(of))));
            if policy.rules.is_empty() {
                lines.push("  no rules".to_owned());
            }
        }
        if lines.is_empty() {
            let of = channel.map_or_else(
                || format!("no channel of {name} has a policy"),
                |channel| format!("{channel} of {name} has no policy"),
            );
            lines.push(format!("{of}; `tidegate policy set` sets one"));
        }
        Ok(Answer::done(lines.join("\n"), json!({ "name": name, "policies": policies })))
    }
}
