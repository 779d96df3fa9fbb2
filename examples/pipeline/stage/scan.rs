//! The model's files, looked into for what they would do to whoever loads them. Nothing is executed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Deserialize;
use tidegate::validation::{
    Projection, Verdict as Found,
    scan::{FileScan, ScanError, Scanner},
};

use super::{At, Ending, Preview};
use crate::{
    failure::Failure,
    formats::replace,
    ground::Ground,
    progress::{Outcome, Verdict},
    words::{count, plain},
};

/// A scan of all files of the version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scan {
    /// Imports of pickles that were looked at and are all right, with the reason: `module.name = "reviewed in #412"`.
    #[serde(default)]
    allow: BTreeMap<String, String>,
}

impl Scan {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let directory = ground.release.path(&ground.release.artifacts.directory);
        let allow = self.allow.clone();
        let scanned = tokio::task::spawn_blocking(move || scan(&directory, allow)).await??;
        let page = format!("{}.html", at.stage);
        let html = Projection::of_scans(&scanned).html();
        replace(&ground.outputs()?.join(&page), html.as_bytes())
            .map_err(|source| Failure::Lost { what: format!("page `{page}` cannot be written"), source })?;
        Ok(outcome(&scanned).with_file("page", page).into())
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let directory = &ground.release.artifacts.directory;
        Preview::new(format!("looks into every file below `{}`", ground.release.path(directory).display()))
            .taking("the files of the version")
            .lacking(ground.missing("directory", directory))
    }
}

fn scan(directory: &Path, allow: BTreeMap<String, String>) -> Result<Vec<Result<FileScan, ScanError>>> {
    let scanner =
        allow.into_iter().fold(Scanner::new(), |scanner, (name, why)| scanner.with_exception(name, why));
    let files = files(directory).map_err(|source| Failure::Lost {
        what: format!("the files below `{}` cannot be listed", directory.display()),
        source,
    })?;
    let scan = |path: &PathBuf| {
        let shown = path.strip_prefix(directory).unwrap_or(path).to_string_lossy().into_owned();
        let mut found = scanner.scan_path(path);
        match &mut found {
            Ok(found) => found.path = shown,
            Err(error) => error.path = shown,
        }
        found
    };
    Ok(files.iter().map(scan).collect())
}

fn outcome(scanned: &[Result<FileScan, ScanError>]) -> Outcome {
    let of = |wanted: &str| {
        let word = |scan: &Result<FileScan, ScanError>| {
            scan.as_ref().map_or("inconclusive", |scan| scan.verdict.word())
        };
        scanned.iter().filter(|scan| word(scan) == wanted).count()
    };
    let (bad, unclear) = (of(Found::Fail.word()), of("inconclusive"));
    let lines = scanned.iter().flat_map(|scan| match scan {
        Ok(scan) => {
            scan.detections.iter().map(|found| plain(&format!("{}: {found}", scan.path))).collect::<Vec<_>>()
        }
        Err(error) => vec![plain(&error.to_string())],
    });
    let said = format!("{}, {bad} dangerous, {unclear} unclear", count(scanned.len(), "file"));
    let verdict = match (scanned.len(), bad, unclear) {
        // Nothing looked at is no pass.
        (0, ..) | (_, 0, 1..) => Verdict::Undecided,
        (_, 0, 0) => Verdict::Passed,
        _ => Verdict::Failed,
    };
    Outcome::new(verdict, said).with_lines(lines).with_fact("files", scanned.len())
}

/// Every file below a directory, in order. Links are not followed: what a registry would publish has none.
fn files(directory: &Path) -> std::io::Result<BTreeSet<PathBuf>> {
    let (mut found, mut pending) = (BTreeSet::new(), vec![directory.to_owned()]);
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => pending.push(entry.path()),
                kind if kind.is_file() => drop(found.insert(entry.path())),
                _ => {}
            }
        }
    }
    Ok(found)
}
