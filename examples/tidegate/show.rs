//! `tidegate show SELECTOR`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Attestation, Manifest, ModelStore as _, Published, Selector};

use crate::{
    Session,
    answer::Answer,
    attest::told,
    profile,
    words::{bytes, count, plain, short, stamp, table},
};

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
}

impl Show {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;
        let published = registry.published(&model).await?;
        let channels = registry.channels_at(&model).await?;
        let attestations = registry.attestations.of(&model).await?;
        Ok(Answer::done(
            page(&manifest, &published, &channels, &attestations),
            json!({
                "manifest": manifest,
                "channels": channels,
                "yanked": published.yanked,
                "quarantined": published.quarantined,
                "attestations": attestations,
            }),
        ))
    }
}

/// What is known, a line each; what is not said is left out.
fn page(manifest: &Manifest, published: &Published, channels: &[String], later: &[Attestation]) -> String {
    let card = &manifest.card;
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut say = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(vec![name.to_owned(), plain(text)]);
        }
    };
    say("model", &manifest.model.to_string());
    for (word, taken_back) in [("QUARANTINED", &published.quarantined), ("YANKED", &published.yanked)] {
        if let Some(taken_back) = taken_back {
            say(word, &format!("{}, {}", taken_back.reason, stamp(&taken_back.stamp)));
        }
    }
    say("description", &card.description);
    say("channels", &channels.join(" "));
    say("published", &stamp(&manifest.created));
    say("digest", &manifest.digest.to_string());
    say("size", &format!("{} in {}", bytes(manifest.size), count(manifest.files.len(), "file")));
    for (name, text) in manifest.profile.iter().flat_map(profile::lines) {
        say(name, &text);
    }
    if let Some(framework) = &card.framework {
        say("framework", &format!("{} {}", framework.name, framework.version));
    }
    say("tags", &card.tags.iter().cloned().collect::<Vec<_>>().join(" "));
    for (label, value) in &card.labels {
        say("label", &format!("{label} = {value}"));
    }
    for (metric, value) in &card.metrics {
        say("metric", &format!("{metric} = {value}"));
    }
    for ancestor in &card.lineage {
        let relation = serde_json::to_value(ancestor.relation).unwrap_or_default();
        say("lineage", &format!("{} {}", relation.as_str().unwrap_or_default(), ancestor.uri));
    }
    for attestation in card.attestations.iter().chain(later) {
        say("attested", &told(attestation));
    }
    for file in &manifest.files {
        say("file", &format!("{}  {}  {}", short(&file.digest), bytes(file.size), file.path));
    }
    table(&lines)
}
