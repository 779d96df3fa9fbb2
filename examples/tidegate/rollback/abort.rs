//! `tidegate rollback abort --route ROUTE --reason TEXT`

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    canary::{RouteId, WallClock},
    rollback::{Ledger, Undo},
};

use super::unjudged;
use crate::{Session, answer::Answer, arguments::reason, words::plain};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidegate rollback abort --route serving/fraud --reason \"it is the network\"

It can be called off while the target is made to run. Once traffic goes there it is seen through: order another rollback
to go elsewhere. The target may still run where it has no traffic; the next rollout replaces it. The route is free again,
also where whoever ran the rollback was killed. Where a rollout was under way, it says how its traffic comes home.")]
pub(crate) struct Abort {
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: RouteId,
    /// Why; it is on record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

impl Abort {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let location = session.location()?;
        let registry = location.open().await?;
        location.expect_writable().await?;
        let log = Arc::new(registry.store.clone());
        let mut ledger = Ledger::<Undo>::open(log, &self.route).await?;
        ledger.abort(&session.by, &self.reason, WallClock::system().now()).await?;
        let said = ledger
            .latest()
            .map(|(id, undo)| (id.to_string(), undo.state().to_string(), unjudged::command(undo)));
        let (id, said, command) = said.unwrap_or_default();
        let text = format!("rollback {id} is {}{command}", plain(&said));
        let command = command.trim_start();
        let command = (!command.is_empty()).then_some(command);
        Ok(Answer::done(text, json!({ "id": id, "said": said, "command": command })))
    }
}
