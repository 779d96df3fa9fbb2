//! Ways to say which version is meant.

use std::{fmt, str::FromStr};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::{
    Channel, Invalid, ModelName, ModelRef,
    model::{parse_version, text},
};

/// Which version of a model is meant.
///
/// | text | meaning |
/// |---|---|
/// | `m@1.4.0` | exactly that version |
/// | `m@^1.2` | the highest published version that matches the requirement |
/// | `m@latest` | the highest published version that is not a pre-release |
/// | `m:production` | the version that the channel points to |
///
/// Requirements follow [`semver::VersionReq`], pre-releases included only when it names one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Selector {
    /// `m:production`
    Channel(ModelName, Channel),
    /// `m@latest`
    Latest(ModelName),
    /// `m@^1.2`
    Matching(ModelName, VersionReq),
    /// `m@1.4.0`
    Version(ModelRef),
}

impl Selector {
    /// The model that is meant, whatever its version.
    #[must_use]
    pub fn name(&self) -> &ModelName {
        match self {
            Self::Channel(name, _) | Self::Latest(name) | Self::Matching(name, _) => name,
            Self::Version(model) => model.name(),
        }
    }
}

impl FromStr for Selector {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        // `@` first: a requirement may not contain `:`, a name may contain neither.
        if let Some((name, version)) = s.split_once('@') {
            let name: ModelName = name.parse()?;
            return if version == "latest" {
                Ok(Self::Latest(name))
            } else if let Ok(version) = Version::parse(version) {
                Ok(Self::Version(name.at(version)))
            } else if version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains([',', '*', 'x'])
            {
                // A bare number is meant as a version; as a requirement `1.4` would quietly mean `^1.4`.
                parse_version(version).map(|version| Self::Version(name.at(version)))
            } else {
                let req = VersionReq::parse(version).map_err(|error| {
                    Invalid::new(
                        "version requirement",
                        version,
                        format!("{error}; write for example ^1.2, ~1.4, >=1.2 or latest"),
                    )
                })?;
                Ok(Self::Matching(name, req))
            };
        }
        match s.split_once(':') {
            Some((name, channel)) => Ok(Self::Channel(name.parse()?, channel.parse()?)),
            None => {
                Err(Invalid::new("selector", s, "write NAME@VERSION, NAME@^1.2, NAME@latest or NAME:CHANNEL"))
            }
        }
    }
}

text! {
    Selector: |self, f| match self {
        Self::Channel(name, channel) => write!(f, "{name}:{channel}"),
        Self::Latest(name) => write!(f, "{name}@latest"),
        Self::Matching(name, req) => write!(f, "{name}@{req}"),
        Self::Version(model) => write!(f, "{model}"),
    };
}

impl From<ModelRef> for Selector {
    fn from(model: ModelRef) -> Self {
        Self::Version(model)
    }
}
