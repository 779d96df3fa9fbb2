//! `tidegate policy`: what has to hold for a version that a channel is moved to.

mod check;
mod set;
mod show;
mod words;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{Session, answer::Answer};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the policies of a model's channels
    Show(show::Show),
    /// Set the policy of a channel, in the place of the one it has
    Set(set::Set),
    /// Take the policy of a channel away
    Clear(set::Clear),
    /// Say of each rule whether a version satisfies it, and what would
    Check(check::Check),
}

const EXAMPLES: &str = "\
Examples:
  tidegate policy set fraud-scorer --channel production policy.toml
  tidegate policy check fraud-scorer@1.4.0 --channel production

A policy in TOML; all of its rules have to hold, and these are the kinds there are:
  [[rules]]
  approved = { by = 2, of = [\"alice\", \"bob\", \"carol\"] }
  [[rules]]
  attested = { predicate-type = \"tidegate:validation-report/v1\", result = \"PASSED\", within = \"7d\" }
  [[rules]]
  signed = { by = [\"-----BEGIN PUBLIC KEY-----\\nMFkw...\\n-----END PUBLIC KEY-----\\n\"] }
  [[rules]]
  soaked = { channel = \"staging\", at-least = \"12h\" }

A policy counts from the moment when it is set. Where a channel points already, it stays.";

impl Policy {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        match self.command {
            Command::Show(show) => show.run(session).await,
            Command::Set(set) => set.run(session).await,
            Command::Clear(clear) => clear.run(session).await,
            Command::Check(check) => check.run(session).await,
        }
    }
}
