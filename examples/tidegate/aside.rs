//! Work that computes for long, or waits for standard input.

use std::thread;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;

/// Does `work` on a thread of its own, so that Ctrl-C is heard meanwhile. Then it is not waited for.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().spawn(move || drop(done.send(work()))).context("cannot start a thread")?;
    result.await.context("the work was given up")?
}
