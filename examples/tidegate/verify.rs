//! `tidegate verify SELECTOR`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{ModelStoreExt as _, Selector};

use crate::{
    Session,
    answer::Answer,
    transfer::Bar,
    words::{bytes, count},
};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
}

impl Verify {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let bar = Bar::new("verifying");
        let manifest = registry.store.verify(&model, &bar).await?;
        drop(bar);
        let files = count(manifest.files.len(), "file");
        let text = format!("verified {model}: {files}, {}, {}", bytes(manifest.size), manifest.digest);
        Ok(Answer::done(text, json!({ "model": model, "verified": true, "digest": manifest.digest })))
    }
}
