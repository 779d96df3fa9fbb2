//! `tidegate publish REF DIR`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Card, Content, Draft, ModelRef, ModelStore as _};

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
        expect_files(&self.directory, &location)?;
        card.description = self.description.unwrap_or(card.description);
        card.tags.extend(self.tags);

        let registry = location.open_or_begin().await?;
        let draft = Draft::new(self.model, session.stamp()).with_card(card);
        let offered = draft.stamp.clone();
        let bar = Bar::new("publishing");
        let manifest = registry.store.publish(draft, Content::directory(&self.directory), &bar).await?;
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

/// Looks at the directory before a registry is begun: what is in it is judged by the registry.
fn expect_files(directory: &Path, location: &Location) -> Result<(), Failure> {
    let misused = |why: &str| Failure::Misused(format!("directory `{}` {why}", directory.display()));
    match has_file(directory) {
        Ok(true) => {}
        Ok(false) => return Err(misused("has no files in it; put the files of the model there first")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(misused("does not exist; name the directory that holds the files of the model"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(misused("is a file; name the directory that holds it"));
        }
        Err(error) => return Err(misused(&format!("cannot be read: {error}"))),
    }
    let canonical = |path: &Path| path.canonicalize().ok();
    match (canonical(directory), canonical(location.path())) {
        (Some(directory), Some(registry)) if registry.starts_with(&directory) => {
            Err(misused("contains the registry itself; keep them apart"))
        }
        _ => Ok(()),
    }
}

fn has_file(directory: &Path) -> io::Result<bool> {
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                return Ok(true);
            }
            pending.push(entry.path());
        }
    }
    Ok(false)
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
