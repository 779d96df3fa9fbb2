//! `tidegate show SELECTOR`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Attestation, Manifest, ModelStore as _, Selector};

use crate::{
    Session,
    answer::Answer,
    words::{bytes, count, plain, short, stamp, table},
};

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Which version
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
}

impl Show {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;
        let heads = registry.channels.all(model.name()).await?;
        let channels: Vec<String> = heads
            .into_iter()
            .filter(|(_, made)| made.to == model)
            .map(|(channel, _)| channel.to_string())
            .collect();
        let attestations = registry.attestations.of(&model).await?;
        Ok(Answer::done(
            page(&manifest, &channels, &attestations),
            json!({ "manifest": manifest, "channels": channels, "attestations": attestations }),
        ))
    }
}

/// What is known, a line each; what is not said is left out.
fn page(manifest: &Manifest, channels: &[String], later: &[Attestation]) -> String {
    let card = &manifest.card;
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut say = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(vec![name.to_owned(), plain(text)]);
        }
    };
    say("model", &manifest.model.to_string());
    say("description", &card.description);
    say("channels", &channels.join(" "));
    say("published", &stamp(&manifest.created));
    say("digest", &manifest.digest.to_string());
    say("size", &format!("{} in {}", bytes(manifest.size), count(manifest.files.len(), "file")));
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
        say("lineage", &format!("{:?} {}", ancestor.relation, ancestor.uri));
    }
    for attestation in card.attestations.iter().chain(later) {
        let accepted = match attestation.predicate["accepted"].as_bool() {
            Some(true) => ", accepted",
            Some(false) => ", not accepted",
            None => "",
        };
        say("attested", &format!("{}{accepted}, {}", attestation.predicate_type, stamp(&attestation.stamp)));
    }
    for file in &manifest.files {
        say("file", &format!("{}  {}  {}", short(&file.digest), bytes(file.size), file.path));
    }
    table(&lines)
}
