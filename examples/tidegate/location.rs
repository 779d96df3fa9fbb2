//! Where the registry is.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use reqwest::Url;
use tidegate::registry::{Attestations, Channels, Lifecycle, Log, ObjectBacked};

use crate::{bucket::Bucket, directory::Directory, failure::Failure, registry::Registry};

/// A registry in a directory, written as a path or as a `file://` URL, or in a bucket, written as a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Bucket(Bucket),
    Directory(Directory),
}

impl Location {
    /// `tidegate` in the user's data directory: `~/.local/share/tidegate` on Linux.
    pub(crate) fn of_user() -> Result<Self> {
        let base = etcetera::choose_base_strategy().context(
            "the user's data directory is unknown; name a registry with --registry or TIDEGATE_REGISTRY",
        )?;
        Ok(Self::Directory(Directory(base.data_dir().join("tidegate"))))
    }

    /// Opens the registry that is there. Never begins one.
    pub(crate) async fn open(&self) -> Result<Registry> {
        let found = match self {
            Self::Bucket(bucket) => bucket.find().await?,
            Self::Directory(directory) => directory.find().await?,
        };
        let none = || match self {
            Self::Bucket(bucket) => Failure::NoRegistry(bucket.to_string()),
            Self::Directory(directory) => Failure::NoRegistry(directory.to_string()),
        };
        Ok(opened(found.ok_or_else(none)?))
    }

    /// Opens the registry, or begins it where nothing is yet.
    pub(crate) async fn open_or_begin(&self) -> Result<Registry> {
        let store = match self {
            Self::Bucket(bucket) => bucket.find_or_begin().await?,
            Self::Directory(directory) => directory.find_or_begin().await?,
        };
        Ok(opened(store))
    }

    /// Whether anything can be recorded here, found out before hours of work depend on it.
    pub(crate) async fn expect_writable(&self) -> Result<()> {
        match self {
            Self::Bucket(bucket) => bucket.expect_writable().await,
            Self::Directory(directory) => directory.expect_writable(),
        }
    }

    /// What no other place is called.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Bucket(bucket) => bucket.identity(),
            Self::Directory(Directory(path)) => {
                std::path::absolute(path).as_ref().unwrap_or(path).display().to_string()
            }
        }
    }
}

fn opened(store: ObjectBacked) -> Registry {
    let log: Arc<dyn Log> = Arc::new(store.clone());
    Registry {
        store,
        channels: Channels::new(Arc::clone(&log)),
        attestations: Attestations::new(Arc::clone(&log)),
        lifecycle: Lifecycle::new(log),
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.is_empty() {
            return Err("it is empty; write a directory or a URL".to_owned());
        }
        let directory = |path: PathBuf| Self::Directory(Directory(path));
        match s.split_once("://") {
            None => Ok(directory(s.into())),
            Some(("file", _)) => {
                let path = Url::parse(s).ok().and_then(|url| url.to_file_path().ok());
                path.map(directory).ok_or_else(|| "write file:// and an absolute path, or a path".to_owned())
            }
            // What is wrong with a URL is said later, without the secrets that may be in it.
            Some(_) => Ok(Self::Bucket(Bucket::new(s))),
        }
    }
}
