//! Text with places that are filled in when a server starts.

use std::{ffi::OsString, path::Path};

use crate::{Release, Slot};

/// What the places of one start are filled with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling<'a> {
    pub(super) port: u16,
    pub(super) slot: Slot,
    pub(super) release: &'a Release,
    pub(super) directory: &'a Path,
}

/// Text and places.
#[derive(Clone)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone)]
enum Part {
    Text(String),
    Place(Place),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Digest,
    Directory,
    Model,
    Port,
    Slot,
    Version,
}

/// A brace that begins or ends nothing. What stands there is not repeated: it may be a part of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the brace at byte {at} belongs to no placeholder; there are `{{port}}`, `{{slot}}`, `{{model}}`, `{{version}}`, `{{digest}}` and `{{directory}}`; write `{{{{` or `}}}}` for a brace"
)]
pub(super) struct StrayBrace {
    at: usize,
}

impl Place {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "digest" => Self::Digest,
            "directory" => Self::Directory,
            "model" => Self::Model,
            "port" => Self::Port,
            "slot" => Self::Slot,
            "version" => Self::Version,
            _ => return None,
        })
    }
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, StrayBrace> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + found;
            plain.push_str(&rest[..found]);
            let brace = &rest[found..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                plain.push_str(&brace[..1]);
                rest = &brace[2..];
            } else {
                let (name, after) = brace[1..].split_once('}').ok_or(StrayBrace { at })?;
                let place = Place::named(name).filter(|_| brace.starts_with('{')).ok_or(StrayBrace { at })?;
                parts.extend([Part::Text(std::mem::take(&mut plain)), Part::Place(place)]);
                rest = after;
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(found) if *found == place))
    }

    /// What stands in it between the places.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Place(_) => None,
        })
    }

    /// A directory's name need not be UTF-8.
    pub(super) fn fill(&self, filling: &Filling<'_>) -> OsString {
        let mut text = OsString::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push(plain),
                Part::Place(Place::Digest) => text.push(filling.release.digest.to_string()),
                Part::Place(Place::Directory) => text.push(filling.directory),
                Part::Place(Place::Model) => text.push(filling.release.model.name().as_str()),
                Part::Place(Place::Port) => text.push(filling.port.to_string()),
                Part::Place(Place::Slot) => text.push(filling.slot.to_string()),
                Part::Place(Place::Version) => text.push(filling.release.model.version().to_string()),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tidegate_registry::Digest;

    use super::*;

    fn filled(text: &str) -> Result<String, StrayBrace> {
        let release = Release { model: "fraud@1.4.0".parse().unwrap(), digest: Digest::of("x") };
        let filling =
            Filling { port: 8_080, slot: Slot::Candidate, release: &release, directory: Path::new("/srv/m") };
        Template::parse(text).map(|template| template.fill(&filling).into_string().unwrap())
    }

    #[test]
    fn places_are_filled_and_doubled_braces_are_braces() {
        for (text, expected) in [
            ("", ""),
            ("--port={port}", "--port=8080"),
            ("{directory}/weights", "/srv/m/weights"),
            ("{model}@{version} {slot}", "fraud@1.4.0 candidate"),
            ("{{\"port\": {port}}}", "{\"port\": 8080}"),
            ("{{port}}", "{port}"),
            ("ä{port}ö", "ä8080ö"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(filled("{digest}").unwrap(), Digest::of("x").to_string());
    }

    #[test]
    fn a_stray_brace_is_found_and_not_repeated() {
        for (text, at) in [
            ("{prot}", 0),
            ("a{", 1),
            ("a}", 1),
            ("{Port}", 0),
            ("{}", 0),
            ("{ port }", 0),
            ("ä{{}", 4),
            ("}port}", 0),
        ] {
            assert_eq!(filled(text), Err(StrayBrace { at }), "{text}");
        }
    }
}
