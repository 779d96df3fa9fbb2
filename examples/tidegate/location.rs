//! Where the registry is.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use reqwest::Url;
use tidegate::registry::{Attestations, Channels, Error, Lifecycle, Log, ObjectBacked};

use crate::{failure::Failure, registry::Registry};

/// A registry in a directory, written as a path or as a `file://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location(PathBuf);

/// What lies where a registry may be.
enum Found {
    /// A registry.
    Registry,
    /// No directory, or an empty one.
    Nothing,
    /// A directory of something else.
    Other,
}

const FILE: &str = "is a file, or lies below one; a registry is a directory";

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
        match self.inspect()? {
            Found::Registry => self.open_any().await,
            Found::Nothing | Found::Other => Err(Failure::NoRegistry(self.0.clone()).into()),
        }
    }

    /// Opens the registry, or begins it where nothing is yet.
    pub(crate) async fn open_or_begin(&self) -> Result<Registry> {
        match self.inspect()? {
            Found::Registry | Found::Nothing => self.open_any().await,
            Found::Other => {
                Err(self.misused("is not empty and no registry; name a new or an empty directory").into())
            }
        }
    }

    /// Whether anything can be recorded here, found out before hours of work depend on it.
    pub(crate) fn expect_writable(&self) -> Result<()> {
        // A file without a name, which nobody sees.
        tempfile::tempfile_in(&self.0).map(drop).map_err(|error| self.local("write to", error).into())
    }

    fn inspect(&self) -> Result<Found> {
        let read = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => anyhow::Error::new(self.misused(FILE)),
            _ => self.local("read", error).into(),
        };
        match fs::metadata(&self.0) {
            Ok(found) if !found.is_dir() => return Err(self.misused(FILE).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            found => found.map_err(read)?,
        };
        if self.0.join(MARKER).try_exists().map_err(read)? {
            return Ok(Found::Registry);
        }
        let empty = fs::read_dir(&self.0).map_err(read)?.next().is_none();
        Ok(if empty { Found::Nothing } else { Found::Other })
    }

    fn misused(&self, why: &str) -> Failure {
        Failure::Misused(format!("{} {why}", self.0.display()))
    }

    fn local(&self, action: &'static str, source: io::Error) -> Error {
        Error::Local { action, path: self.0.clone(), source }
    }

    async fn open_any(&self) -> Result<Registry> {
        let store = ObjectBacked::directory(&self.0).await?;
        let log: Arc<dyn Log> = Arc::new(store.clone());
        Ok(Registry {
            store,
            channels: Channels::new(Arc::clone(&log)),
            attestations: Attestations::new(Arc::clone(&log)),
            lifecycle: Lifecycle::new(log),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
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
