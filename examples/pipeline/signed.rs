//! Whose signatures a version has to have before users meet it, as the release says.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;
use tidegate::registry::{
    Attestation, Digest, ModelRef, Rule,
    signing::{ModelSignature, VerifyingKey},
};

use crate::{
    failure::Failure,
    ground::Ground,
    release::Release,
    secret::small_file,
    stage::{Preview, Work},
};

/// One of these keys has to have signed the version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// Public keys in PEM, a file each.
    by: Vec<PathBuf>,
}

/// The same, with the keys that are in the files, in their order.
#[derive(Debug)]
pub(crate) struct Signers<'r> {
    signed: &'r Signed,
    keys: Vec<VerifyingKey>,
}

impl Signed {
    /// What is wrong with the list of keys, if anything.
    pub(crate) fn flaw(&self) -> Option<String> {
        const MOST: usize = 16;
        let fits = (1..=MOST).contains(&self.by.len());
        (!fits).then(|| format!("names {} keys; name 1 to {MOST} files with public keys", self.by.len()))
    }

    /// `` `team.pub.pem` or `security.pub.pem` ``
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.by.iter().map(|file| format!("`{}`", file.display())).collect();
        names.join(" or ")
    }

    fn read(&self, release: &Release) -> Result<Signers<'_>, Failure> {
        let read = |file: &PathBuf| {
            let path = release.path(file);
            let wrong = |error| Failure::Misused(format!("key `{}`: {error}", path.display()));
            VerifyingKey::from_pem(&small_file("key", &path)?).map_err(wrong)
        };
        let keys = self.by.iter().map(read).collect::<Result<_, Failure>>()?;
        Ok(Signers { signed: self, keys })
    }
}

impl Signers<'_> {
    /// `` `team.pub.pem` or `security.pub.pem` ``
    pub(crate) fn names(&self) -> String {
        self.signed.names()
    }

    /// The same, asked for by a channel.
    pub(crate) fn rule(&self) -> Rule {
        Rule::Signed { by: self.keys.iter().map(VerifyingKey::to_pem).collect() }
    }

    /// Whether a channel that asks for a signature by one of the keys `by` asks for no less.
    pub(crate) fn is_covered(&self, by: &[String]) -> bool {
        let own = |pem: &String| VerifyingKey::from_pem(pem).is_ok_and(|key| self.keys.contains(&key));
        !by.is_empty() && by.iter().all(own)
    }

    /// Whether one of them signed `content`, by what is said about it.
    fn have_signed(&self, content: &Digest, said: &[Attestation]) -> bool {
        let mut envelopes = said.iter().filter_map(Attestation::envelope);
        envelopes.any(|envelope| ModelSignature::signers(envelope, content, &self.keys).is_ok())
    }

    fn file_of(&self, key: &VerifyingKey) -> Option<&Path> {
        let at = self.keys.iter().position(|own| own == key)?;
        Some(&self.signed.by[at])
    }
}

/// All signatures that the release asks for.
pub(crate) fn read(release: &Release) -> Result<Vec<Signers<'_>>, Failure> {
    release.signed.iter().map(|signed| signed.read(release)).collect()
}

/// Those whose files can be read; of the others a preview of the rollout says that they are lacking.
pub(crate) fn readable(release: &Release) -> Vec<Signers<'_>> {
    release.signed.iter().filter_map(|signed| signed.read(release).ok()).collect()
}

/// What makes the signature by one of the keys `by` that a channel misses, the keys by their names in the release.
pub(crate) fn remedy(model: &ModelRef, by: &[String], all: &[Signers<'_>]) -> String {
    let named = |pem: &String| match VerifyingKey::from_pem(pem) {
        Ok(key) => match all.iter().find_map(|signers| signers.file_of(&key)) {
            Some(file) => format!("`{}`", file.display()),
            None => format!("key {:.12}", key.id()),
        },
        Err(_) => "a key of the policy that cannot be read".to_owned(),
    };
    ask(model, &by.iter().map(named).collect::<Vec<_>>().join(" or "))
}

fn ask(model: &ModelRef, keys: &str) -> String {
    format!(
        "whoever has the private key of {keys} runs `tidegate sign {model} --key FILE`; then run this again"
    )
}

/// Adds the signatures to what a rollout takes. Lacking is one that the published version does not have, and that the
/// stage with `publish` does not make.
pub(crate) async fn preview(mut preview: Preview, ground: &Ground) -> Result<Preview> {
    let release = &ground.release;
    if release.signed.is_empty() {
        return Ok(preview);
    }
    let (published, publishes_with) = (published(ground).await?, key_of_publication(ground).await);
    for signed in &release.signed {
        let (model, names) = (&release.model, signed.names());
        preview = preview.taking(format!("a signature of {model} by {names}"));
        match signed.read(release) {
            Err(error) => preview = preview.lacking([error.to_string()]),
            Ok(signers) => {
                let comes = publishes_with.as_ref().is_some_and(|key| signers.keys.contains(key));
                if let Some((content, said)) = &published
                    && !comes
                    && !signers.have_signed(content, said)
                {
                    preview = preview
                        .lacking([format!("no key of {names} signed {model}; {}", ask(model, &names))]);
                }
            }
        }
    }
    Ok(preview)
}

/// What is published as the version, and what is said about it.
async fn published(ground: &Ground) -> Result<Option<(Digest, Vec<Attestation>)>> {
    let Some(manifest) = ground.published().await? else { return Ok(None) };
    let said = ground.registry()?.attestations.of(&manifest.model).await?;
    Ok(Some((manifest.digest, said)))
}

/// The key that the stage with `publish` signs with. Where it cannot be read, that stage's preview says so.
async fn key_of_publication(ground: &Ground) -> Option<VerifyingKey> {
    let publish = ground.release.stages.iter().find_map(|stage| match &stage.work {
        Work::Publish(publish) => Some(publish),
        _ => None,
    });
    publish?.public_key(ground).await
}
