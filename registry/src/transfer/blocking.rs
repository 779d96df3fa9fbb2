//! Work that would hold up an asynchronous runtime: hashing, and files.

use std::{io, path::Path};

use tokio::task::JoinHandle;

use crate::{Error, Result};

/// Runs `work` on a thread that may block. It runs to its end, also when this future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// Waits for a task that nobody aborts.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(
            error.try_into_panic().expect("a task is cancelled only when the runtime itself ends"),
        ),
    }
}

/// Names the action and the path of a failed call of the file system.
pub(crate) fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Local { action, path: path.to_owned(), source }
}

/// Makes the names in `directory` durable. Only Unix can, and needs to.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    if cfg!(unix) {
        let opened = std::fs::File::open(directory).map_err(local("open", directory))?;
        opened.sync_all().map_err(local("sync", directory))?;
    }
    Ok(())
}
