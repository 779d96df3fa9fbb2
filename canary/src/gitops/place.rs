//! Where in a file a release is named.

use std::path::{Component, Path, PathBuf};

use serde_json_path::{JsonPath, PathElement};
use tidegate_registry::Invalid;

use super::yaml::{Document, Fixed, Garbled, Step, read};
use crate::{Release, pattern::Pattern};

/// A place in a file of YAML that names the release: an image, a tag, a digest, an annotation, a value of a Helm chart.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) file: PathBuf,
    path: JsonPath,
    shown: String,
    pattern: Pattern,
    image: bool,
    object: Option<(String, String)>,
}

/// A file that cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Garbled(#[from] Garbled),
    #[error("`{path}` leads nowhere in it{among}; correct the path or the file")]
    Nowhere { path: String, among: String },
    #[error("`{path}` leads to {count} places in it; lead it to one, or name the object by `of`")]
    Unclear { path: String, count: usize },
    #[error("what `{path}` leads to cannot be replaced: {why}")]
    Fixed { path: String, why: Fixed },
    #[error("`{path}` and another path lead to the same place; leave one of them")]
    Overlap { path: String },
    #[error("what would be written does not read as it was meant; please report that, with the file")]
    Misread,
}

/// What a place says, and what it is to say.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) says: String,
    pub(super) wanted: String,
}

impl Place {
    /// The scalar in `file`, relative to the checkout, to which the JSONPath `path` (RFC 9535) leads, as `pattern` makes
    /// it of a release: `{name}`, `{version}`, `{digest}` (`sha256:…`) and `{hex}` are its places.
    ///
    /// For the path every scalar is a text: `$.images[?@.name=='registry.example/fraud'].newTag`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the file is absolute or leads upwards, the path is no JSONPath, or the pattern has other places
    /// or is the same for every release.
    pub fn new(file: impl Into<PathBuf>, path: &str, pattern: &str) -> Result<Self, Invalid> {
        let file = file.into();
        let inside = |part: Component<'_>| matches!(part, Component::Normal(name) if name != ".git");
        if file.as_os_str().is_empty() || !file.components().all(inside) {
            let why = "name it relative to the checkout, without `..` and not in `.git`";
            return Err(Invalid::new("file of a place", file.to_string_lossy(), why));
        }
        Ok(Self {
            file,
            path: JsonPath::parse(path)
                .map_err(|error| Invalid::new("path of a place", path, error.to_string()))?,
            shown: path.to_owned(),
            pattern: Pattern::parse("pattern of a place", pattern)?,
            image: false,
            object: None,
        })
    }

    /// This place, in the document whose `kind` and `metadata.name` are these, of a file with several.
    #[must_use]
    pub fn of(mut self, kind: &str, name: &str) -> Self {
        self.object = Some((kind.to_owned(), name.to_owned()));
        self
    }

    /// This place, which holds an image or its tag: a `+` in a version becomes `_`, since no tag can hold one.
    #[must_use]
    pub const fn as_image(mut self) -> Self {
        self.image = true;
        self
    }

    fn text(&self, release: &Release) -> String {
        if self.image { self.pattern.image(release) } else { self.pattern.text(release) }
    }

    /// The document and the way to the one scalar in it.
    fn find(&self, documents: &[Document]) -> Result<(usize, Vec<Step>), Unfit> {
        let wanted = |document: &Document| {
            self.object.as_ref().is_none_or(|(kind, name)| {
                let value = &document.value;
                value["kind"] == *kind && value["metadata"]["name"] == *name
            })
        };
        let mut found = Vec::new();
        for (index, document) in documents.iter().enumerate().filter(|(_, document)| wanted(document)) {
            for node in self.path.query_located(&document.value).iter() {
                let steps = node.location().iter().map(|element| match element {
                    PathElement::Name(name) => Step::Key((*name).to_owned()),
                    PathElement::Index(index) => Step::Index(*index),
                });
                found.push((index, steps.collect()));
            }
        }
        let path = || self.shown.clone();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => {
                let among = self.object.as_ref().map(|(kind, name)| format!(" of {kind} {name}"));
                Err(Unfit::Nowhere { path: path(), among: among.unwrap_or_default() })
            }
            count => Err(Unfit::Unclear { path: path(), count }),
        }
    }
}

/// `text` with all of `places` saying `release`, and where it does not say so yet.
pub(super) fn change<'a>(
    text: &str,
    places: impl Iterator<Item = &'a Place>,
    release: &Release,
) -> Result<(String, Vec<Difference>), Unfit> {
    let mut documents = read(text)?;
    let mut differences = Vec::new();
    let mut edits = Vec::new();
    for place in places {
        let (index, steps) = place.find(&documents)?;
        let wanted = place.text(release);
        let fixed = |why| Unfit::Fixed { path: place.shown.clone(), why };
        let scalar = documents[index].scalar(&steps).map_err(fixed)?;
        if edits.iter().any(|(span, _)| *span == scalar.span) {
            return Err(Unfit::Overlap { path: place.shown.clone() });
        }
        let written = match scalar.text == wanted {
            true => text.get(scalar.span.clone()).unwrap_or_default().to_owned(),
            false => scalar.written(&wanted).map_err(fixed)?,
        };
        if scalar.text != wanted {
            let says = scalar.text.clone();
            differences.push(Difference { path: place.shown.clone(), says, wanted: wanted.clone() });
        }
        edits.push((scalar.span.clone(), written));
        documents[index].put(&steps, &wanted);
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut changed = text.to_owned();
    for (span, written) in edits {
        if changed.get(span.clone()).is_none() {
            return Err(Unfit::Misread);
        }
        changed.replace_range(span, &written);
    }
    // Nothing is written of which this is not sure.
    let reads = read(&changed).map_err(|_| Unfit::Misread)?;
    let as_meant =
        reads.iter().map(|document| &document.value).eq(documents.iter().map(|document| &document.value));
    if as_meant { Ok((changed, differences)) } else { Err(Unfit::Misread) }
}

/// The files of `places`, each once.
pub(super) fn files(places: &[Place]) -> Vec<&Path> {
    let mut files: Vec<_> = places.iter().map(|place| place.file.as_path()).collect();
    files.sort_unstable();
    files.dedup();
    files
}
