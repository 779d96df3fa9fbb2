//! `tidegate delete REF`

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::{Session, answer::Answer, words::bytes, yank::About};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate delete fraud-scorer@1.4.0-rc.1 --reason \"never to be used\"

This cannot be taken back: the version is not found or pulled any more, and its number is never used again.
It is refused while a channel points to the version. Nothing is asked. `tidegate yank` is the milder way.")]
pub(crate) struct Delete {
    #[command(flatten)]
    about: About,
}

impl Delete {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let About { model, reason } = self.about;
        let registry = session.location()?.open().await?;
        let size = registry.published(&model).await?.size;
        registry.lifecycle.delete(&model, &reason, session.stamp()).await?;
        let text =
            format!("deleted {model}, whose number is never used again\n{}", remains(size, model.name()));
        Ok(Answer::done(text, json!({ "model": model, "deleted": true, "size": size })))
    }
}

/// What is left of deleted versions with files of `size` bytes.
pub(crate) fn remains(size: u64, name: &impl std::fmt::Display) -> String {
    format!(
        "the files, {}, stay in the store for `tidegate gc {name}`, which leaves those of deleted versions for \
         7 days unless --retention says less, and those that other versions share as long as these are there",
        bytes(size)
    )
}
