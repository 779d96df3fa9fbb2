//! The file of a map, from which HAProxy fills it when it starts.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::io::AsyncWriteExt;

use super::{entries::Entries, failure::Failure};

/// Text that is to become a file, lying beside it already.
#[derive(Debug)]
pub(super) struct Draft {
    beside: PathBuf,
    target: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("the file {} cannot be written; create its directory and let this program's user write there", .path.display())]
struct Unwritten {
    path: PathBuf,
    source: io::Error,
}

impl Draft {
    /// Writes down `entries`, which are to become the file `target`; `None` if they are its text already.
    pub(super) async fn new(target: &Path, entries: &Entries) -> Result<Option<Self>, Failure> {
        let text: String = entries.lines().map(|line| line + "\n").collect();
        let unwritten = |source| unwritten(target, source);
        if is_text_of(target, text.as_bytes()).await {
            return Ok(None);
        }
        let mut name = target.file_name().map(ToOwned::to_owned).unwrap_or_default();
        // Drivers in other processes write drafts of their own.
        name.push(format!(".{}", std::process::id()));
        let beside = target.with_file_name(name);
        let mut file = tokio::fs::File::create(&beside).await.map_err(unwritten)?;
        file.write_all(text.as_bytes()).await.map_err(unwritten)?;
        file.sync_all().await.map_err(unwritten)?;
        Ok(Some(Self { beside, target: target.to_owned() }))
    }

    /// Makes it the file, whole.
    pub(super) async fn keep(self) -> Result<(), Failure> {
        tokio::fs::rename(&self.beside, &self.target).await.map_err(|source| unwritten(&self.target, source))
    }

    /// Leaves the file as it is.
    pub(super) async fn discard(self) {
        // It is in nobody's way if it stays.
        let _gone = tokio::fs::remove_file(&self.beside).await;
    }
}

async fn is_text_of(path: &Path, text: &[u8]) -> bool {
    let length = tokio::fs::metadata(path).await.map(|metadata| metadata.len()).ok();
    // A file of another length is not even read: it may be of any.
    length == Some(text.len() as u64) && tokio::fs::read(path).await.is_ok_and(|found| found == text)
}

fn unwritten(path: &Path, source: io::Error) -> Failure {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    let for_good = matches!(
        source.kind(),
        IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem
    );
    let unwritten = Unwritten { path: path.to_owned(), source };
    if for_good { Failure::never(unwritten) } else { Failure::later(unwritten) }
}
