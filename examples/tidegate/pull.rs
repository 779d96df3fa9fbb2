//! `tidegate pull SELECTOR DIR`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{ModelStoreExt as _, Selector};

use crate::{
    Session,
    answer::Answer,
    cache::Cached,
    pace::{Pace, Resume},
    transfer::Bar,
    words::{bytes, count},
};

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// Where its files go; created if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    resume: Resume,
    #[command(flatten)]
    cached: Cached,
}

impl Pull {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let location = session.location()?;
        let transfers = self.resume.or_not(self.pace.transfers(), &location);
        let registry = location.open().await?.moving(transfers);
        let model = registry.resolve(&self.selector).await?;
        let bar = Bar::new("pulling");
        let manifest = match self.cached.open().await? {
            Some(cache) => cache.deliver(&registry.store, &model, &self.directory, &bar).await?,
            None => registry.store.download(&model, &self.directory, &bar).await?,
        };
        drop(bar);
        let files = count(manifest.files.len(), "file");
        let into = self.directory.display();
        let text =
            format!("pulled {model} into {into}: {files}, {}, {}", bytes(manifest.size), manifest.digest);
        Ok(Answer::done(text, json!({ "model": model, "directory": into.to_string(), "manifest": manifest })))
    }
}
