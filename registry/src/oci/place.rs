//! Where artifacts lie: an address, a repository for each model, a tag for each version.

use std::{fmt, str::FromStr};

use reqwest::Url;
use semver::Version;

use crate::{Digest, Invalid, ModelName};

/// Bytes of the longest repository name that every registry takes.
const LONGEST_REPOSITORY: usize = 255;

/// Characters of the longest tag.
const LONGEST_TAG: usize = 128;

/// A registry, and the path below which each model has its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Scheme, host and port.
    root: Url,
    /// Without slashes at its ends; may be empty.
    path: String,
}

/// What an artifact is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Digest(Digest),
    Tag(String),
}

impl Place {
    pub(super) const fn root(&self) -> &Url {
        &self.root
    }

    /// The repository of a model.
    ///
    /// The names of repositories are narrower than ours: separators stand between letters and digits, and
    /// of `.` and `_` not more than one and two.
    pub(super) fn repository(&self, name: &ModelName) -> Result<String, Invalid> {
        let name = name.as_str();
        if !is_segment(name) {
            let why = "an OCI registry takes no separator at the end and no two different ones in a row; rename the model to keep it there";
            return Err(Invalid::new("model name", name, why));
        }
        let whole = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        if whole.len() > LONGEST_REPOSITORY {
            let why = format!("with its path it is longer than {LONGEST_REPOSITORY} bytes; shorten either");
            return Err(Invalid::new("model name", name, why));
        }
        Ok(whole)
    }

    /// The model whose repository this is, if it is one's.
    pub(super) fn model(&self, repository: &str) -> Option<ModelName> {
        let name = if self.path.is_empty() {
            repository
        } else {
            repository.strip_prefix(&self.path)?.strip_prefix('/')?
        };
        name.parse().ok()
    }
}

/// The tag of a version: the version, with `_` for the `+` that no tag may have. A version has no `_` of
/// its own, so no two share a tag.
pub(super) fn tag(version: &Version) -> Result<String, Invalid> {
    let tag = version.to_string().replace('+', "_");
    if tag.len() > LONGEST_TAG {
        let why = format!("a tag has at most {LONGEST_TAG} characters; shorten it");
        return Err(Invalid::new("version", version.to_string(), why));
    }
    Ok(tag)
}

/// Whether a repository can have this name.
pub(super) fn is_repository(name: &str) -> bool {
    name.split('/').all(is_segment)
}

/// One part of a repository's name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_segment(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = segment.as_bytes();
    let ends = bytes.first().is_some_and(|&b| plain(b)) && bytes.last().is_some_and(|&b| plain(b));
    ends && segment
        .split(|c: char| c.is_ascii() && plain(c as u8))
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

impl FromStr for Place {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        // What is no address may still hold a password, so none of it is repeated.
        let wrong = |shown: &str, why: &str| Invalid::new("registry address", shown, why);
        let example = "write an address such as https://registry.example.com/team/models";
        let mut root = Url::parse(s).map_err(|_| wrong("…", example))?;
        let host = root.host_str().unwrap_or_default().to_owned();
        if !matches!(root.scheme(), "http" | "https") || host.is_empty() {
            return Err(wrong("…", example));
        }
        if !root.username().is_empty() || root.password().is_some() {
            return Err(wrong(&host, "it has credentials in it; pass them as OciAuth instead"));
        }
        if root.query().is_some() || root.fragment().is_some() {
            return Err(wrong(&host, "it goes on after the path; leave out `?` and `#`"));
        }
        let path = root.path().trim_matches('/').to_owned();
        if !path.is_empty() && !is_repository(&path) {
            let why = "the path is no OCI repository; use lower-case letters, digits and `.`, `_`, `-` between them";
            return Err(wrong(&format!("{host}/{path}"), why));
        }
        root.set_path("/");
        Ok(Self { root, path })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.root, self.path)
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        if s.contains(':') {
            return s.parse().map(Self::Digest);
        }
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = s.len() <= LONGEST_TAG
            && s.bytes().next().is_some_and(word)
            && s.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if fits {
            return Ok(Self::Tag(s.to_owned()));
        }
        Err(Invalid::new(
            "tag",
            s,
            "write a tag, of letters, digits, `_`, `.` and `-`, or sha256: and 64 hex digits",
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => f.write_str(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(s: &str) -> Place {
        s.parse().unwrap()
    }

    #[test]
    fn versions_have_tags_of_their_own() {
        let tag = |s: &str| tag(&s.parse().unwrap());
        assert_eq!(tag("1.4.0").unwrap(), "1.4.0");
        assert_eq!(tag("2.0.0-rc.1+build.5").unwrap(), "2.0.0-rc.1_build.5");
        assert!(tag(&format!("1.0.0-{}", "a".repeat(122))).is_ok());
        assert!(tag(&format!("1.0.0-{}", "a".repeat(123))).is_err());
    }

    #[test]
    fn models_have_repositories_and_back() {
        let there = place("https://example.com:5000/team/models/");
        assert_eq!(there.to_string(), "https://example.com:5000/team/models");
        for name in ["m", "a-b", "a--b", "a.b", "a_b", "a__b", "0"] {
            let name: ModelName = name.parse().unwrap();
            let repository = there.repository(&name).unwrap();
            assert_eq!(repository, format!("team/models/{name}"));
            assert_eq!(there.model(&repository), Some(name));
        }
        for name in ["a-", "a.", "a_", "a.-b", "a___b", "a-_b"] {
            assert!(there.repository(&name.parse().unwrap()).is_err(), "{name}");
        }
        assert!(there.repository(&"a".repeat(128).parse().unwrap()).is_ok());
        let long = place(&format!("http://localhost/{}", "a".repeat(250)));
        assert!(long.repository(&"abcdef".parse().unwrap()).is_err());
        for other in ["m", "team/m", "team/models", "team/models/", "team/models/a/b", "team/modelsx/a"] {
            assert_eq!(there.model(other), None, "{other}");
        }
        assert_eq!(place("http://localhost").repository(&"m".parse().unwrap()).unwrap(), "m");
    }

    #[test]
    fn addresses_are_refused_without_repeating_secrets() {
        for wrong in [
            "",
            "registry.example.com/team",
            "ftp://example.com/team",
            "user:hunter2@example.com",
            "https://user:hunter2@example.com/team",
            "https://hunter2@example.com/team",
            "https://example.com/Team",
            "https://example.com/a//b",
            "https://example.com/a%2fb",
            "https://example.com/team?token=hunter2",
            "https://example.com/team#x",
        ] {
            let error = wrong.parse::<Place>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn an_artifact_is_asked_for_by_tag_or_sha256() {
        let digest = Digest::of("x");
        assert_eq!(digest.to_string().parse::<Name>().unwrap(), Name::Digest(digest));
        assert_eq!("1.0.0_b".parse::<Name>().unwrap(), Name::Tag("1.0.0_b".to_owned()));
        let sha512 = format!("sha512:{}", "0".repeat(128));
        let long = "a".repeat(129);
        for wrong in ["", ".x", "-x", "a/b", "../x", "a?b", "a b", "ü", sha512.as_str(), long.as_str()] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
    }
}
