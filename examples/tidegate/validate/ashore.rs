//! Records whose last copy did not get into their bucket, found again by the same command on this machine.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use tidegate::registry::Digest;

use crate::{bucket::Bucket, pace};

/// Where the record of one URL is kept: in the user's state directory, `~/.local/state/tidegate` on Linux.
#[derive(Debug)]
pub(super) struct Ashore {
    directory: PathBuf,
    name: String,
}

impl Ashore {
    /// Nothing is kept without a home. Other users may write to directories for temporary files, and what is found there
    /// might be made up.
    pub(super) fn of(bucket: &Bucket) -> Option<Self> {
        let name = Digest::of(bucket.identity()).hex()[..16].to_owned();
        Some(Self { directory: pace::kept("records")?, name })
    }

    /// Has `path`, which holds what is in the bucket or is not there, hold what was kept, if that goes on from it; says
    /// where that is.
    pub(super) fn go_on(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let kept = self.record();
        if !goes_on(&kept, path)? {
            return Ok(None);
        }
        fs::copy(&kept, path)?;
        Ok(Some(kept))
    }

    /// Keeps the record at `path`; says where it is now, and where a report beside it belongs.
    pub(super) fn keep(&self, path: &Path) -> io::Result<(PathBuf, PathBuf)> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            // What a model was asked and said is nobody else's.
            builder.mode(0o700);
        }
        builder.create(&self.directory)?;
        // Whoever looks for it finds all of it or nothing.
        let mut kept = NamedTempFile::new_in(&self.directory)?;
        io::copy(&mut File::open(path)?, &mut kept)?;
        kept.as_file().sync_all()?;
        kept.persist(self.record()).map_err(|error| error.error)?;
        Ok((self.record(), self.report()))
    }

    /// Keeps it no more: it is where it belongs.
    pub(super) fn clear(&self) {
        for path in [self.record(), self.report()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(%error, "a record that is in its bucket stays on this machine, too");
                }
                _ => {}
            }
        }
    }

    fn record(&self) -> PathBuf {
        self.directory.join(format!("{}.jsonl", self.name))
    }

    fn report(&self) -> PathBuf {
        self.directory.join(format!("{}.report.json", self.name))
    }
}

/// Whether `longer` is there and holds all of `shorter`, which is empty if it is not there, and more after it.
fn goes_on(longer: &Path, shorter: &Path) -> io::Result<bool> {
    let Some(longer) = there(longer)? else { return Ok(false) };
    let Some(shorter) = there(shorter)? else { return Ok(true) };
    let (more, less) = (longer.metadata()?.len(), shorter.metadata()?.len());
    if more <= less {
        return Ok(false);
    }
    for (one, other) in BufReader::new(longer).bytes().zip(BufReader::new(shorter).bytes()) {
        if one? != other? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_all_that_is_in_the_bucket_and_more_is_gone_on_from() {
        let directory = tempfile::tempdir().unwrap();
        let (kept, fetched) = (directory.path().join("kept"), directory.path().join("fetched"));
        let of = |there: Option<&str>| {
            drop(fs::remove_file(&fetched));
            there.into_iter().for_each(|text| fs::write(&fetched, text).unwrap());
            goes_on(&kept, &fetched).unwrap()
        };
        assert!(!of(None) && !of(Some("a\n")), "nothing is kept");
        fs::write(&kept, "a\nb\n").unwrap();
        assert!(of(None) && of(Some("")) && of(Some("a\n")));
        assert!(!of(Some("a\nb\n")), "it is the same");
        assert!(!of(Some("a\nc\n")) && !of(Some("b\n")), "it is another run's");
        assert!(!of(Some("a\nb\nc\n")), "another machine went on");
    }
}
