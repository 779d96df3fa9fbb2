//! Ctrl-C and SIGTERM: what is going on is cancelled, takes its leavings away, and then it is over.

use std::{future::Future, io, time::Duration};

use anyhow::{Context as _, Result};
use tokio::runtime::{Handle, Runtime};

use crate::failure::Failure;

/// How long cancelled work may clean up after itself.
const CLEANUP: Duration = Duration::from_secs(5);

/// Does `work` to its end, or cancels it when somebody asks the program to end. A second request ends
/// the cleaning up as well.
pub(crate) fn run<T>(runtime: Runtime, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut patience = CLEANUP;
    let done = runtime.block_on(async {
        let mut requests = Requests::listen().context("cannot listen for Ctrl-C")?;
        tokio::select! {
            done = work => return done,
            () = requests.next() => {}
        }
        tokio::select! {
            _ = tokio::time::timeout(CLEANUP, quiet()) => {}
            () = requests.next() => patience = Duration::ZERO,
        }
        Err(Failure::Interrupted.into())
    });
    // What is on a thread of its own, such as a write, is not waited for without end.
    runtime.shutdown_timeout(patience);
    done
}

/// Waits until no task is left.
async fn quiet() {
    let tasks = Handle::current().metrics();
    while tasks.num_alive_tasks() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(unix)]
struct Requests {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Requests {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Requests(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Requests {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
