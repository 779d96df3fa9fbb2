//! `tidegate quarantine REF` and `tidegate lift REF`

use anyhow::Result;
use clap::Args;

use crate::{
    Session,
    answer::Answer,
    withdrawal::{Change, State},
    yank::About,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate quarantine fraud-scorer@1.4.0 --reason \"trained on leaked data\"

No channel can be moved to content in quarantine, under this version or any other, and NAME@latest and
requirements pass it over. Channels that point to it do so still: move them. `tidegate lift` takes it back.")]
pub(crate) struct Quarantine {
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(crate) struct Lift {
    #[command(flatten)]
    about: About,
}

impl Quarantine {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let About { model, reason } = self.about;
        let registry = session.location()?.open().await?;
        let change = Change::before(&registry, model, State::Quarantined).await?;
        registry.lifecycle.quarantine(&change.model, &reason, session.stamp()).await?;
        change.answer(&registry).await
    }
}

impl Lift {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let About { model, reason } = self.about;
        let registry = session.location()?.open().await?;
        let change = Change::before(&registry, model, State::Quarantined).await?;
        registry.lifecycle.lift(&change.model, &reason, session.stamp()).await?;
        change.answer(&registry).await
    }
}
