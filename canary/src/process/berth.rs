//! The book of one slot: what is to run there, what does, and whom it serves. Everything here blocks, for as
//! long as a small file takes to be written, and is done as a whole or not at all.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    book::{Book, Charge, Entry, Phase, Server},
    linux::{self, Process},
    room::{Record, Started, Unusable},
    setup::Setup,
    template::Filling,
};
use crate::{ActuatorError, BoxError, Fence, Release, Slot, memory::lock};

/// How many servers of a slot may be on their way out before no more are started.
const MOST_LEAVING: usize = 8;

/// A slot.
pub(super) struct Berth {
    pub(super) setup: Arc<Setup>,
    pub(super) slot: Slot,
    book: Mutex<Book>,
    /// Where the slot is served. Read without the book, which is closed while it is written to disk.
    address: watch::Sender<Option<SocketAddr>>,
    /// That a keeper has left.
    left: watch::Sender<()>,
}

/// What is known of a slot without asking its server.
#[derive(Clone, Debug)]
pub(super) enum View {
    Absent,
    Failed { release: Release, why: String },
    Ready { id: u64, release: Release, server: Server },
    Starting { release: Release },
}

impl Berth {
    /// The slot as the last supervisor left it, what its keepers are to begin with, and the numbers of starts
    /// of which there may be remains.
    pub(super) fn recover(setup: &Arc<Setup>, slot: Slot) -> Result<(Self, Vec<Charge>, Vec<u64>), Unusable> {
        let room = &setup.room;
        let mut book =
            Book { record: room.read(slot)?, entries: Vec::new(), ids: 0, serving: None, closed: false };
        let (mut charges, mut lost) = (Vec::new(), Vec::new());
        for mut started in std::mem::take(&mut book.record.servers) {
            if started.process.is_none() {
                started.process = linux::leader(&room.mark(slot, started.start), room.boot());
            }
            let process = match &started.process {
                Some(identity) => Process::find(identity, room.boot())
                    .map_err(|source| Unusable::Io { path: "/proc".into(), source })?,
                None => None,
            };
            let Some(process) = process else {
                lost.push(started.start);
                continue;
            };
            let Started { start, port, ready: was_ready, .. } = started;
            let filling = Filling { port, slot, release: &started.release, directory: Path::new("/") };
            let Some(ready) = setup.prepared.ready(&filling) else {
                return Err(Unusable::Garbled { path: room.directory().to_owned(), source: None });
            };
            lock(&setup.ports).insert(port);
            let server = Server { start, port, ready, process: Arc::new(process) };
            charges.push(book.enter(started.release.clone(), Some((server, was_ready))));
            book.record.servers.push(started);
        }
        if book.record.wanted.is_some() && book.target().is_none() {
            let wanted = book.record.wanted.clone();
            charges.extend(wanted.map(|release| book.enter(release, None)));
        }
        // The predecessor of a target that is not ready yet goes on serving, except where both need one port.
        if !setup.has_fixed_port(slot) {
            let target = book.target().map(|entry| entry.id);
            let ready = |entry: &&Entry| matches!(entry.phase, Phase::Ready) && Some(entry.id) != target;
            book.serving = book.entries.iter().rev().find(ready).map(|entry| entry.id);
        }
        book.settle();
        let address = watch::Sender::new(None);
        let berth = Self {
            setup: Arc::clone(setup),
            slot,
            book: Mutex::new(book),
            address,
            left: watch::Sender::new(()),
        };
        let mut book = lock(&berth.book);
        berth
            .write(&mut book, |_| {})
            .map_err(|source| Unusable::Io { path: room.directory().to_owned(), source })?;
        berth.show(&book);
        drop(book);
        Ok((berth, charges, lost))
    }

