//! `tidegate yank REF` and `tidegate unyank REF`

use anyhow::Result;
use clap::Args;
use tidegate::registry::ModelRef;

use crate::{
    Session,
    answer::Answer,
    arguments::reason,
    withdrawal::{Change, State},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate yank fraud-scorer@1.4.0 --reason \"overfitted on March\"

NAME@latest and requirements pass the version over. It can still be pulled by its number, and channels that
point to it do so still. `tidegate unyank` takes it back.")]
pub(crate) struct Yank {
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(crate) struct Unyank {
    #[command(flatten)]
    about: About,
}

/// A version, and why something is said about it.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// The version, for example fraud-scorer@1.4.0
    #[arg(value_name = "REF")]
    pub(crate) model: ModelRef,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

impl Yank {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let About { model, reason } = self.about;
        let registry = session.location()?.open().await?;
        let change = Change::before(&registry, model, State::Yanked).await?;
        registry.lifecycle.yank(&change.model, &reason, session.stamp()).await?;
        change.answer(&registry).await
    }
}

impl Unyank {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let About { model, reason } = self.about;
        let registry = session.location()?.open().await?;
        let change = Change::before(&registry, model, State::Yanked).await?;
        registry.lifecycle.unyank(&change.model, &reason, session.stamp()).await?;
        change.answer(&registry).await
    }
}
