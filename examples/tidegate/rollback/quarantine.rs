//! `tidegate rollback quarantine NAME`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::ModelName;

use crate::{
    Session,
    answer::Answer,
    words::{plain, short, stamp},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate rollback quarantine fraud

A rollback puts what it leaves there. `tidegate lift NAME@VERSION --reason TEXT` takes it out again,
`tidegate quarantine` puts more in.")]
pub(crate) struct Quarantine {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
}

impl Quarantine {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        registry.expect_model(&self.name).await?;
        let quarantines = registry.lifecycle.quarantines(&self.name).await?;
        let lines = quarantines.iter().map(|(digest, withdrawn)| {
            format!("{}  {}  {}", short(digest), stamp(&withdrawn.stamp), plain(&withdrawn.reason))
        });
        let text = match quarantines.is_empty() {
            true => format!("no content of {} is in quarantine", self.name),
            false => lines.collect::<Vec<_>>().join("\n"),
        };
        let json = quarantines.iter().map(|(digest, withdrawn)| {
            json!({ "digest": digest, "reason": withdrawn.reason, "by": withdrawn.stamp.by,
                    "at": humantime::format_rfc3339_seconds(withdrawn.stamp.at).to_string() })
        });
        let json = json!({ "model": self.name, "quarantined": json.collect::<Vec<_>>() });
        Ok(Answer::done(text, json))
    }
}
