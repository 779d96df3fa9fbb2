//! A server process for each slot, on this machine (Linux).
//!
//! [`LocalProcesses`] is a [`Deployer`] that starts model servers, waits until they are ready, restarts them
//! when they end, and stops them. With [`EmbeddedRouter`](crate::EmbeddedRouter) in front of it, one machine
//! does whole canaries.
//!
//! # When the supervisor ends
//!
//! Servers carry traffic, so they outlive it: whether it is dropped, returns or is killed, they go on. What it
//! has started it has written down in its state directory, before and after each start, so that whoever opens
//! the directory next adopts what runs, starts what should run and does not, and stops what should not. A
//! process is told from another of the same number by when it began. Only [`LocalProcesses::shut_down`]
//! stops the servers. Whatever runs the supervisor has to leave its children alone as well; systemd does with
//! `KillMode=process`.
//!
//! # The state directory
//!
//! `SLOT.json` says what is to run in a slot, the fence, and what was started; `logs/SLOT-N.log` is what start
//! number N has printed, and `logs/SLOT-N.log.1` what it had printed before. `lock` is held while a supervisor
//! lives: there is one at a time, and a second one is told so. All of it is readable to this user alone.
//!
//! # What a server has to do
//!
//! * Listen on `{port}` of 127.0.0.1, and answer [`ServerSpec::ready`] once it can take requests.
//! * On `SIGTERM`, finish what it is doing and end within [`Pace::stop`]. Its children end with it: when the
//!   process that was started has ended, whatever is left in its process group or bears its mark (the
//!   environment variable `TIDEGATE_SERVER`, which children inherit) is killed.
//! * Bear that what it prints goes to a file that is cut: it is opened for appending.
//!
//! # Limits
//!
//! It takes Linux 5.4 or later with `/proc`; elsewhere this module does not exist. A server that hangs is not
//! restarted, but [`status`](Deployer::status) stops calling it ready. Free ports are looked for from 10 000 up
//! to those that the system gives to connections; should another program listen there before the server does,
//! the server ends, and is started on another one. Who answers on the port of a living server is taken to be
//! that server. Nobody cuts logs while there is no supervisor.

#![cfg(target_os = "linux")]

mod berth;
mod book;
mod keeper;
mod linux;
mod log;
mod probe;
mod program;
mod room;
mod setup;
mod spec;
mod template;

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::future::join_all;
use reqwest::Client;
use tokio::task::JoinSet;

pub use self::spec::{Command, Pace, ServerSpec};
use self::{
    berth::{Berth, View},
    book::Charge,
    room::{Room, Unusable},
    setup::Setup,
};
use crate::{
    ActuatorError, BoxError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload,
    memory::{admit, lock},
};

/// Runs each slot's release as a process on this machine. Clones share everything.
///
/// ```no_run
/// use std::path::Path;
///
/// use tidegate_canary::{
///     Deployer, Fence, LocalProcesses, Readiness, Release, Slot, Weight, Workload,
///     process::{Command, ServerSpec},
/// };
/// use tidegate_registry::{ModelStoreExt, ObjectBacked, Seq};
///
/// # async fn run(registry: ObjectBacked, client: reqwest::Client, release: Release) -> Result<(), Box<dyn std::error::Error>> {
/// let command = Command::new("llama-server")
///     .with_args(["--model", "{directory}/model.gguf", "--port", "{port}", "--threads", "1"]);
/// let spec = ServerSpec::new(command, "http://127.0.0.1:{port}/health");
/// let files = move |release: Release| {
///     let registry = registry.clone();
///     async move {
///         let directory = Path::new("/var/lib/models").join(release.model.to_string());
///         registry.download(&release.model, &directory, &()).await?;
///         Ok(directory)
///     }
/// };
/// let servers = LocalProcesses::open("/var/lib/tidegate/fraud", spec, client, files).await?;
/// // On a new machine, with what is in production; a rollout's fences are at least as high as this one.
/// if servers.status(Slot::Stable).await? == Readiness::Absent {
///     let stable = Workload { slot: Slot::Stable, release, share: Weight::FULL };
///     servers.ensure(&stable, Fence::new(Seq::FIRST)).await?;
/// }
/// // A gateway sends requests of a slot there.
/// let address = servers.address(Slot::Stable);
/// # Ok(())
/// # }
/// ```
///
/// # Replacing a release
///
/// The new server is started beside the old one, which goes on serving at [`address`](Self::address) until the
/// new one is ready; then the address changes and the old one is stopped. So the machine must be able to carry
/// both for a while. If the new one fails, the old one goes on, and to ensure it again is to go back at once.
/// A slot with a port of its own ([`ServerSpec::ports`]) cannot have two servers: there the old one is stopped
/// when the files of the new one have come, and nobody serves in between.
///
/// # Failing
///
/// A server that ends is started again, after a pause that doubles each time. After
/// [`ServerSpec::crashes`] ends in a row the slot has [failed](Readiness::Failed), with how the last one ended
/// and the last lines that it printed. The same goes for files that do not come and for servers that are not
/// ready in time. To ensure the release once more is to try again from the beginning.
///
/// A slot runs one process, whatever [`Workload::share`] it is to carry.
#[derive(Clone)]
pub struct LocalProcesses {
    inner: Arc<Inner>,
}

