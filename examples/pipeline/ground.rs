//! What a release stands on: its description, where the registry is, and who acts.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use tidegate::{
    canary::WallClock,
    registry::{Error, Manifest, ModelStore as _, Stamp},
};

use crate::{failure::Failure, location::Location, registry::Registry, release::Release, words::plain};

#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) release: Release,
    pub(crate) location: Location,
    pub(crate) registry: Option<Registry>,
    pub(crate) by: String,
    pub(crate) clock: WallClock,
    /// Whether nobody is to be waited for.
    pub(crate) unattended: bool,
    /// Whether people are told what happens.
    pub(crate) loud: bool,
}

/// Tells people what happens, on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sayer {
    loud: bool,
    clock: WallClock,
}

impl Ground {
    /// The registry, which a release that is driven has.
    pub(crate) fn registry(&self) -> Result<&Registry> {
        self.registry.as_ref().ok_or_else(|| Failure::NoRegistry(self.location.identity()).into())
    }

    /// The version as it is published, if it is.
    pub(crate) async fn published(&self) -> Result<Option<Manifest>> {
        let Some(registry) = &self.registry else { return Ok(None) };
        match registry.store.manifest(&self.release.model).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory of outputs, which is made where it is not there.
    pub(crate) fn outputs(&self) -> Result<PathBuf> {
        let directory = self.outputs_directory();
        fs::create_dir_all(&directory).map_err(|source| Failure::Lost {
            what: format!("the directory of outputs `{}` cannot be made", directory.display()),
            source,
        })?;
        Ok(directory)
    }

    pub(crate) fn outputs_directory(&self) -> PathBuf {
        let model = &self.release.model;
        let own = format!("{}-{}", model.name().as_str().replace('/', "-"), model.version());
        let directory = self.release.path(&self.release.outputs).join(own);
        std::path::absolute(&directory).unwrap_or(directory)
    }

    /// Now, to the millisecond: journals are read by people, too.
    pub(crate) fn now(&self) -> SystemTime {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        UNIX_EPOCH + std::time::Duration::from_millis(millis)
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { by: self.by.clone(), at: self.now() }
    }

    /// The file of an environment.
    pub(crate) fn environment_file(&self, name: &str) -> Result<&PathBuf, Failure> {
        self.release.environments[name].file.as_ref().ok_or_else(|| {
            let why =
                format!("environments.{name}.file is missing; say where routers, servers and metrics are");
            Failure::Misused(why)
        })
    }

    pub(crate) const fn sayer(&self) -> Sayer {
        Sayer { loud: self.loud, clock: self.clock }
    }

    pub(crate) fn say(&self, line: &str) {
        self.sayer().say(line);
    }

    /// That a file of the description is not there, if it is not.
    pub(crate) fn missing(&self, what: &str, path: &Path) -> Option<String> {
        let path = self.release.path(path);
        (!path.exists()).then(|| format!("there is no {what} `{}`", path.display()))
    }
}

impl Sayer {
    /// Says each line that is not the one before it, of what happens over and over.
    pub(crate) fn say_news(self) -> impl Fn(String) + Send + Sync + use<> {
        let last = Mutex::new(String::new());
        move |line| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if *last != line {
                self.say(&line);
                *last = line;
            }
        }
    }

    pub(crate) fn say(self, line: &str) {
        if self.loud {
            let now = humantime::format_rfc3339_seconds(self.clock.now());
            // Whoever does not read it can have the release all the same.
            let _unread = writeln!(io::stderr(), "{now} {}", plain(line));
        }
    }
}
