//! `tidegate push-oci SELECTOR ADDRESS`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Error, Manifest, ModelStore as _, OciArtifact, Selector};

use crate::{
    Session,
    answer::Answer,
    failure::Failure,
    oci::Oci,
    transfer::Bar,
    words::{bytes, count},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PushOci {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    #[command(flatten)]
    oci: Oci,
}

const EXAMPLES: &str = "\
Examples:
  tidegate push-oci fraud-scorer@1.4.0 https://registry.example.com/team/models
  tidegate push-oci fraud-scorer:production https://ghcr.io/acme --username ci --password-env GHCR_TOKEN

Copies the version to the repository ADDRESS/NAME, as a CNCF ModelPack artifact with the version as its tag
(`_` in the place of `+`). Files that are there already are not sent again. This registry stays the one of
record: nothing is recorded in it, and channels, statements and signatures are not copied. A tag with
other files is left as it is, and refused. Whoever may push to an OCI registry can move its tags, so tell
others the digest that is printed.";

impl PushOci {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let oci = self.oci.open()?;
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;
        let tag = model.version().to_string().replace('+', "_");

        let there = match oci.artifact(model.name(), &tag).await {
            Ok(artifact) => Some(artifact),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let pushed = there.is_none();
        let artifact = match there {
            Some(artifact) if is_of(&artifact, &manifest) => artifact,
            Some(artifact) => {
                let (tag, digest) = (format!("{}:{tag}", model.name()), *artifact.digest());
                return Err(Failure::Tagged { tag, digest, model }.into());
            }
            None => {
                let bar = Bar::new("pushing");
                oci.push(&registry.store, &model, session.stamp(), &bar).await?;
                drop(bar);
                oci.artifact(model.name(), &tag).await?
            }
        };
        let done = if pushed { "pushed" } else { "unchanged" };
        let files = count(manifest.files.len(), "file");
        let text = format!(
            "{done} {model} at {oci}: {files}, {}\ntag {tag}, artifact {}",
            bytes(manifest.size),
            artifact.digest()
        );
        let json = json!({
            "model": model, "pushed": pushed, "registry": oci.to_string(), "tag": tag,
            "artifact": artifact.digest(),
        });
        Ok(Answer::done(text, json))
    }
}

/// Whether it has just the files of `manifest`.
fn is_of(artifact: &OciArtifact, manifest: &Manifest) -> bool {
    let files = manifest.files.iter().map(|file| (&file.path, file.size, &file.digest));
    artifact.files().eq(files)
}
