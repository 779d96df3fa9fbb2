//! The life of a release in a slot: its files, its server, the next server when that one ends.

use std::{convert::Infallible, future::pending, path::PathBuf, sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    berth::Berth,
    blocking,
    book::{Charge, Server},
    linux, log, probe,
    spec::Pace,
};
use crate::{Release, patience::chain};

/// Looks after one release in one slot, until it is told to leave.
pub(super) struct Keeper {
    berth: Arc<Berth>,
    id: u64,
    release: Release,
}

/// How a server ended.
struct End {
    why: String,
    /// Whether it had run well for long enough to forget about earlier ends.
    steady: bool,
}

/// Runs until the slot does not want `charge` any more and nothing is left of it.
pub(super) async fn keep(berth: Arc<Berth>, charge: Charge) {
    let Charge { id, release, mut leave, adopted } = charge;
    let keeper = Keeper { berth, id, release };
    tokio::select! {
        () = told(&mut leave) => {}
        () = keeper.live(adopted) => {}
    }
    // A start that was under way is over once the book can be read, and after that there is none.
    if let Some(server) = keeper.book(Berth::server).await {
        keeper.stop(&server).await;
        keeper.bury(&server).await;
    }
    keeper.book(Berth::leave).await;
}

async fn told(leave: &mut watch::Receiver<bool>) {
    if leave.wait_for(|leaves| *leaves).await.is_err() {
        pending::<()>().await;
    }
}

impl Keeper {
    /// Does something with the slot's book, on behalf of this keeper.
    async fn book<T: Send + 'static>(&self, act: impl FnOnce(&Berth, u64) -> T + Send + 'static) -> T {
        let (berth, id) = (Arc::clone(&self.berth), self.id);
        blocking(move || act(&berth, id)).await
    }

    fn pace(&self) -> &Pace {
        &self.berth.setup.prepared.spec.pace
    }

    /// Keeps a server running. Ends when one has ended that is not to serve any more.
    async fn live(&self, mut adopted: Option<(Server, bool)>) {
        let mut directory = None;
        let mut crashes = 0;
        loop {
            let begun = match adopted.take() {
                Some(adopted) => Ok(adopted),
                None => self.start(&mut directory).await.map(|server| (server, false)),
            };
            let End { why, steady } = match begun {
                Ok((server, ready)) => self.watch(&server, ready).await,
                Err(why) => End { why, steady: false },
            };
            if !self.book(Berth::is_target).await {
                return;
            }
            crashes = if steady { 1 } else { crashes + 1 };
            let slot = self.berth.slot;
            tracing::warn!(%slot, release = %self.release, crashes, why, "a server does not run");
            if crashes >= self.berth.setup.prepared.spec.crashes {
                let why =
                    if crashes == 1 { why } else { format!("{crashes} times in a row, at last: {why}") };
                self.book(move |berth, id| berth.failed(id, why)).await;
                return pending().await;
            }
            sleep(self.pace().before_restart(crashes)).await;
        }
    }

    async fn start(&self, directory: &mut Option<PathBuf>) -> Result<Server, String> {
        let directory = match directory {
            Some(directory) => directory.clone(),
            None => directory.insert(self.fetch().await?).clone(),
        };
        if self.berth.setup.has_fixed_port(self.berth.slot) {
            let mut left = self.berth.left();
            while !self.book(Berth::is_alone).await {
                if left.changed().await.is_err() {
                    break;
                }
            }
        }
        let server = self.book(move |berth, id| berth.start(id, &directory)).await?;
        let (slot, pid) = (self.berth.slot, server.process.identity());
        tracing::info!(%slot, release = %self.release, ?pid, port = server.port, "a server was started");
        Ok(server)
    }

    /// The release's files.
    async fn fetch(&self) -> Result<PathBuf, String> {
        // In a task of its own, so that a panic is a failure like any other.
        let mut task = JoinSet::new();
        task.spawn((self.berth.setup.files)(self.release.clone()));
        let patience = self.pace().files;
        let why = match timeout(patience, task.join_next()).await {
            Ok(Some(Ok(Ok(directory)))) if directory.is_absolute() => return Ok(directory),
            Ok(Some(Ok(Ok(directory)))) => format!("`{}` is no absolute path", directory.display()),
            Ok(Some(Ok(Err(error)))) => log::clean(&chain(&*error)).chars().take(1_000).collect(),
            Ok(_) => "what brings them has panicked".to_owned(),
            Err(_) => format!("not within {}", humantime::format_duration(patience)),
        };
        Err(format!("its files did not come: {why}"))
    }

    /// Watches `server` until it has ended, or has to.
    async fn watch(&self, server: &Server, ready: bool) -> End {
        let mut since = None;
        let serve = async {
            let becoming = if ready { Ok(()) } else { self.becomes_ready(server).await };
            if let Err(why) = becoming {
                return why;
            }
            since = Some(Instant::now());
            if !ready {
                self.book(Berth::ready).await;
            }
            pending().await
        };
        let unready = tokio::select! {
            () = self.end(server) => None,
            why = serve => Some(why),
        };
        if unready.is_some() {
            self.stop(server).await;
        }
        let steady = since.is_some_and(|since| since.elapsed() >= self.pace().steady);
        let how = self.bury(server).await;
        let why = unready.unwrap_or(how);
        let (berth, start) = (Arc::clone(&self.berth), server.start);
        let tail = blocking(move || {
            let setup = &berth.setup;
            log::tail(&setup.room.log(berth.slot, start), setup.prepared.secrets())
        });
        let why = match tail.await {
            tail if tail.is_empty() => format!("{why}, and had printed nothing"),
            tail => format!("{why}; its last lines were:\n{tail}"),
        };
        End { why, steady }
    }

    async fn becomes_ready(&self, server: &Server) -> Result<(), String> {
        let Pace { start, answer, pause, settle, .. } = *self.pace();
        let client = &self.berth.setup.client;
        let mut why = "nothing was heard of it".to_owned();
        let ready = async {
            probe::until_ready(client, &server.ready, answer, pause, &mut why).await;
            if settle > Duration::ZERO {
                sleep(settle).await;
                probe::until_ready(client, &server.ready, answer, pause, &mut why).await;
            }
        };
        match timeout(start, ready).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("it was not ready within {}: {why}", humantime::format_duration(start))),
        }
    }

    /// Returns once the process of `server` has ended; until then its log stays small.
    async fn end(&self, server: &Server) {
        let setup = &self.berth.setup;
        let log = setup.room.log(self.berth.slot, server.start);
        let never: Infallible = tokio::select! {
            () = server.process.ended() => return,
            never = log::tend(log, setup.prepared.spec.log_bytes) => never,
        };
        match never {}
    }

    /// Makes `server` end: kindly, then not.
    async fn stop(&self, server: &Server) {
        let tell = async |signal| {
            let process = Arc::clone(&server.process);
            blocking(move || process.tell_group(signal)).await;
        };
        tell(Signal::TERM).await;
        if timeout(self.pace().stop, self.end(server)).await.is_err() {
            tracing::warn!(slot = %self.berth.slot, "a server does not end by itself and is killed");
            tell(Signal::KILL).await;
            // One that is in the hands of the kernel may take its time, and runs for as long.
            self.end(server).await;
        }
    }

    /// Clears away what is left of a `server` that has ended, and says how it did.
    async fn bury(&self, server: &Server) -> String {
        let process = Arc::clone(&server.process);
        let how = blocking(move || process.bury()).await;
        linux::sweep(&self.berth.setup.room.mark(self.berth.slot, server.start)).await;
        self.book(Berth::ended).await;
        how
    }
}
