//! Names: a model, a version of it, a channel.

use std::{fmt, str::FromStr};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The name of a model: `[a-z0-9][a-z0-9._-]{0,127}`, without `..`.
///
/// Lower case only, because some file systems fold case and two models must never share a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^(?!.*\\.\\.)[a-z0-9][a-z0-9._-]*$", "maxLength" = 128))
)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

/// The name of a channel, such as `production`: the same characters as a [`ModelName`], at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^(?!.*\\.\\.)[a-z0-9][a-z0-9._-]*$", "maxLength" = 64))
)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(String);

/// One immutable version of one model, printed `fraud-scorer@1.4.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^(?!.*\\.\\.)[a-z0-9][a-z0-9._-]*@(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$"))
)]
#[serde(try_from = "String", into = "String")]
pub struct ModelRef {
    name: ModelName,
    version: Version,
}

impl ModelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This name at `version`.
    #[must_use]
    pub fn at(&self, version: Version) -> ModelRef {
        ModelRef { name: self.clone(), version }
    }
}

impl Channel {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `production`, the channel that most teams serve from.
    #[must_use]
    pub fn production() -> Self {
        Self("production".to_owned())
    }
}

impl ModelRef {
    /// The model.
    #[must_use]
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl FromStr for ModelName {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        slug("model name", s, 128).map(Self)
    }
}

impl FromStr for Channel {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        slug("channel", s, 64).map(Self)
    }
}

impl FromStr for ModelRef {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let (name, version) = s.split_once('@').ok_or_else(|| {
            Invalid::new("model reference", s, "write NAME@VERSION, for example fraud-scorer@1.4.0")
        })?;
        Ok(Self { name: name.parse()?, version: parse_version(version)? })
    }
}

/// Parses a semantic version, saying what a wrong one should look like.
pub(crate) fn parse_version(s: &str) -> Result<Version, Invalid> {
    Version::parse(s).map_err(|error| {
        Invalid::new("version", s, format!("{error}; write a semantic version such as 1.4.0 or 2.0.0-rc.1"))
    })
}

fn slug(what: &'static str, s: &str, longest: usize) -> Result<String, Invalid> {
    let why = if s.is_empty() {
        "it is empty".to_owned()
    } else if s.len() > longest {
        format!("it is longer than {longest} characters")
    } else if s.contains("..") {
        "it contains `..`".to_owned()
    } else if !s.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        "it must start with a lower-case letter or a digit".to_owned()
    } else if !s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')) {
        "use lower-case letters, digits, `.`, `_` and `-` only".to_owned()
    } else {
        return Ok(s.to_owned());
    };
    Err(Invalid::new(what, s, why))
}

/// The text conversions that every newtype here has: print, parse from `String`, into `String`.
macro_rules! text {
    ($($name:ty: |$self:ident, $f:ident| $print:expr;)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&$self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $print
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(s: String) -> Result<Self, Invalid> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
pub(crate) use text;

text! {
    ModelName: |self, f| f.write_str(&self.0);
    Channel: |self, f| f.write_str(&self.0);
    ModelRef: |self, f| write!(f, "{}@{}", self.name, self.version);
}
