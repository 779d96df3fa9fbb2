//! `tidegate publish REF DIR`

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::registry::{
    Card, Cause, Channel, Content, Draft, Error, Expect, ModelRef, ModelStore as _, Stamp,
};

use crate::{
    Session,
    answer::Answer,
    arguments::Expected,
    directory::Directory,
    document::Document,
    failure::{Failure, unreadable},
    location::Location,
    pace::{Pace, Resume},
    promote,
    registry::Registry,
    transfer::Bar,
    words::{bytes, count, stamp},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
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
    /// Point this channel to it in the moment when it is there, or publish nothing at all
    #[arg(long, value_name = "CHANNEL")]
    promote: Option<Channel>,
    /// With --promote: only if the channel is here now: a version, `none` or the SEQ of its last move
    #[arg(long, value_name = "REF|none|SEQ", requires = "promote")]
    expect: Option<Expected>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    resume: Resume,
}

const EXAMPLES: &str = "\
Examples:
  tidegate publish fraud-scorer@1.4.0 model/ --card card.toml
  tidegate publish fraud-scorer@1.5.0 model/ --promote staging --expect fraud-scorer@1.4.0

A card in TOML, everything of which can be left out:
  description = \"scores card payments\"
  tags = [\"fraud\", \"tabular\"]
  framework = { name = \"pytorch\", version = \"2.9.1\" }
  metrics = { auc = 0.971 }
  labels = { team = \"risk\" }
  lineage = [{ relation = \"finetuned-from\", uri = \"tidegate:base-model@2.1.0\" }]

Publishing the same files again changes nothing. Other files need a new version. What broke off or was
killed is gone on with by the same command; what nobody goes on with is removed by `tidegate gc`.";

impl Publish {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let location = session.location()?;
        // Everything that can be wrong with the input is found before a registry is begun.
        let card = self.card.as_deref().map(|path| Document::parse("card", path)).transpose()?;
        let mut card: Card = card.unwrap_or_default();
        card.description = self.description.unwrap_or(card.description);
        card.tags.extend(self.tags);

        let expect = self.expect.map_or(Ok(Expect::Any), |expected| expected.of(self.model.name()))?;
        let promotion = self.promote.map(|channel| (channel, expect));
        let mut draft = Draft::new(self.model, session.stamp()).with_card(card);
        draft.promote.extend(promotion.clone());
        let offered = draft.stamp.clone();
        let content = Content::directory(&self.directory);
        expect_apart(&self.directory, &location)?;
        draft.check().map_err(Error::from)?;
        content.check().await?;

        let transfers = self.resume.or_not(self.pace.transfers(), &location);
        let registry = location.open_or_begin().await?.moving(transfers);
        let bar = Bar::new("publishing");
        let manifest = registry.store.publish(draft, content, &bar).await?;
        drop(bar);
        let moved = match promotion {
            Some((channel, expect)) => {
                Some(moved(&registry, &manifest.model, channel, expect, &offered).await?)
            }
            None => None,
        };

        let created = manifest.created == offered;
        let done = if created {
            format!("published {}", manifest.model)
        } else {
            format!("unchanged {} (published {})", manifest.model, stamp(&manifest.created))
        };
        let files = count(manifest.files.len(), "file");
        let mut text = format!("{done}: {files}, {}, {}", bytes(manifest.size), manifest.digest);
        let mut json = json!({ "published": created, "manifest": manifest });
        if let Some((said, document)) = moved {
            text.push_str(&format!("\n{said}"));
            json["promoted"] = document;
        }
        Ok(Answer::done(text, json))
    }
}

/// Where the channel is after a publication that was to move it. One of content that was there already
/// moves none, and may be repeated because an answer was lost.
async fn moved(
    registry: &Registry,
    model: &ModelRef,
    channel: Channel,
    expect: Expect,
    asked: &Stamp,
) -> Result<(String, Value)> {
    let history = registry.channels.history(model.name(), &channel).await?;
    let own = history.iter().rfind(|made| made.to == *model && made.stamp == *asked);
    let current = history.last().filter(|made| made.to == *model && made.ended.is_none());
    let made = match own.or(current) {
        Some(made) => made.clone(),
        None => registry.channels.promote(model, &channel, &expect, Cause::Promote, asked.clone()).await?,
    };
    Ok(promote::told(&channel, &made, asked))
}

/// A registry inside of what it publishes would publish itself, and the other way round what it stores
/// would be mixed with files of others.
fn expect_apart(directory: &Path, location: &Location) -> Result<(), Failure> {
    let Location::Directory(Directory(registry)) = location else { return Ok(()) };
    let misused = |why: &str| Failure::Misused(format!("directory `{}` {why}", directory.display()));
    let resolved = |path| resolve(path).map_err(|error| misused(&unreadable(&error)));
    let (files, registry) = (resolved(directory)?, resolved(registry)?);
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
