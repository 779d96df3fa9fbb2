//! `tidegate bom SELECTOR`

use std::{fs, path::PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::registry::{Attestation, Error, ModelRef, ModelStore as _, Selector, bom};

use crate::{Session, answer::Answer, registry::Registry};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bom {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// Write it to this file, in the place of what is there
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Record it in the registry as a statement about the version, unless it is there already
    #[arg(long)]
    attest: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate bom fraud-scorer@1.4.0 > fraud-scorer.cdx.json
  tidegate bom fraud-scorer:production --output bom.cdx.json --attest

The bill of materials is CycloneDX 1.6, in JSON, and the same each time for the same version.";

impl Bom {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let document = bom::cyclonedx(&registry.store.manifest(&model).await?);
        let text = format!("{document:#}");
        if let Some(path) = &self.output {
            let wrong = |source| Error::Local { action: "write", path: path.clone(), source };
            fs::write(path, format!("{text}\n")).map_err(wrong)?;
        }
        if self.attest {
            record(&registry, &model, &document, session).await?;
        }
        let Some(path) = self.output else { return Ok(Answer::done(text, document)) };
        let path = path.display().to_string();
        let recorded = if self.attest { ", and recorded in the registry" } else { "" };
        let text = format!("wrote the bill of materials of {model} to {path}{recorded}");
        Ok(Answer::done(text, json!({ "model": model, "output": path, "attested": self.attest })))
    }
}

async fn record(registry: &Registry, model: &ModelRef, document: &Value, session: &Session) -> Result<()> {
    let said = registry.attestations.of(model).await?;
    if said.iter().any(|said| said.predicate_type == bom::PREDICATE_TYPE && said.predicate == *document) {
        return Ok(());
    }
    let attestation = Attestation::new(bom::PREDICATE_TYPE, session.stamp(), document.clone());
    Ok(registry.attestations.attest(model, attestation).await?)
}