struct Inner {
    setup: Arc<Setup>,
    berths: [Arc<Berth>; 3],
    /// The highest fence that was seen.
    fence: Mutex<Option<Fence>>,
    /// The keepers. They end with this; their servers do not.
    keepers: Mutex<JoinSet<()>>,
}

impl LocalProcesses {
    /// Takes the state directory, which is made if there is none, and goes on with what it says: adopts the
    /// servers that still run, starts those that should, stops those that should not.
    ///
    /// `client` asks whether servers are ready; it must reach 127.0.0.1 without a proxy. `files` brings a
    /// release's files to this machine, if they are not there yet, and answers with the absolute path of their
    /// directory. It is called before a server's first start, again when it has failed, and its future is
    /// dropped when the release is not wanted any more or [`Pace::files`] is over. It should check the digest,
    /// as a download from a registry does. Servers that were adopted need no files until they are restarted; a
    /// changed `spec`, too, is for what is started from now on.
    ///
    /// # Errors
    ///
    /// [`ActuatorError::Unavailable`] while another supervisor uses the directory;
    /// [`ActuatorError::Refused`] when the spec is not valid or the directory cannot be used.
    pub async fn open<F>(
        directory: impl Into<PathBuf>,
        spec: ServerSpec,
        client: Client,
        files: impl Fn(Release) -> F + Send + Sync + 'static,
    ) -> Result<Self, ActuatorError>
    where
        F: Future<Output = Result<PathBuf, BoxError>> + Send + 'static,
    {
        let directory = directory.into();
        let target = format!("the supervisor of local processes in `{}`", directory.display());
        let refused = |source: BoxError| ActuatorError::Refused { target: target.clone(), source };
        let prepared = spec.prepare().map_err(|invalid| refused(invalid.into()))?;
        let opened = blocking(move || {
            let room = Room::take(&directory)?;
            let files: setup::Files = Box::new(move |release| Box::pin(files(release)));
            let ports = Mutex::new(BTreeSet::new());
            let setup = Arc::new(Setup { room, prepared, client, files, ports });
            let recover = |slot| Berth::recover(&setup, slot);
            let found = [recover(Slot::Stable)?, recover(Slot::Baseline)?, recover(Slot::Candidate)?];
            Ok::<_, Unusable>((Arc::clone(&setup), found))
        });
        let (setup, found) = opened.await.map_err(|unusable| match unusable {
            Unusable::Taken { .. } => {
                ActuatorError::Unavailable { target: target.clone(), source: unusable.into() }
            }
            unusable => refused(unusable.into()),
        })?;
        let mut keepers = Vec::new();
        let mut fence = None;
        for (berth, _, lost) in &found {
            fence = fence.max(berth.fence());
            for start in lost {
                linux::sweep(&setup.room.mark(berth.slot, *start)).await;
            }
        }
        let berths = found.map(|(berth, charges, _)| {
            let berth = Arc::new(berth);
            keepers.extend(charges.into_iter().map(|charge| (Arc::clone(&berth), charge)));
            berth
        });
        let inner = Inner { setup, berths, fence: Mutex::new(fence), keepers: Mutex::default() };
        for (berth, charge) in keepers {
            inner.keep(&berth, charge);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where `slot` is served: by the release that [`status`](Deployer::status) calls ready, or by its
    /// predecessor as long as there is one and that is not ready. `None` when nothing was ready yet, or has
    /// ended since.
    #[must_use]
    pub fn address(&self, slot: Slot) -> Option<SocketAddr> {
        self.inner.berth(slot).address()
    }

    /// Stops all servers and returns once they have ended; from now on nothing can be ensured. What was to run
    /// stays written down: opening the state directory again starts it. To have it gone for good, use
    /// [`remove`](Deployer::remove).
    pub async fn shut_down(&self) {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.berths.iter().for_each(|berth| berth.close())).await;
        join_all(self.inner.berths.iter().map(async |berth| {
            let mut left = berth.left();
            while !self.inner.ask(berth.slot, Berth::is_empty).await {
                if left.changed().await.is_err() {
                    break;
                }
            }
        }))
        .await;
    }

    /// Does `act` if no later fence was seen, as a whole, even if the caller does not wait for it.
    async fn fenced(
        &self,
        fence: Fence,
        act: impl FnOnce(&Inner) -> Result<(), ActuatorError> + Send + 'static,
    ) -> Result<(), ActuatorError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut held = lock(&inner.fence);
            admit(&mut held, fence)?;
            act(&inner)
        })
        .await
    }
}

