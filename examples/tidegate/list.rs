//! `tidegate list [NAME]`

use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use semver::VersionReq;
use serde_json::{Value, json};
use tidegate::registry::{
    Bound, Channel, Filter, ModelName, ModelStore as _, ModelStoreExt as _, Move, Published,
    Result as RegistryResult,
};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::{label, moment, positive},
    failure::{self, Failure},
    registry::Registry,
    words::{bytes, row, short, table, time},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    /// The model whose versions are listed; without it, the models
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,
    /// At most so many, the highest first
    #[arg(long, value_name = "N", requires = "name", value_parser = positive, allow_negative_numbers = true)]
    limit: Option<usize>,
    #[command(flatten)]
    wanted: Wanted,
}

/// Which versions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which versions (all of these must hold)")]
struct Wanted {
    /// Those that match a requirement, for example ^1.2
    #[arg(long, value_name = "REQ", requires = "name")]
    matching: Option<VersionReq>,
    /// No pre-releases
    #[arg(long, requires = "name")]
    released: bool,
    /// None that was yanked or quarantined
    #[arg(long, requires = "name")]
    eligible: bool,
    /// With this tag; can be repeated
    #[arg(long = "tag", value_name = "WORD", requires = "name")]
    tags: Vec<String>,
    /// With this label; can be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", requires = "name", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Made with this framework
    #[arg(long, value_name = "NAME", requires = "name")]
    framework: Option<String>,
    /// That this channel points to; of several, one of them
    #[arg(long = "channel", value_name = "CHANNEL", requires = "name")]
    channels: Vec<Channel>,
    /// Published at this time or later, for example 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", requires = "name", value_parser = moment)]
    since: Option<SystemTime>,
    /// Published before this time
    #[arg(long, value_name = "TIME", requires = "name", value_parser = moment)]
    until: Option<SystemTime>,
    /// With a metric within a bound, for example accuracy>=0.9; can be repeated
    #[arg(long = "metric", value_name = "BOUND", requires = "name")]
    metrics: Vec<Bound>,
}

const EXAMPLES: &str = "\
Examples:
  tidegate list
  tidegate list fraud-scorer --matching ^1.2 --eligible --limit 5
  tidegate list fraud-scorer --label team=risk --metric 'auc>=0.95' --since 2026-11-01
  tidegate list fraud-scorer --channel production --json | jq -r '.versions[].version'

Deleted versions are not listed.";

impl List {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let filter = self.wanted.filter()?;
        let registry = session.location()?.open().await?;
        match &self.name {
            Some(name) => versions(&registry, name, filter, self.limit.unwrap_or(usize::MAX)).await,
            None => models(&registry).await,
        }
    }
}

impl Wanted {
    fn filter(self) -> Result<Filter, Failure> {
        let published = match (self.since, self.until) {
            (None, None) => None,
            (since, until) => {
                // The years beyond 9999 have no text.
                let end = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_800);
                Some(since.unwrap_or(SystemTime::UNIX_EPOCH)..until.unwrap_or(end))
            }
        };
        if published.as_ref().is_some_and(|time| time.is_empty()) {
            return Err(Failure::Misused("--since is not before --until; swap them".to_owned()));
        }
        Ok(Filter {
            matching: self.matching,
            released: self.released,
            eligible: self.eligible,
            tags: self.tags.into_iter().collect(),
            labels: self.labels,
            framework: self.framework,
            channels: self.channels.into_iter().collect(),
            published,
            metrics: self.metrics,
        })
    }
}

async fn models(registry: &Registry) -> Result<Answer> {
    let mut rows = vec![row(["MODEL", "VERSIONS", "LATEST", "CHANNELS"])];
    let mut models = Vec::new();
    let names: Vec<ModelName> = registry.store.models().try_collect().await?;
    let mut status = Status::Done;
    for name in names {
        let (versions, heads) = match known(registry, &name).await {
            Ok(known) => known,
            // One damaged model hides no other; a registry that is away hides them all.
            Err(error) if !error.is_transient() => {
                let error = error.into();
                let (_, problem) = failure::describe(&error);
                rows.push(row([name.as_str(), "-", "-", &format!("error: {error}")]));
                models.push(json!({ "name": name, "error": problem }));
                status = Status::Refused;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut released =
            versions.iter().filter(|found| found.version.pre.is_empty() && found.is_eligible());
        let latest = released.next().map(|found| found.version.to_string());
        let heads_text: Vec<String> =
            heads.iter().map(|(channel, made)| format!("{channel}={}", made.to.version())).collect();
        rows.push(row([
            name.as_str(),
            &versions.len().to_string(),
            latest.as_deref().unwrap_or("-"),
            &heads_text.join(" "),
        ]));
        models.push(json!({ "name": name, "versions": versions.len(), "latest": latest, "channels": heads_of(&heads) }));
    }
    let text = if models.is_empty() { "the registry has no model yet".to_owned() } else { table(&rows) };
    Ok(Answer { text, json: json!({ "models": models }), status })
}

/// What there is of a model.
async fn known(
    registry: &Registry,
    name: &ModelName,
) -> RegistryResult<(Vec<Published>, Vec<(Channel, Move)>)> {
    Ok((registry.store.list(name, Filter::default()).await?, registry.channels.all(name).await?))
}

async fn versions(registry: &Registry, name: &ModelName, filter: Filter, limit: usize) -> Result<Answer> {
    let all = filter == Filter::default();
    let found = registry.store.versions(name, filter).take(limit);
    let versions: Vec<Published> = found.try_collect().await?;
    let heads = registry.channels.all(name).await?;
    let mut rows = vec![row(["VERSION", "PUBLISHED", "SIZE", "SHA-256", "CHANNELS", "STATE", "BY"])];
    let mut documents = Vec::new();
    for published in &versions {
        let here: Vec<&str> = heads
            .iter()
            .filter(|(_, made)| *made.to.version() == published.version)
            .map(|(channel, _)| channel.as_str())
            .collect();
        rows.push(line(published, &here));
        let mut document = serde_json::to_value(published)?;
        document["channels"] = json!(here);
        documents.push(document);
    }
    let text = match versions.is_empty() {
        true if all => format!("all versions of {name} were deleted"),
        true => format!("{name} has no version like that; `tidegate list {name}` lists all there are"),
        false => table(&rows),
    };
    Ok(Answer::done(text, json!({ "name": name, "versions": documents })))
}

fn line(published: &Published, channels: &[&str]) -> Vec<String> {
    row([
        &published.version.to_string(),
        &time(published.stamp.at),
        &bytes(published.size),
        &short(&published.digest),
        &channels.join(" "),
        state(published),
        &published.stamp.by,
    ])
}

/// Whether somebody took it back.
fn state(published: &Published) -> &'static str {
    match (&published.quarantined, &published.yanked) {
        (Some(_), _) => "quarantined",
        (None, Some(_)) => "yanked",
        (None, None) => "",
    }
}

fn heads_of(heads: &[(Channel, Move)]) -> Value {
    heads
        .iter()
        .map(|(channel, made)| (channel.to_string(), json!(made.to)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
