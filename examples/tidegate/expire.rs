//! `tidegate expire NAME`

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Filter, ModelName, ModelStoreExt as _, Retention};

use crate::{
    Session,
    answer::Answer,
    arguments::{number, span},
    delete::remains,
    words::count,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Expire {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// Keep so many of the highest releases
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    releases: usize,
    /// Keep so many of the highest pre-releases
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    pre_releases: usize,
    /// Keep what was published so recently
    #[arg(long, value_name = "TIME", value_parser = span)]
    within: Duration,
    /// Keep what each channel pointed to before and after so many of its last moves
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number, allow_negative_numbers = true)]
    moves: usize,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Example:
  tidegate expire fraud-scorer --releases 20 --pre-releases 5 --within 30d --dry-run

A version is kept if any of these keeps it, or if a channel points to it. All others are deleted, in one
record, as `tidegate delete` does it: this cannot be taken back.";

impl Expire {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let Self { name, releases, pre_releases, within, moves, dry_run } = self;
        let registry = session.location()?.open().await?;
        let before = registry.store.list(&name, Filter::default()).await?;
        let sizes: BTreeMap<_, _> =
            before.into_iter().map(|published| (name.at(published.version), published.size)).collect();
        let retention = Retention { releases, pre_releases, within, moves };
        let expired = registry.lifecycle.expire(&name, &retention, dry_run, session.stamp()).await?;

        let size = expired.iter().filter_map(|model| sizes.get(model)).sum();
        let mut lines: Vec<String> = expired.iter().map(ToString::to_string).collect();
        let versions = count(expired.len(), "version");
        match (expired.is_empty(), dry_run) {
            (true, _) => lines.push(format!("every version of {name} is kept")),
            (false, true) => {
                lines.push(format!("would delete {versions}; without --dry-run they are deleted"))
            }
            (false, false) => lines.push(format!("deleted {versions}\n{}", remains(size, &name))),
        }
        let json = json!({ "name": name, "expired": expired, "size": size, "deleted": !dry_run });
        Ok(Answer::done(lines.join("\n"), json))
    }
}
