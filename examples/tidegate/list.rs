//! `tidegate list [NAME]`

use anyhow::Result;
use clap::Args;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use tidegate::registry::{
    Channel, ModelName, ModelStore as _, Move, Published, Result as RegistryResult, Versions,
};

use crate::{
    Session,
    answer::{Answer, Status},
    failure,
    location::Registry,
    words::{bytes, row, short, table, time},
};

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The model whose versions are listed; without it, the models
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,
}

impl List {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        match &self.name {
            Some(name) => versions(&registry, name).await,
            None => models(&registry).await,
        }
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
        let latest = versions.latest().map(|published| published.version.to_string());
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
async fn known(registry: &Registry, name: &ModelName) -> RegistryResult<(Versions, Vec<(Channel, Move)>)> {
    Ok((registry.store.versions(name).await?, registry.channels.all(name).await?))
}

async fn versions(registry: &Registry, name: &ModelName) -> Result<Answer> {
    let versions = registry.store.versions(name).await?;
    let heads = registry.channels.all(name).await?;
    let mut rows = vec![row(["VERSION", "PUBLISHED", "SIZE", "SHA-256", "CHANNELS", "BY"])];
    let mut documents = Vec::new();
    for published in versions.iter().rev() {
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
    Ok(Answer::done(table(&rows), json!({ "name": name, "versions": documents })))
}

fn line(published: &Published, channels: &[&str]) -> Vec<String> {
    row([
        &published.version.to_string(),
        &time(published.stamp.at),
        &bytes(published.size),
        &short(&published.digest),
        &channels.join(" "),
        &published.stamp.by,
    ])
}

fn heads_of(heads: &[(Channel, Move)]) -> Value {
    heads
        .iter()
        .map(|(channel, made)| (channel.to_string(), json!(made.to)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
