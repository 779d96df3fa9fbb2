//! Which files a model signature has to list.

use std::collections::BTreeMap;

use super::{
    super::{Untrusted, untrusted::shown},
    predicate::Predicate,
};
use crate::{FilePath, Manifest};

/// What every signature leaves out at the top of a model, and the name of the signature itself.
pub(super) const LEFT_OUT: [&str; 5] = [".git", ".gitattributes", ".github", ".gitignore", SIGNATURE];

/// Left out only by a signature that says so.
const SIGNATURE: &str = "model.sig";

/// Whether the files of `manifest` are those that are listed. Returns the files that need not be.
pub(super) fn check(manifest: &Manifest, predicate: &Predicate) -> Result<Vec<FilePath>, Untrusted> {
    let mut listed = BTreeMap::new();
    for resource in &predicate.resources {
        if listed.insert(resource.name.as_str(), resource.digest()?).is_some() {
            return Err(Untrusted::FileListedTwice { file: shown(&resource.name) });
        }
    }
    let mut unsigned = Vec::new();
    for file in &manifest.files {
        let path = file.path.as_str();
        match listed.remove(path) {
            Some(signed) if signed == file.digest => {}
            Some(signed) => {
                return Err(Untrusted::FileChanged { file: shown(path), signed, actual: file.digest });
            }
            None if is_ignored(&file.path, &predicate.serialization.ignore_paths) => {
                unsigned.push(file.path.clone());
            }
            None => return Err(Untrusted::FileUnlisted { file: shown(path) }),
        }
    }
    match listed.pop_first() {
        Some((name, _)) => Err(Untrusted::FileMissing { file: shown(name) }),
        None => Ok(unsigned),
    }
}

/// Whether a signature with these `ignore_paths` may leave out `path` (§6.2.1 of the format): a default one,
/// or a path that the signer named, with all that is below it. What is no plain relative path leaves out
/// nothing.
pub(super) fn is_ignored(path: &FilePath, ignore_paths: &[String]) -> bool {
    let defaults = LEFT_OUT.into_iter().filter(|default| *default != SIGNATURE);
    let named = ignore_paths.iter().map(String::as_str).filter(|named| is_plain(named));
    defaults.chain(named).any(|ignored| {
        path.as_str().strip_prefix(ignored).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_plain(path: &str) -> bool {
    path.parse::<FilePath>().is_ok() && !path.contains(['*', '?', '['])
}
