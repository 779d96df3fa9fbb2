//! Where the files are that a suite names.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    dataset::{Dataset, Format, Options, Shard},
    flaw::{Flaw, join, read},
    scorer::JudgeCalibration,
};

/// Where the datasets are that a suite names, and which share of each is asked.
///
/// Datasets stand beside the suite or below it, so that a suite can be moved as a whole and reads nothing else of the
/// machine: their paths are relative and do not lead up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    directory: PathBuf,
    shard: Shard,
}

impl Sources {
    /// Files below this directory.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), shard: Shard::ALL }
    }

    /// Files in the directory of the file at `suite`, and below.
    pub fn beside(suite: impl AsRef<Path>) -> Self {
        Self::directory(suite.as_ref().parent().unwrap_or_else(|| Path::new("")))
    }

    /// These files, with this share of each dataset alone, those that stand in the suite itself included.
    #[must_use]
    pub const fn shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// Which share of each dataset is asked.
    pub(super) const fn share(&self) -> Shard {
        self.shard
    }

    /// The file at `path`, if a suite may name it.
    fn find(&self, path: &str, at: &str) -> Result<PathBuf, Flaw> {
        let below =
            Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let shown = || crate::excerpt::excerpt(path, 100);
        if !below || path.is_empty() {
            let why = format!("`{}` must be a path below the suite's directory, without `..`", shown());
            return Err(Flaw::new(at, why));
        }
        let unreadable = |error: io::Error| Flaw::new(at, format!("`{}` cannot be read: {error}", shown()));
        let directory = match self.directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.directory,
        };
        let root = directory.canonicalize().map_err(unreadable)?;
        // What is read later is what was looked at here, whatever becomes of links on the way.
        let file = root.join(path).canonicalize().map_err(unreadable)?;
        match file.starts_with(&root) {
            true => Ok(file),
            false => {
                let why =
                    format!("`{}` links to a file outside of the suite's directory; copy it there", shown());
                Err(Flaw::new(at, why))
            }
        }
    }
}

/// A calibration of a judge: written out, or the path of a file that holds it as JSON.
pub(super) fn calibration(
    value: Value,
    sources: Option<&Sources>,
    at: &str,
) -> Result<JudgeCalibration, Flaw> {
    const LONGEST: u64 = 1 << 20;
    let Value::String(path) = value else { return read(value, at) };
    let Some(sources) = sources else { return Err(no_sources(at)) };
    let unreadable = |error: io::Error| Flaw::new(at, format!("it cannot be read: {error}"));
    let mut text = Vec::new();
    let file = File::open(sources.find(&path, at)?).map_err(unreadable)?;
    file.take(LONGEST).read_to_end(&mut text).map_err(unreadable)?;
    let value =
        serde_json::from_slice(&text).map_err(|error| Flaw::new(at, format!("it is no JSON: {error}")))?;
    read(value, at)
}

/// Templates of attacks: written out, or the path of a file that holds one a line as JSON.
pub(super) fn wrappers(value: Value, sources: Option<&Sources>, at: &str) -> Result<Value, Flaw> {
    const LONGEST: u64 = 16 << 20;
    let Value::String(path) = value else { return Ok(value) };
    let Some(sources) = sources else { return Err(no_sources(at)) };
    let unreadable = |error: io::Error| Flaw::new(at, format!("it cannot be read: {error}"));
    let mut text = String::new();
    let file = File::open(sources.find(&path, at)?).map_err(unreadable)?;
    let read = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if read as u64 > LONGEST {
        return Err(Flaw::new(at, format!("it is longer than {LONGEST} bytes; split it")));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(i, line)| {
        serde_json::from_str(line)
            .map_err(|error| Flaw::new(at, format!("line {} is no JSON: {error}", i + 1)))
    });
    parsed.collect::<Result<Vec<Value>, _>>().map(Value::Array)
}

/// Puts the suite's directory before each path in `files`; what is no list of paths is left for whoever reads it next.
pub(super) fn beside(settings: &mut Value, sources: Option<&Sources>, path: &str) -> Result<(), Flaw> {
    let at = join(path, "files");
    let Some(Value::Array(files)) = settings.get_mut("files") else { return Ok(()) };
    for (i, file) in files.iter_mut().enumerate() {
        let Value::String(name) = file else { continue };
        let at = format!("{at}[{i}]");
        let Some(sources) = sources else { return Err(no_sources(&at)) };
        *name = sources.find(name, &at)?.to_string_lossy().into_owned();
    }
    Ok(())
}

fn no_sources(at: &str) -> Flaw {
    let why =
        "it names a file, and this suite was read as text; read it with `Suite::open`, or give it `Sources`";
    Flaw::new(at, why)
}

/// A file with rows of a table.
pub(super) fn table(path: &Path, sources: Option<&Sources>, at: &str) -> Result<PathBuf, Flaw> {
    let Some(sources) = sources else { return Err(no_sources(at)) };
    sources.find(&path.to_string_lossy(), at)
}

/// A dataset as a suite names it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// Where it is, below the directory of the suite.
    path: String,
    /// What it is written in; recognised from its content if it is not said.
    #[serde(default)]
    format: Option<Format>,
}

/// The dataset of a check, from its settings `dataset` or `cases`.
pub(super) fn dataset(
    named: Option<Value>,
    cases: Option<Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Dataset, Flaw> {
    let shard = sources.map_or(Shard::ALL, |sources| sources.shard);
    match (named, cases) {
        (None, Some(cases)) => {
            let options = Options { format: Some(Format::Native), shard };
            let at = join(path, "cases");
            if !cases.is_array() {
                return Err(Flaw::new(at, "write a list of questions"));
            }
            Dataset::from_bytes(&at, cases.to_string(), &options).map_err(|invalid| invalid.inside(&at))
        }
        (Some(named), None) => {
            let at = join(path, "dataset");
            let named = match named {
                Value::String(path) => Named { path, format: None },
                named => read(named, &at)?,
            };
            let Some(sources) = sources else { return Err(no_sources(&at)) };
            let options = Options { format: named.format, shard };
            let file = sources.find(&named.path, &at)?;
            Dataset::open(file, &options).map_err(|invalid| Flaw::new(at, invalid.to_string()))
        }
        (Some(_), Some(_)) => {
            Err(Flaw::new(join(path, "cases"), "there is a `dataset`, too; write one of them"))
        }
        (None, None) => Err(Flaw::new(join(path, "dataset"), "it is missing; name a file, or write `cases`")),
    }
}
