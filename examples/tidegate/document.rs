//! Files that the user writes: cards, suites, policies and statements, in TOML or JSON.

use std::{fs::File, io::Read as _, path::Path};

use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The text of a document and the format that its name promises.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Toml,
}

impl Document {
    const LONGEST: u64 = 16 << 20;

    /// `what` names it in errors: `suite`.
    pub(crate) fn read(what: &str, path: &Path) -> Result<Self, Failure> {
        let misused = |why: &str| Failure::Misused(format!("{what} `{}` {why}", path.display()));
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            _ => return Err(misused("is neither .toml nor .json; name it after its format")),
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(Self::LONGEST + 1).read_to_string(&mut text))
            .map_err(|error| misused(&format!("cannot be read: {error}")))?;
        if text.len() as u64 > Self::LONGEST {
            return Err(misused("is longer than 16 MiB; shorten it"));
        }
        Ok(Self { text, format })
    }

    /// Reads `path` as a `T`.
    pub(crate) fn parse<T: DeserializeOwned>(what: &str, path: &Path) -> Result<T, Failure> {
        let Self { text, format } = Self::read(what, path)?;
        let parsed = match format {
            Format::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Format::Toml => toml::from_str(&text).map_err(|error| error.to_string()),
        };
        let wrong = |why: String| format!("{what} `{}` is wrong: {}", path.display(), why.trim());
        parsed.map_err(|why| Failure::Misused(wrong(why)))
    }
}
