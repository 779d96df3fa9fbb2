//! `tidegate publish REF DIR`

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Card, Content, Draft, Error, ModelRef, ModelStore as _};

use crate::{
    Session,
    answer::Answer,
    document::{Document, Format},
    failure::Failure,
    location::Location,
    transfer::Bar,
    words::{bytes, count, stamp},
};

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The version to create, for example fraud-scorer@1.4.0
    #[arg(value_name = "REF")]
    model: ModelRef,
    /// The directory that holds its files
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// What is said about it: a .toml or .json file with description, framework, metrics, tags, labels, lineage
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// What it is for, in words; wins over the card
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A word to find it by, beside those of the card; can be repeated
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
}

impl Publish {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let location = session.location()?;
        // Everything that can be wrong with the input is found before a registry is begun.
        let mut card = self.card.as_deref().map(read_card).transpose()?.unwrap_or_default();
        card.description = self.description.unwrap_or(card.description);
        card.tags.extend(self.tags);

        let draft = Draft::new(self.model, session.stamp()).with_card(card);
        let offered = draft.stamp.clone();
        let content = Content::directory(&self.directory);
        expect_apart(&self.directory, &location)?;
        draft.check().map_err(Error::from)?;
        content.check().await?;

        let registry = location.open_or_begin().await?;
        let bar = Bar::new("publishing");
        let manifest = registry.store.publish(draft, content, &bar).await?;
        drop(bar);

        let created = manifest.created == offered;
        let done = if created {
            format!("published {}", manifest.model)
        } else {
            format!("unchanged {} (published {})", manifest.model, stamp(&manifest.created))
        };
        let files = count(manifest.files.len(), "file");
        let text = format!("{done}: {files}, {}, {}", bytes(manifest.size), manifest.digest);
        Ok(Answer::done(text, json!({ "published": created, "manifest": manifest })))
    }
}

/// A registry inside of what it publishes would publish itself, and the other way round what it stores
/// would be mixed with files of others.
fn expect_apart(directory: &Path, location: &Location) -> Result<(), Failure> {
    let misused = |why: &str| Failure::Misused(format!("directory `{}` {why}", directory.display()));
    let resolved = |path| resolve(path).map_err(|error| misused(&format!("cannot be read: {error}")));
    let (files, registry) = (resolved(directory)?, resolved(location.path())?);
    if registry.starts_with(&files) {
        return Err(misused("contains the registry itself; keep them apart"));
    }
    if files.starts_with(&registry) {
        return Err(misused("lies inside of the registry; keep them apart"));
    }
    Ok(())
}

/// Where `path` is, or will be once it is created.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let canonical = |above: &Path| Some((above.canonicalize().ok()?, above.components().count()));
    let (mut resolved, known) = absolute.ancestors().find_map(canonical).unwrap_or_default();
    for missing in absolute.components().skip(known) {
        match missing {
            Component::ParentDir => drop(resolved.pop()),
            missing => resolved.push(missing),
        }
    }
    Ok(resolved)
}

fn read_card(path: &Path) -> Result<Card> {
    let Document { text, format } = Document::read("card", path)?;
    let card = match format {
        Format::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Format::Toml => toml::from_str(&text).map_err(|error| error.to_string()),
    };
    let misused =
        |why: String| Failure::Misused(format!("card `{}` is wrong: {}", path.display(), why.trim()));
    Ok(card.map_err(misused)?)
}
