//! Files of a model, read no further than they are worth.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::OpenModelError;
use crate::flaw::read;

/// A directory with the files of a model.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// All of the file called `name`, which may have `most` bytes.
    pub(super) fn bytes(&self, name: &str, most: u64) -> Result<Vec<u8>, OpenModelError> {
        let path = self.path.join(name);
        let io = |source| OpenModelError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut bytes = Vec::new();
        if len <= most {
            bytes.reserve_exact(len as usize + 1);
            file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
        }
        if len > most || bytes.len() as u64 > most {
            return Err(self.unusable(name, format!("it is longer than {most} bytes")));
        }
        Ok(bytes)
    }

    /// The file called `name`, JSON of at most `most` bytes.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &str, most: u64) -> Result<T, OpenModelError> {
        self.parse(name, &self.bytes(name, most)?)
    }

    /// The bytes of the file called `name` as JSON.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, OpenModelError> {
        let value = serde_json::from_slice(bytes)
            .map_err(|error| self.unusable(name, format!("it is no JSON: {error}")))?;
        read(value, "").map_err(|flaw| match flaw.path.is_empty() {
            true => self.unusable(name, flaw.to_string()),
            false => self.unusable(name, format!("`{}`: {flaw}", flaw.path)),
        })
    }

    pub(super) fn unusable(&self, name: &str, why: impl Into<String>) -> OpenModelError {
        OpenModelError::Unusable { path: self.path.join(name), why: why.into() }
    }
}
