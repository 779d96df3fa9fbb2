//! The files of a checkout: read and replaced within it, all of them or none. Blocks.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::place::{self, Difference, Place, change};
use crate::Release;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// A checked-out repository.
#[derive(Clone, Debug)]
pub(super) struct Checkout {
    root: PathBuf,
}

/// A file that is to change.
#[derive(Debug)]
pub(super) struct Edit {
    path: PathBuf,
    before: String,
    after: String,
    pub(super) file: PathBuf,
    pub(super) differences: Vec<Difference>,
}

/// A checkout that cannot be changed as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("`{}` cannot be read or written", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` leads out of the checkout, or into its `.git`; put the file itself there", .path.display())]
    Outside { path: PathBuf },
    #[error("`{}` is no file of text of at most {LONGEST} bytes; name another", .path.display())]
    NoText { path: PathBuf },
    #[error("`{}` was changed by somebody else at this moment", .path.display())]
    Changed { path: PathBuf },
    #[error("`{}` is not changed: {source}", .path.display())]
    Unfit { path: PathBuf, source: place::Unfit },
}

impl Unusable {
    /// Whether the same may succeed later.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }
}

impl Checkout {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if root.is_dir() { Ok(Self { root }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What has to change so that all of `places` say `release`; every file is looked at before any is written.
    pub(super) fn plan(&self, places: &[Place], release: &Release) -> Result<Vec<Edit>, Unusable> {
        let mut edits = Vec::new();
        for file in place::files(places) {
            let path = self.inside(file)?;
            let before = text(&path)?;
            let here = places.iter().filter(|place| place.file == file);
            let (after, differences) = change(&before, here, release)
                .map_err(|source| Unusable::Unfit { path: file.to_owned(), source })?;
            if before != after {
                edits.push(Edit { path, before, after, file: file.to_owned(), differences });
            }
        }
        Ok(edits)
    }

    /// Makes `edits`: all of them, or none. What a process that was killed has left of this is cleared away first.
    pub(super) fn write(&self, places: &[Place], edits: &[Edit]) -> Result<(), Unusable> {
        for file in place::files(places) {
            clear(&beside(&self.inside(file)?))?;
        }
        let done = self.stage(edits).and_then(|()| commit(edits));
        if done.is_err() {
            for edit in edits {
                // What is left here changes nothing, and the next one clears it away.
                let _kept = clear(&beside(&edit.path));
            }
        }
        done
    }

    fn stage(&self, edits: &[Edit]) -> Result<(), Unusable> {
        for edit in edits {
            stage(&edit.path, &edit.after).map_err(io_at(&edit.path))?;
        }
        // As late as can be.
        for edit in edits {
            if text(&self.inside(&edit.file)?)? != edit.before {
                return Err(Unusable::Changed { path: edit.file.clone() });
            }
        }
        Ok(())
    }

    /// Where `file` really is, if that is in the checkout.
    fn inside(&self, file: &Path) -> Result<PathBuf, Unusable> {
        let path = self.root.join(file);
        let path = path.canonicalize().map_err(io_at(file))?;
        let within = path
            .strip_prefix(&self.root)
            .is_ok_and(|rest| rest.components().all(|part| part.as_os_str() != ".git"));
        if within { Ok(path) } else { Err(Unusable::Outside { path: file.to_owned() }) }
    }
}

fn text(path: &Path) -> Result<String, Unusable> {
    let no_text = || Unusable::NoText { path: path.to_owned() };
    // What is no file, such as a pipe, may not even be opened in time.
    if !fs::metadata(path).map_err(io_at(path))?.is_file() {
        return Err(no_text());
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(io_at(path))?;
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(io_at(path))?;
    if text.len() as u64 > LONGEST {
        return Err(no_text());
    }
    String::from_utf8(text).map_err(|_| no_text())
}

/// Writes `text` beside `path`, with the rights of what is there.
fn stage(path: &Path, text: &str) -> io::Result<()> {
    let fresh = beside(path);
    // Only what is new here: whoever put a link there would have it followed.
    let mut file = File::options().write(true).create_new(true).open(&fresh)?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts what was staged in place. Should one fail, those before go back to what they were.
fn commit(edits: &[Edit]) -> Result<(), Unusable> {
    for (done, edit) in edits.iter().enumerate() {
        if let Err(error) = put(&edit.path) {
            for edit in &edits[..done] {
                let back = stage(&edit.path, &edit.before).and_then(|()| put(&edit.path));
                back.map_err(io_at(&edit.path))?;
            }
            return Err(io_at(&edit.path)(error));
        }
    }
    Ok(())
}

fn put(path: &Path) -> io::Result<()> {
    fs::rename(beside(path), path)?;
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn clear(path: &Path) -> Result<(), Unusable> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(path)(error)),
        _ => Ok(()),
    }
}

/// A hidden file beside `path`.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tidegate-new");
    path.with_file_name(name)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> Unusable {
    let path = path.to_owned();
    move |source| Unusable::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_one_file_cannot_be_put_in_place_those_before_it_go_back() {
        let directory = tempfile::tempdir().unwrap();
        let edit = |name: &str| {
            let path = directory.path().join(name);
            fs::write(&path, "old").unwrap();
            let [before, after] = ["old", "new"].map(str::to_owned);
            stage(&path, &after).unwrap();
            Edit { path, before, after, file: name.into(), differences: Vec::new() }
        };
        let edits = ["a.yaml", "b.yaml", "c.yaml"].map(edit);
        fs::remove_file(beside(&edits[2].path)).unwrap();
        assert!(matches!(commit(&edits), Err(Unusable::Io { path, .. }) if path.ends_with("c.yaml")));
        for edit in &edits {
            assert_eq!(fs::read_to_string(&edit.path).unwrap(), "old", "{}", edit.file.display());
        }
    }
}
