//! The version, published once and for all, and signed.

use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;
use tidegate::{
    canary::IMAGE,
    registry::{
        Attestation, Card, Content, Draft, Manifest, ModelStore as _,
        signing::{ModelSignature, SigningKey, VerifyingKey},
    },
};

use super::{At, Ending, Preview};
use crate::{
    document::Document,
    failure::Failure,
    ground::Ground,
    progress::Outcome,
    registry::Registry,
    secret::{small_file, variable_of},
    words::{bytes, count},
};

/// How it is published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// The private key that signs it, in PEM.
    key: Option<PathBuf>,
    /// The environment variable that holds the passphrase of the key.
    passphrase_env: Option<String>,
    /// Which of the images that were made runs the version: it becomes part of the version, by its digest.
    image: Option<String>,
}

impl Publish {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let registry = ground.registry()?;
        let key = self.signing_key(ground).await?;
        let mut card = card(ground)?;
        if let Some(name) = &self.image {
            let made = at.images.get(name).ok_or_else(|| {
                let why = format!(
                    "publish.image: no stage before it has made an image `{name}`; let one say `images`"
                );
                Failure::Misused(why)
            })?;
            card.labels.insert(IMAGE.to_owned(), made.clone());
        }
        let draft = Draft::new(ground.release.model.clone(), ground.stamp()).with_card(card);
        let directory = ground.release.path(&ground.release.artifacts.directory);
        // The same files again change nothing; other files are refused.
        let manifest = registry.store.publish(draft, Content::directory(directory), &()).await?;
        let files = count(manifest.files.len(), "file");
        let mut said = format!("{}: {files}, {}, {}", manifest.model, bytes(manifest.size), manifest.digest);
        let mut outcome = Outcome::passed("").with_fact("digest", manifest.digest.to_string());
        if let Some(key) = key {
            let id = sign(registry, &manifest, &key, ground).await?;
            said.push_str(&format!("; signed with key {id}"));
            outcome = outcome.with_fact("key", id);
        }
        outcome.said = said;
        Ok(outcome.into())
    }

    pub(super) async fn preview(&self, ground: &Ground) -> Result<Preview> {
        let Ground { release, location, .. } = ground;
        let directory = &release.artifacts.directory;
        let mut does = match ground.published().await? {
            Some(manifest) => format!(
                "compares `{}` with {}, which is published already, and leaves it as it is",
                release.path(directory).display(),
                manifest.model
            ),
            None => format!("publishes `{}` as {}", release.path(directory).display(), release.model),
        };
        does.push_str(&format!(" in {}", location.identity()));
        if self.key.is_some() {
            does.push_str(", and signs it");
        }
        let mut preview = Preview::new(does)
            .taking("the files of the version, and the right to write into the registry")
            .lacking(ground.missing("directory", directory));
        if let Some(card) = &release.artifacts.card {
            let lacks = ground.missing("card", card);
            let unread = if lacks.is_none() { self::card(ground).err() } else { None };
            preview =
                preview.taking("the card").lacking(lacks).lacking(unread.map(|error| error.to_string()));
        }
        if let Some(key) = &self.key {
            let lacks = ground.missing("key", key);
            let closed = if lacks.is_none() { self.signing_key(ground).await.err() } else { None };
            let closed = closed.map(|error| format!("{error:#}"));
            preview = preview.taking("the private key").lacking(lacks).lacking(closed);
        }
        Ok(preview)
    }

    /// The public key of the one that signs it, if there is one and it can be read.
    pub(crate) async fn public_key(&self, ground: &Ground) -> Option<VerifyingKey> {
        let key = self.signing_key(ground).await.ok()?;
        key.map(|key| key.verifying_key())
    }

    async fn signing_key(&self, ground: &Ground) -> Result<Option<SigningKey>> {
        let Some(path) = &self.key else { return Ok(None) };
        let path = ground.release.path(path);
        let pem = small_file("key", &path)?;
        let variable = self.passphrase_env.as_deref();
        let passphrase =
            variable.map(|variable| variable_of("publish.passphrase_env", variable)).transpose()?;
        if SigningKey::is_encrypted(&pem) && passphrase.is_none() {
            let why = format!(
                "key `{}` is encrypted; name its passphrase's variable in publish.passphrase_env",
                path.display()
            );
            return Err(Failure::Misused(why).into());
        }
        // Hashing a passphrase takes a while.
        let read = move || SigningKey::from_pem(&pem, passphrase.as_deref());
        Ok(Some(tokio::task::spawn_blocking(read).await??))
    }
}

fn card(ground: &Ground) -> Result<Card, Failure> {
    let path = ground.release.artifacts.card.as_deref();
    let card = path.map(|path| Document::parse("card", &ground.release.path(path))).transpose()?;
    Ok(card.unwrap_or_default())
}

/// Records a signature, unless one by the same key is there; the key's name.
async fn sign(registry: &Registry, manifest: &Manifest, key: &SigningKey, ground: &Ground) -> Result<String> {
    let public = [key.verifying_key()];
    let signature = ModelSignature::sign(manifest, &manifest.model.to_string(), key)?;
    let said = registry.attestations.of(&manifest.model).await?;
    let signs = |envelope| ModelSignature::signers(envelope, &manifest.digest, &public).is_ok();
    if !said.iter().filter_map(Attestation::envelope).any(signs) {
        let attestation = Attestation::enveloped(signature.envelope().clone(), ground.stamp())?;
        registry.attestations.attest(&manifest.model, attestation).await?;
    }
    Ok(public[0].id())
}
