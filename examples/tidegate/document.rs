//! Files that the user writes: cards, suites, policies, statements and environments, in TOML, YAML or JSON.

use std::{fs::File, io::Read as _, path::Path};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Failure, unreadable};

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
    Yaml,
}

impl Document {
    const LONGEST: u64 = 16 << 20;

    /// `what` names it in errors: `suite`.
    pub(crate) fn read(what: &str, path: &Path) -> Result<Self, Failure> {
        let misused = |why: &str| Failure::Misused(format!("{what} `{}` {why}", path.display()));
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            Some("yaml" | "yml") => Format::Yaml,
            _ => return Err(misused("is none of .toml, .yaml and .json; name it after its format")),
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(Self::LONGEST + 1).read_to_string(&mut text))
            .map_err(|error| misused(&unreadable(&error)))?;
        if text.len() as u64 > Self::LONGEST {
            return Err(misused("is longer than 16 MiB; shorten it"));
        }
        Ok(Self { text, format })
    }

    /// The same as JSON where it is YAML, for those who read only TOML and JSON.
    pub(crate) fn without_yaml(self, what: &str, path: &Path) -> Result<Self, Failure> {
        if self.format != Format::Yaml {
            return Ok(self);
        }
        let value = from_yaml(&self.text);
        let wrong = |why: String| Failure::Misused(format!("{what} `{}` is wrong: {why}", path.display()));
        Ok(Self { text: value.map_err(wrong)?.to_string(), format: Format::Json })
    }

    /// Reads `path` as a `T`, without repeating lines of it, where somebody may have written a secret.
    pub(crate) fn parse_discreetly<T: DeserializeOwned>(what: &str, path: &Path) -> Result<T, Failure> {
        let Self { text, format } = Self::read(what, path)?;
        let value: Result<Value, String> = match format {
            Format::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Format::Toml => toml::from_str(&text).map_err(|error| {
                let line = error.span().map(|span| text[..span.start].lines().count().max(1));
                let place = line.map(|line| format!(" in line {line}")).unwrap_or_default();
                format!("{}{place}", error.message())
            }),
            Format::Yaml => from_yaml(&text),
        };
        let parsed = value.and_then(|value| {
            serde_path_to_error::deserialize(value)
                .map_err(|error| format!("{}: {}", error.path(), error.inner()))
        });
        parsed.map_err(|why| Failure::Misused(format!("{what} `{}` is wrong: {why}", path.display())))
    }

    /// Reads `path` as a `T`.
    pub(crate) fn parse<T: DeserializeOwned>(what: &str, path: &Path) -> Result<T, Failure> {
        let Self { text, format } = Self::read(what, path)?;
        let parsed = match format {
            Format::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Format::Toml => toml::from_str(&text).map_err(|error| error.to_string()),
            Format::Yaml => from_yaml(&text).and_then(|value| {
                serde_path_to_error::deserialize(value)
                    .map_err(|error| format!("{}: {}", error.path(), error.inner()))
            }),
        };
        let wrong = |why: String| format!("{what} `{}` is wrong: {}", path.display(), why.trim());
        parsed.map_err(|why| Failure::Misused(wrong(why)))
    }
}

/// What aliases repeat counts as if it were written out.
fn from_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 64, max_documents: 1, max_aliases: 1_000, max_anchors: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.without_snippet().to_string())
}
