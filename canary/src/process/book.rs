//! Who is in a slot: the entries of its book, and who of them serves.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use reqwest::Url;
use tokio::sync::watch;

use super::{linux::Process, room::Record};
use crate::Release;

/// The book of one slot.
pub(super) struct Book {
    pub(super) record: Record,
    pub(super) entries: Vec<Entry>,
    pub(super) ids: u64,
    pub(super) serving: Option<u64>,
    pub(super) closed: bool,
}

/// What one keeper looks after.
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) release: Release,
    pub(super) leaving: watch::Sender<bool>,
    pub(super) phase: Phase,
    pub(super) server: Option<Server>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Failed(String),
    Ready,
    Starting,
}

/// A server that runs.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) start: u64,
    pub(super) port: u16,
    pub(super) ready: Url,
    pub(super) process: Arc<Process>,
}

/// What a new keeper begins with.
pub(super) struct Charge {
    pub(super) id: u64,
    pub(super) release: Release,
    pub(super) leave: watch::Receiver<bool>,
    /// A server that runs already, and whether it was ready once.
    pub(super) adopted: Option<(Server, bool)>,
}

impl Entry {
    pub(super) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    pub(super) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| SocketAddr::from((Ipv4Addr::LOCALHOST, server.port)))
    }
}

impl Book {
    pub(super) fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    pub(super) fn enter(&mut self, release: Release, adopted: Option<(Server, bool)>) -> Charge {
        self.ids += 1;
        let (leaving, leave) = watch::channel(false);
        let phase = if matches!(adopted, Some((_, true))) { Phase::Ready } else { Phase::Starting };
        let server = adopted.as_ref().map(|(server, _)| server.clone());
        self.entries.push(Entry { id: self.ids, release: release.clone(), leaving, phase, server });
        Charge { id: self.ids, release, leave, adopted }
    }

    /// The one that is to serve.
    pub(super) fn target(&self) -> Option<&Entry> {
        let wanted = self.record.wanted.as_ref()?;
        self.entries.iter().rev().find(|entry| !entry.is_leaving() && entry.release == *wanted)
    }

    /// Lets the target serve if it is ready, and whoever is not needed any more go. Until it is ready, its
    /// predecessor serves.
    pub(super) fn settle(&mut self) {
        let target = self.target().map(|entry| (entry.id, matches!(entry.phase, Phase::Ready)));
        if let Some((id, true)) = target {
            self.serving = Some(id);
        }
        for entry in &self.entries {
            let stays = target.is_some_and(|(id, _)| entry.id == id || self.serving == Some(entry.id));
            if !stays {
                entry.leave();
            }
        }
    }
}