impl Inner {
    fn berth(&self, slot: Slot) -> &Arc<Berth> {
        match slot {
            Slot::Stable => &self.berths[0],
            Slot::Baseline => &self.berths[1],
            Slot::Candidate => &self.berths[2],
        }
    }

    async fn ask<T: Send + 'static>(&self, slot: Slot, ask: impl FnOnce(&Berth) -> T + Send + 'static) -> T {
        let berth = Arc::clone(self.berth(slot));
        blocking(move || ask(&berth)).await
    }

    fn keep(&self, berth: &Arc<Berth>, charge: Charge) {
        let mut keepers = lock(&self.keepers);
        while keepers.try_join_next().is_some() {}
        keepers.spawn(keeper::keep(Arc::clone(berth), charge));
    }
}

#[async_trait]
impl Deployer for LocalProcesses {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let (slot, release) = (workload.slot, workload.release.clone());
        self.fenced(fence, move |inner| {
            let berth = inner.berth(slot);
            if let Some(charge) = berth.ensure(&release, fence)? {
                inner.keep(berth, charge);
            }
            Ok(())
        })
        .await
    }

    /// Whether the program is there and may be executed. Files are not fetched for it.
    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        let (setup, wanted) = (Arc::clone(&self.inner.setup), workload.clone());
        let tried = blocking(move || setup.prepared.rehearse(&wanted));
        let target = || self.inner.berth(workload.slot).to_string();
        tried.await.map_err(|why| ActuatorError::Refused { target: target(), source: why.into() })
    }

    /// Asks the server itself: whoever does not answer now is not ready.
    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let (asked, asking, server) = match self.inner.ask(slot, Berth::view).await {
            View::Absent => return Ok(Readiness::Absent),
            View::Failed { release, why } => return Ok(Readiness::Failed { release, why }),
            View::Starting { release } => return Ok(Readiness::Starting { release }),
            View::Ready { id, release, server } => (id, release, server),
        };
        let Setup { client, prepared, .. } = &*self.inner.setup;
        let answer = probe::ask(client, &server.ready, prepared.spec.pace.answer).await;
        // It may have been replaced or have ended meanwhile, and somebody else have answered on its port.
        Ok(match self.inner.ask(slot, Berth::view).await {
            View::Ready { id, release, server: now }
                if answer.is_ok()
                    && (id, now.start) == (asked, server.start)
                    && now.process.identity().is_alive() =>
            {
                Readiness::Ready { release }
            }
            _ => Readiness::Starting { release: asking },
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.fenced(fence, move |inner| inner.berth(slot).remove(fence)).await
    }
}

impl fmt::Debug for LocalProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProcesses")
            .field("directory", &self.inner.setup.room.directory())
            .field("spec", &self.inner.setup.prepared.spec)
            .finish_non_exhaustive()
    }
}

/// Does what blocks on a thread for that. Once begun it is done, even if nobody waits for it.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and everybody in it.
            Err(_) => std::future::pending().await,
        },
    }
}