    /// Where the slot is served.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        *self.address.borrow()
    }

    pub(super) fn fence(&self) -> Option<Fence> {
        lock(&self.book).record.fence
    }

    pub(super) fn view(&self) -> View {
        let book = lock(&self.book);
        let wanted = book.record.wanted.as_ref().filter(|_| !book.closed);
        let Some(release) = wanted.cloned() else {
            return match book.entries.last() {
                Some(entry) => {
                    View::Failed { release: entry.release.clone(), why: "it is being stopped".to_owned() }
                }
                None => View::Absent,
            };
        };
        match book.target() {
            Some(Entry { phase: Phase::Failed(why), .. }) => View::Failed { release, why: why.clone() },
            Some(Entry { id, phase: Phase::Ready, server: Some(server), .. }) => {
                View::Ready { id: *id, release, server: server.clone() }
            }
            _ => View::Starting { release },
        }
    }

    /// Makes `release` what is to run; the charge is for the keeper that this takes, if it takes one.
    pub(super) fn ensure(&self, release: &Release, fence: Fence) -> Result<Option<Charge>, ActuatorError> {
        let mut book = lock(&self.book);
        if book.closed {
            return Err(self.refused("it was shut down; open its state directory again"));
        }
        let runs = |entry: &Entry| {
            !entry.is_leaving() && entry.release == *release && !matches!(entry.phase, Phase::Failed(_))
        };
        let needs_one = !book.entries.iter().any(runs);
        if needs_one && book.entries.iter().filter(|entry| entry.is_leaving()).count() >= MOST_LEAVING {
            return Err(self.unavailable("too many servers are still on their way out; call again later"));
        }
        if (book.record.fence, book.record.wanted.as_ref()) != (Some(fence), Some(release)) {
            self.note(&mut book, fence, Some(release.clone()))?;
        }
        let charge = needs_one.then(|| book.enter(release.clone(), None));
        book.settle();
        self.show(&book);
        Ok(charge)
    }

    /// Makes nothing what is to run.
    pub(super) fn remove(&self, fence: Fence) -> Result<(), ActuatorError> {
        let mut book = lock(&self.book);
        if (book.record.fence, book.record.wanted.as_ref()) != (Some(fence), None) {
            self.note(&mut book, fence, None)?;
        }
        book.settle();
        Ok(())
    }

    /// Stops what runs. It stays what is to run, for the next supervisor.
    pub(super) fn close(&self) {
        let mut book = lock(&self.book);
        book.closed = true;
        for entry in &book.entries {
            entry.leave();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.book).entries.is_empty()
    }

    /// A receiver of what `is_empty` and `is_alone` may have changed by.
    pub(super) fn left(&self) -> watch::Receiver<()> {
        self.left.subscribe()
    }

    /// For keeper `id` to have the slot for itself, the others go, unless it is to go itself. Whether it has.
    pub(super) fn is_alone(&self, id: u64) -> bool {
        let book = lock(&self.book);
        // The question may be late: whoever asked may have been told to leave, or have left.
        if !book.entries.iter().any(|entry| entry.id == id && !entry.is_leaving()) {
            return false;
        }
        for entry in book.entries.iter().filter(|entry| entry.id != id) {
            entry.leave();
        }
        book.entries.iter().all(|entry| entry.id == id)
    }

    pub(super) fn is_target(&self, id: u64) -> bool {
        lock(&self.book).target().is_some_and(|entry| entry.id == id)
    }

    pub(super) fn server(&self, id: u64) -> Option<Server> {
        lock(&self.book).entry(id).and_then(|entry| entry.server.clone())
    }

    /// Starts a server for keeper `id` on the files in `directory`.
    pub(super) fn start(&self, id: u64, directory: &Path) -> Result<Server, String> {
        let mut book = lock(&self.book);
        let Some(release) = book.entry(id).filter(|entry| !entry.is_leaving()).map(|e| e.release.clone())
        else {
            return Err("it is not wanted any more".to_owned());
        };
        let start = book.record.starts + 1;
        let port = self.setup.reserve(self.slot, start)?;
        let filling = Filling { port, slot: self.slot, release: &release, directory };
        // Written down before there is a process, so that one that we are killed over is found by its mark.
        let intent = Started { start, release: release.clone(), port, ready: false, process: None };
        let noted = self.write(&mut book, |record| {
            record.starts = start;
            record.servers.push(intent);
        });
        let begun = match noted {
            Ok(()) => self.setup.spawn(&filling, start),
            Err(error) => Err(format!("its start cannot be written down: {error}")),
        };
        let server = match begun {
            Ok(server) => server,
            Err(why) => {
                self.forget(&mut book, start, port);
                return Err(why);
            }
        };
        let identity = server.process.identity().clone();
        let noted = self.write(&mut book, |record| {
            if let Some(started) = record.servers.iter_mut().find(|s| s.start == start) {
                started.process = Some(identity);
            }
        });
        if let Err(error) = noted {
            tracing::warn!(slot = %self.slot, %error, "the process of a server is found by its mark alone");
        }
        if let Some(entry) = book.entry(id) {
            entry.server = Some(server.clone());
        }
        Ok(server)
    }

    /// The server of keeper `id` takes requests.
    pub(super) fn ready(&self, id: u64) {
        let mut book = lock(&self.book);
        let Some(entry) = book.entry(id).filter(|entry| !entry.is_leaving()) else { return };
        entry.phase = Phase::Ready;
        let start = entry.server.as_ref().map(|server| server.start);
        let noted = self.write(&mut book, |record| {
            if let Some(started) = record.servers.iter_mut().find(|s| Some(s.start) == start) {
                started.ready = true;
            }
        });
        if let Err(error) = noted {
            tracing::warn!(slot = %self.slot, %error, "cannot write down that a server is ready");
        }
        book.settle();
        self.show(&book);
    }

    /// The server of keeper `id` has ended, with everything it started.
    pub(super) fn ended(&self, id: u64) {
        let mut book = lock(&self.book);
        let Some(entry) = book.entry(id) else { return };
        entry.phase = Phase::Starting;
        if let Some(server) = entry.server.take() {
            self.forget(&mut book, server.start, server.port);
        }
        if book.serving == Some(id) {
            book.serving = None;
        }
        self.show(&book);
    }

    /// Keeper `id` has given up.
    pub(super) fn failed(&self, id: u64, why: String) {
        if let Some(entry) = lock(&self.book).entry(id) {
            entry.phase = Phase::Failed(why);
        }
    }

    /// Keeper `id` has nothing left to look after.
    pub(super) fn leave(&self, id: u64) {
        lock(&self.book).entries.retain(|entry| entry.id != id);
        self.left.send_replace(());
    }

    fn show(&self, book: &Book) {
        let serving = book.entries.iter().find(|entry| Some(entry.id) == book.serving);
        let address = serving.and_then(Entry::address);
        self.address.send_if_modified(|shown| std::mem::replace(shown, address) != address);
    }

    fn note(&self, book: &mut Book, fence: Fence, wanted: Option<Release>) -> Result<(), ActuatorError> {
        self.write(book, |record| {
            record.fence = Some(fence);
            record.wanted = wanted;
        })
        .map_err(|error| self.unavailable(format!("it cannot be written down what is to run: {error}")))
    }

    fn forget(&self, book: &mut Book, start: u64, port: u16) {
        lock(&self.setup.ports).remove(&port);
        if let Err(error) = self.write(book, |record| record.servers.retain(|s| s.start != start)) {
            // Whoever reads it finds that no such process lives.
            tracing::warn!(slot = %self.slot, %error, "cannot write down that a server has ended");
        }
    }

    fn write(&self, book: &mut Book, change: impl FnOnce(&mut Record)) -> std::io::Result<()> {
        let mut next = book.record.clone();
        change(&mut next);
        self.setup.room.write(self.slot, &next)?;
        book.record = next;
        Ok(())
    }

    fn refused(&self, source: impl Into<BoxError>) -> ActuatorError {
        ActuatorError::Refused { target: self.to_string(), source: source.into() }
    }

    fn unavailable(&self, source: impl Into<BoxError>) -> ActuatorError {
        ActuatorError::Unavailable { target: self.to_string(), source: source.into() }
    }
}

impl std::fmt::Display for Berth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} slot in `{}`", self.slot, self.setup.room.directory().display())
    }
}
