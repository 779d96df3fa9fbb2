//! `tidegate rollback candidates NAME --route ROUTE`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tidegate::canary::World;

use super::goal::{self, Goal};
use crate::{Session, answer::Answer, environment::EnvironmentFile};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate rollback candidates fraud --route serving/fraud
  tidegate rollback candidates fraud --route serving/fraud --back 2 --json
  tidegate rollback candidates fraud --route serving/fraud --environment machine.yaml --verify

It is a rollback that changes nothing: the same choice, by the same history. Behind a last known good it also says of
those that are older what speaks against them; with an environment, what could not be made to run there.")]
pub(crate) struct Candidates {
    #[command(flatten)]
    goal: Goal,
    /// Where it would run: a .yaml, .toml or .json file, as for `tidegate rollout start`
    #[arg(long, short, value_name = "FILE")]
    environment: Option<PathBuf>,
}

impl Candidates {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let environment = self.environment.as_deref().map(EnvironmentFile::read).transpose()?;
        let registry = session.location()?.open().await?;
        let mut world = goal::looked_at(&registry);
        if let Some(environment) = environment {
            world = World { deployer: environment.look(&registry).await?, ..world };
        }
        let (_, choice) = self.goal.order(&world, "a look").await?;
        let mut lines = vec![goal::words(&choice)];
        lines.extend(goal::older(&choice));
        let returned = self.goal.returned(&world, &choice.from).await?;
        if let Some(returned) = &returned {
            lines.push(returned.clone());
        }
        let mut json = goal::document(&choice);
        json["returned"] = returned.into();
        Ok(Answer::done(lines.join("\n"), json))
    }
}
