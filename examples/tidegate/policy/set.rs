//! `tidegate policy set NAME --channel C FILE` and `tidegate policy clear NAME --channel C`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Channel, ModelName, Policy};

use super::words::rule;
use crate::{Session, answer::Answer, document::Document, words::count};

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    of: Of,
    /// The rules: a .toml or .json file; `tidegate policy --help` shows one
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Clear {
    #[command(flatten)]
    of: Of,
}

/// The channel of a model.
#[derive(Debug, Args)]
struct Of {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel, for example production
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
}

impl Set {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let policy: Policy = Document::parse("policy", &self.file)?;
        self.of.change(Some(policy), session).await
    }
}

impl Clear {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        self.of.change(None, session).await
    }
}

impl Of {
    async fn change(self, policy: Option<Policy>, session: &Session) -> Result<Answer> {
        let Self { name, channel } = self;
        let registry = session.location()?.open().await?;
        let before = registry.channels.policies(&name).await?.remove(&channel);
        registry.channels.set_policy(&name, &channel, policy.clone(), session.stamp()).await?;
        let changed = before != policy;
        let mut lines = vec![match &policy {
            Some(policy) => {
                let done = if changed { "set" } else { "unchanged" };
                format!("{done}: {channel} of {name} asks for {}", count(policy.rules.len(), "rule"))
            }
            None if changed => format!("cleared: {channel} of {name} asks for nothing any more"),
            None => format!("unchanged: {channel} of {name} has no policy"),
        }];
        lines.extend(policy.iter().flat_map(|policy| &policy.rules).map(|of| format!("  {}", rule(of))));
        let json = json!({ "name": name, "channel": channel, "changed": changed, "policy": policy });
        Ok(Answer::done(lines.join("\n"), json))
    }
}
