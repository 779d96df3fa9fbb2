//! `tidegate sign SELECTOR --key FILE`

use std::{fs, path::PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{
    Attestation, Error, Manifest, ModelStore as _, Selector,
    signing::{ModelSignature, SigningKey, VerifyingKey},
};

use crate::{
    Session,
    answer::Answer,
    failure::Failure,
    registry::Registry,
    secret::{Passphrase, small_file},
    words::{count, plain},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sign {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// The private key: a .pem file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
    /// Write the signature to this file, in the place of what is there
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do not record it in the registry
    #[arg(long, requires = "output")]
    no_attest: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate sign fraud-scorer@1.4.0 --key team.pem
  tidegate sign fraud-scorer@1.4.0 --key team.pem --passphrase-env TEAM_PASSPHRASE --output model.sig

The signature has the format of OpenSSF Model Signing v1.0, which the PyPI tool `model-signing` reads. It is
made from the digests in the manifest; no file is read again. It is recorded in the registry as a statement,
which `tidegate verify --key` and the rule `signed` of policies look for; signing again changes nothing. The list of some ten thousand files is too long to be recorded:
write it to a file, with --no-attest.";

impl Sign {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let pem = small_file("key", &self.key)?;
        let passphrase = self.passphrase.read()?;
        if SigningKey::is_encrypted(&pem) && passphrase.is_none() {
            let why = "is encrypted; say with --passphrase-env or --passphrase-file where its passphrase is";
            return Err(Failure::Misused(format!("key `{}` {why}", self.key.display())).into());
        }
        let read = move || SigningKey::from_pem(&pem, passphrase.as_deref());
        // Hashing a passphrase takes a while.
        let key = tokio::task::spawn_blocking(read).await??;

        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;
        let signature = ModelSignature::sign(&manifest, &model.to_string(), &key)?;
        let public = [key.verifying_key()];
        let unsigned = signature.verify(&manifest, &public)?.unsigned;

        if let Some(path) = &self.output {
            let wrong = |source| Error::Local { action: "write", path: path.clone(), source };
            fs::write(path, signature.json()).map_err(wrong)?;
        }
        if !self.no_attest {
            record(&registry, &manifest, &signature, &public, session).await?;
        }
        let [public] = public;
        let mut text = format!("signed {model} with key {}", public.id());
        let output = self.output.map(|path| path.display().to_string());
        if let Some(path) = &output {
            text.push_str(&format!(", in {path}"));
        }
        if !self.no_attest {
            text.push_str(", recorded in the registry");
        }
        if !unsigned.is_empty() {
            let names = unsigned.iter().map(|path| plain(path.as_str())).collect::<Vec<_>>().join(", ");
            let files = count(unsigned.len(), "file");
            text.push_str(&format!(
                "\nleft out by the format, so that no policy counts this signature: {files}: {names}"
            ));
        }
        let json = json!({
            "model": model, "key": public.id(), "output": output, "attested": !self.no_attest,
            "unsigned": unsigned,
        });
        Ok(Answer::done(text, json))
    }
}

/// Records a signature, unless one by the same key is there.
async fn record(
    registry: &Registry,
    manifest: &Manifest,
    signature: &ModelSignature,
    key: &[VerifyingKey],
    session: &Session,
) -> Result<()> {
    let said = registry.attestations.of(&manifest.model).await?;
    let same = |envelope| {
        envelope == signature.envelope() || ModelSignature::signers(envelope, &manifest.digest, key).is_ok()
    };
    if said.iter().filter_map(Attestation::envelope).any(same) {
        return Ok(());
    }
    let attestation = Attestation::enveloped(signature.envelope().clone(), session.stamp())?;
    Ok(registry.attestations.attest(&manifest.model, attestation).await?)
}
