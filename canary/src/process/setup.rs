//! What the slots of a supervisor share.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use futures::future::BoxFuture;
use reqwest::Client;

use super::{
    book::Server,
    linux::{MARK, Process},
    log,
    room::Room,
    spec::Prepared,
    template::Filling,
};
use crate::{BoxError, Release, Slot, memory::lock};

/// Brings a release's files and says where they are.
pub(super) type Files = Box<dyn Fn(Release) -> BoxFuture<'static, Result<PathBuf, BoxError>> + Send + Sync>;

/// The lowest port that is given to a server, and up to which the system gives none to anybody by itself, unless
/// it says otherwise: ip(7), `ip_local_port_range`.
const LOWEST_PORT: u16 = 10_000;
const USUAL_RANGE: u16 = 32_768;

pub(super) struct Setup {
    pub(super) room: Room,
    pub(super) prepared: Prepared,
    pub(super) client: Client,
    pub(super) files: Files,
    /// Ports that were given to a server. It may not listen there yet.
    pub(super) ports: Mutex<BTreeSet<u16>>,
}

impl Setup {
    pub(super) fn has_fixed_port(&self, slot: Slot) -> bool {
        self.prepared.spec.ports.contains_key(&slot)
    }

    /// A port for a server of `slot`, on which nobody listens.
    ///
    /// A free one is none that the system gives to connections: loading a model takes minutes, until which the
    /// server may not listen. Where the search begins depends on the start, so that supervisors of one machine
    /// do not look at the same ports.
    pub(super) fn reserve(&self, slot: Slot, start: u64) -> Result<u16, String> {
        let mut ports = lock(&self.ports);
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let fixed = &self.prepared.spec.ports;
        if let Some(port) = fixed.get(&slot) {
            bind(*port).map_err(|error| {
                format!("port {port} of the {slot} slot is not free: {error}; end who listens there, or name another")
            })?;
            ports.insert(*port);
            return Ok(*port);
        }
        let range = LOWEST_PORT..first_of_the_system();
        let mut hasher = DefaultHasher::new();
        self.room.mark(slot, start).hash(&mut hasher);
        let skip = usize::try_from(hasher.finish() % range.len() as u64).unwrap_or(0);
        let mut candidates = range.clone().cycle().skip(skip).take(range.len());
        let is_free = |port: &u16| {
            !ports.contains(port) && !fixed.values().any(|taken| taken == port) && bind(*port).is_ok()
        };
        let port = candidates.find(is_free).ok_or_else(|| "there is no free port".to_owned())?;
        ports.insert(port);
        Ok(port)
    }

    /// Starts a process. Blocks.
    pub(super) fn spawn(&self, filling: &Filling<'_>, start: u64) -> Result<Server, String> {
        let (room, slot, spec) = (&self.room, filling.slot, &self.prepared.spec);
        let ready = self.prepared.ready(filling);
        let ready = ready.ok_or_else(|| "where it is ready is no URL; correct `ready`".to_owned())?;
        let keep = u64::try_from(spec.logs).unwrap_or(u64::MAX).max(1);
        room.forget_logs(slot, start.saturating_sub(keep));
        let out = log::open(&room.log(slot, start)).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = out.map_err(|error| format!("its log cannot be opened: {error}"))?;
        let mut command = self.prepared.command(filling);
        command
            .env(MARK, room.mark(slot, start))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().to_string_lossy();
            format!("`{program}` cannot be started: {error}; check command.program and command.directory")
        })?;
        match Process::of_child(&child, room.boot()) {
            Ok(process) => Ok(Server { start, port: filling.port, ready, process: Arc::new(process) }),
            Err(error) => {
                let _ends = child.kill().and_then(|()| child.wait());
                Err(format!("its process cannot be watched, which takes Linux 5.4 or later: {error}"))
            }
        }
    }
}

/// The first port that the system may give to a connection.
fn first_of_the_system() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
    // Where it gives them all, none is better than another.
    first.filter(|first| *first > LOWEST_PORT + 1_000).unwrap_or(USUAL_RANGE)
}
