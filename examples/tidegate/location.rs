//! Where the registry is.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use reqwest::Url;
use tidegate::registry::{
    Attestations, Channels, Log, ModelRef, ModelStoreExt as _, ObjectBacked, Result as RegistryResult,
    Selector,
};

use crate::failure::Failure;

/// A registry in a directory, written as a path or as a `file://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location(PathBuf);

/// An open registry.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) store: ObjectBacked,
    pub(crate) channels: Channels,
    pub(crate) attestations: Attestations,
}

/// The file that every registry has, from its beginning on.
const MARKER: &str = "tidegate.json";

impl Location {
    /// `tidegate` in the user's data directory: `~/.local/share/tidegate` on Linux.
    pub(crate) fn of_user() -> Result<Self> {
        let base = etcetera::choose_base_strategy().context(
            "the user's data directory is unknown; name a registry with --registry or TIDEGATE_REGISTRY",
        )?;
        Ok(Self(base.data_dir().join("tidegate")))
    }

    /// Opens the registry that is there. Never begins one.
    pub(crate) async fn open(&self) -> Result<Registry> {
        match fs::metadata(&self.0) {
            Ok(found) if !found.is_dir() => {
                Err(Failure::Misused(format!("{} is a file; a registry is a directory", self.0.display()))
                    .into())
            }
            _ if !self.0.join(MARKER).exists() => Err(Failure::NoRegistry(self.0.clone()).into()),
            _ => self.open_any().await,
        }
    }

    /// Opens the registry, or begins it where nothing is yet.
    pub(crate) async fn open_or_begin(&self) -> Result<Registry> {
        let taken = fs::read_dir(&self.0).is_ok_and(|mut entries| entries.next().is_some());
        if taken && !self.0.join(MARKER).exists() {
            let why = format!(
                "{} is not empty and no registry; name a new or an empty directory",
                self.0.display()
            );
            return Err(Failure::Misused(why).into());
        }
        self.open_any().await
    }

    async fn open_any(&self) -> Result<Registry> {
        let store = ObjectBacked::directory(&self.0).await?;
        let log: Arc<dyn Log> = Arc::new(store.clone());
        Ok(Registry {
            store,
            channels: Channels::new(Arc::clone(&log)),
            attestations: Attestations::new(log),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Registry {
    pub(crate) async fn resolve(&self, selector: &Selector) -> RegistryResult<ModelRef> {
        self.store.resolve(selector, &self.channels).await
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.is_empty() {
            return Err("it is empty; write a directory or a file:// URL".to_owned());
        }
        let Some((scheme, _)) = s.split_once("://") else { return Ok(Self(s.into())) };
        let path = Url::parse(s).ok().filter(|_| scheme == "file").and_then(|url| url.to_file_path().ok());
        path.map(Self).ok_or_else(|| {
            "this program reads directories: write a path, or file:// and an absolute path; \
             for a bucket use the crate tidegate-registry with an object_store client"
                .to_owned()
        })
    }
}
