//! The OCI registries that hold the container images of versions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::Client;
use serde::Deserialize;
use tidegate::{
    canary::{Deployer, Pinned},
    registry::{OciAuth, OciImages},
};

use super::sealed::Sealed;
use crate::{failure::Failure, registry::Registry};

/// How long a registry may take to say whether it has an image. Whoever wants to go back does not wait for longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What runs releases, and knows of their images.
pub(super) type PinnedDeployer = Pinned<Arc<dyn Deployer>>;

/// A registry, and who asks it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImagesFile {
    /// `https://registry.example.com:5000`, without a path.
    url: String,
    /// Whose password it is; without, nobody in particular asks.
    username: Option<String>,
    /// Or an access token in its place.
    password: Option<Sealed>,
}

/// `deployer`, which also knows of images; nothing where no registry of any is named.
pub(super) fn pinned(
    files: BTreeMap<String, ImagesFile>,
    deployer: &Arc<dyn Deployer>,
    registry: &Registry,
) -> Result<Option<Arc<PinnedDeployer>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let registries = files.into_iter().map(|(name, file)| file.open(&name)).collect::<Result<Vec<_>>>()?;
    let store = Arc::new(registry.store.clone());
    Ok(Some(Arc::new(Pinned::new(Arc::clone(deployer), store, registries))))
}

impl ImagesFile {
    fn open(self, name: &str) -> Result<OciImages> {
        let auth = match (self.username, self.password) {
            (Some(user), Some(password)) => {
                OciAuth::Basic { user, password: password.open(&format!("images.{name}.password"))? }
            }
            (None, None) => OciAuth::Anonymous,
            _ => {
                let why = format!("images.{name} has a username or a password alone; give both, or neither");
                return Err(Failure::Misused(why).into());
            }
        };
        let client = Client::builder().connect_timeout(ANSWER_TIMEOUT).timeout(ANSWER_TIMEOUT).build();
        let client = client.context("cannot set up HTTP; are the system's certificates readable?")?;
        OciImages::new(client, auth, &self.url).with_context(|| format!("images.{name}.url cannot be used"))
    }
}
