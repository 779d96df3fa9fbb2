//! `tidegate verify SELECTOR`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{ModelStore as _, ModelStoreExt as _, Selector};

use crate::{
    Session,
    answer::Answer,
    pace::Pace,
    signers::{Signer, Trusted},
    transfer::Bar,
    words::{bytes, count},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// Demand a signature by this public key, or by another one of those given
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The signature, a model.sig; without, those that were recorded in the registry count
    #[arg(long, value_name = "FILE", requires = "keys")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    pace: Pace,
}

const EXAMPLES: &str = "\
Examples:
  tidegate verify fraud-scorer@1.4.0
  tidegate verify fraud-scorer:production --key team.pub.pem --key partner.pub.pem

A signature is looked at first, and read from the registry or from a file in the format of OpenSSF Model
Signing v1.0. Exit status 1 if none of the keys signed the version, or if a byte is not what it was.";

impl Verify {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?.moving(self.pace.transfers());
        let model = registry.resolve(&self.selector).await?;
        let signers = if self.keys.is_empty() {
            Vec::new()
        } else {
            let (trusted, manifest) = (Trusted::read(self.keys)?, registry.store.manifest(&model).await?);
            trusted.signers(&manifest, self.signature.as_deref(), &registry).await?
        };
        let bar = Bar::new("verifying");
        let manifest = registry.store.verify(&model, &bar).await?;
        drop(bar);
        let files = count(manifest.files.len(), "file");
        let mut text = format!("verified {model}: {files}, {}, {}", bytes(manifest.size), manifest.digest);
        signers.iter().for_each(|signer| text.push_str(&format!("\n{}", signer.text())));
        let signers: Vec<_> = signers.iter().map(Signer::json).collect();
        let json = json!({ "model": model, "verified": true, "digest": manifest.digest, "signers": signers });
        Ok(Answer::done(text, json))
    }
}
