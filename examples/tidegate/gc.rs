//! `tidegate gc [NAME]`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Collected, Collection, ModelName, Result as RegistryResult, Stamp};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::span,
    failure,
    registry::Registry,
    words::{bytes, count, row, table},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Gc {
    /// The model; without it, all of them
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,
    /// Leave alone what is younger, by the clock of the store: it may be of a publication under way, so longer than
    /// an upload ever takes
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    grace: Duration,
    /// Leave alone the files of versions that were deleted more recently: somebody may be reading them
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    retention: Duration,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate gc --dry-run
  tidegate gc fraud-scorer --retention 0s

Removed is what no version uses: the files of deleted versions, and what publications left that broke off,
uploads in parts included.
It is safe beside programs that publish, whatever --grace says; a long one spares them work.";

impl Gc {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let Self { name, grace, retention, dry_run } = self;
        let collection = Collection { grace, retention, rehearse: dry_run };
        let registry = session.location()?.open().await?;
        let one = name.is_some();
        let mut rows = vec![row(["MODEL", "OBJECTS", "SIZE", "UNFINISHED UPLOADS"])];
        let (mut models, mut all, mut status) = (Vec::new(), (0, 0, 0), Status::Done);
        let names = match name {
            Some(name) => vec![name],
            // Also what publications left that never came to a first version.
            None => registry.store.traces().await?,
        };
        for name in names {
            match collect(&registry, &name, &collection, &session.stamp()).await {
                Ok(Collected { objects, bytes: size, uploads, .. }) => {
                    rows.push(row([name.as_str(), &objects.to_string(), &bytes(size), &uploads.to_string()]));
                    models
                        .push(json!({ "name": name, "objects": objects, "bytes": size, "uploads": uploads }));
                    all = (all.0 + objects, all.1 + size, all.2 + uploads);
                }
                // One damaged model keeps no other from being cleared; a store that is away does.
                Err(error) if !one && !error.is_transient() => {
                    let error = error.into();
                    let (_, problem) = failure::describe(&error);
                    rows.push(row([name.as_str(), "-", &format!("error: {error}"), "-"]));
                    models.push(json!({ "name": name, "error": problem }));
                    status = Status::Refused;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let done = if dry_run { "would remove" } else { "removed" };
        let mut total = format!("{done} {}, {}", count(all.0, "object"), bytes(all.1));
        if all.2 > 0 {
            total.push_str(&format!(", and {}", count(all.2, "unfinished upload")));
        }
        let text = if one || models.is_empty() { total } else { format!("{}\n{total}", table(&rows)) };
        let json = json!({
            "removed": !dry_run,
            "objects": all.0,
            "bytes": all.1,
            "uploads": all.2,
            "models": models,
        });
        Ok(Answer { text, json, status })
    }
}

async fn collect(
    registry: &Registry,
    name: &ModelName,
    collection: &Collection,
    stamp: &Stamp,
) -> RegistryResult<Collected> {
    let collected = registry.store.collect(name, collection, stamp).await?;
    // A first publication that broke off leaves objects and no model; where there are none, it is a typo.
    if collected.objects == 0 && collected.uploads == 0 {
        registry.expect_model(name).await?;
    }
    Ok(collected)
}
