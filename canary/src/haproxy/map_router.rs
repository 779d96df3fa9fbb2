//! The router that keeps a split in a map.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tidegate_registry::Invalid;
use tokio::sync::Mutex;

use super::{
    ATTEMPTS, config,
    entries::{Entries, name},
    failure::{Failure, Trouble},
    file::Draft,
    map::Map,
    socket::Socket,
};
use crate::{ActuatorError, Capabilities, Fence, Key, Observed, RouteId, Slot, Traffic, TrafficRouter};

/// How often, and after what pause, a version is looked at again that somebody has prepared and not filled.
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);
/// How many versions that others have prepared and not committed are looked at, the newest first.
const MOST_PREPARED: u32 = 64;

/// A router that keeps the split of each route in a map of a running HAProxy, 2.4 or later.
///
/// For every request HAProxy draws one of 10 000 points and compares it with what the map says. So shares are
/// exact to the basis point, exceptions and sticky users work, and a change is a new version of the map,
/// committed at once: weights, exceptions and [`Fence`] change together, and no connection is touched. Servers,
/// health checks and `balance` stay as they are.
///
/// The map of route `serving/fraud` is `serving/fraud.map` in the directory of maps. The lines that act on it
/// come from [`config`](Self::config); they leave the slot in a variable, by which the frontend chooses:
///
/// ```text
/// global
///     stats socket /run/haproxy/admin.sock mode 660 level admin
///
/// frontend serving
///     bind :8080
///     # … the lines of `config` …
///     use_backend fraud-candidate if { var(txn.serving.fraud.slot) -m str candidate }
///     use_backend fraud-baseline if { var(txn.serving.fraud.slot) -m str baseline }
///     default_backend fraud-stable
/// ```
///
/// A frontend can have several routes, one block of lines each. The variable `txn.serving.fraud.exception` is
/// there for requests that an exception sent somewhere: leave these out of what versions are compared by.
///
/// # Keys
///
/// HAProxy reads the headers and cookies that its configuration names, so a router is told
/// [which](Self::with_key), and traffic that asks for others is refused. Of a header that a request has several
/// times the first counts, of a cookie the last; values are compared byte for byte. The point of a user is
/// `xxh32` of the value, seeded by the route, modulo 10 000.
///
/// # Reloads
///
/// A reload or a restart of HAProxy fills its maps from their files. Without
/// [`with_files`](Self::with_files) these are as somebody left them, empty at best: everything goes to stable,
/// and nobody has acted. A driver sees that as drift, mends it, and does not trust what was measured meanwhile.
/// With `with_files` a reload changes nothing. The process before the reload serves the connections that it has
/// by what it last knew; `hard-stop-after` bounds how long.
///
/// # Several drivers
///
/// Within a process, changes through clones of one router wait for each other. HAProxy has no conditional
/// change, but never goes back to an earlier version of a map. So a driver first prepares a version, which
/// begins with its fence, and commits it only after it has seen no later fence, neither in force nor in any
/// version prepared before. What remains is a driver that is held up for over two seconds between two
/// commands just there, and goes on in the very moment when another one commits.
///
/// It must be one HAProxy: of several, each needs a router and a route of its own.
///
/// # Errors
///
/// A route that is no path, a map that the configuration does not read, a socket without `level admin`, a key
/// that was not declared and a file that may not be written are [`ActuatorError::Refused`], with the remedy as
/// the source. Nobody at the socket, no answer within 10 s, an answer that breaks off and a map that others
/// change again and again are [`ActuatorError::Unavailable`].
#[derive(Clone, Debug)]
pub struct HaProxy {
    socket: Socket,
    maps: String,
    baseline: bool,
    keys: Vec<Key>,
    files: Option<PathBuf>,
    turn: Arc<Mutex<()>>,
}

/// Traffic that the configuration cannot do.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it has no baseline; give it a backend and declare it by `with_baseline`")]
    Baseline,
    #[error(
        "its configuration reads no `{0}`; declare it by `with_key` and paste the lines of `HaProxy::config` anew"
    )]
    Key(String),
}

impl HaProxy {
    /// A router for the HAProxy whose runtime API listens at `socket`, the path of a Unix socket or
    /// `host:port`, and whose maps are in the directory `maps`, as its configuration spells it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `socket` is neither or longer than the 97 bytes that HAProxy takes, or when `maps` has
    /// characters that mean something in a configuration.
    pub fn new(socket: &str, maps: &str) -> Result<Self, Invalid> {
        let maps = maps.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.+:@".contains(&b);
        if maps.is_empty() || maps.len() > 1_000 || !maps.bytes().all(plain) {
            return Err(Invalid::new("maps", maps, "use a path of letters, digits and `/-_.+:@`"));
        }
        Ok(Self {
            socket: Socket::new(socket)?,
            maps: maps.to_owned(),
            baseline: false,
            keys: Vec::new(),
            files: None,
            turn: Arc::default(),
        })
    }

    /// This router, whose configuration has a backend for the baseline too.
    #[must_use]
    pub const fn with_baseline(mut self) -> Self {
        self.baseline = true;
        self
    }

    /// This router, whose configuration reads `key` for exceptions and sticky users. Plans must spell it the
    /// same.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when its name is not of letters, digits, `-`, `_` and `.`.
    pub fn with_key(mut self, key: Key) -> Result<Self, Invalid> {
        config::check(&key)?;
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        Ok(self)
    }

    /// This router, which also writes what is in force into the file of the map, whole and beneath `directory`,
    /// as the directory of maps is called on this machine.
    #[must_use]
    pub fn with_files(mut self, directory: impl Into<PathBuf>) -> Self {
        self.files = Some(directory.into());
        self
    }

    /// The lines for the frontend of `route`: they read its map and leave `stable`, `baseline` or `candidate` in
    /// the variable `txn.serving.fraud.slot`, for the route `serving/fraud`. The file of the map must exist when
    /// HAProxy starts; it may be empty.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let router = tidegate_canary::HaProxy::new("/run/haproxy/admin.sock", "/etc/haproxy/maps")?;
    /// let config = router.config(&"serving/fraud".parse()?)?;
    /// let lines: Vec<_> = config.lines().map(str::trim).collect();
    /// let expected = [
    ///     "http-request set-var(txn.serving.fraud.split) str(split),map(/etc/haproxy/maps/serving/fraud.map,0:0:)",
    ///     "http-request set-var(txn.serving.fraud.candidate) var(txn.serving.fraud.split),field(1,:)",
    ///     "http-request set-var(txn.serving.fraud.baseline) var(txn.serving.fraud.split),field(2,:)",
    ///     "http-request set-var(txn.serving.fraud.point) rand(10000)",
    ///     "http-request set-var(txn.serving.fraud.top) int(9999),sub(txn.serving.fraud.point)",
    ///     "http-request set-var(txn.serving.fraud.slot) str(stable)",
    ///     "http-request set-var(txn.serving.fraud.slot) str(candidate) if { var(txn.serving.fraud.point),sub(txn.serving.fraud.candidate) lt 0 }",
    ///     "http-request set-var(txn.serving.fraud.slot) str(baseline) if { var(txn.serving.fraud.top),sub(txn.serving.fraud.baseline) lt 0 }",
    /// ];
    /// assert_eq!(lines, expected);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the route is no relative path.
    pub fn config(&self, route: &RouteId) -> Result<String, Invalid> {
        Ok(config::lines(route, &self.path(route)?, &self.keys))
    }

    fn path(&self, route: &RouteId) -> Result<String, Invalid> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let segment = |text: &str| !text.starts_with('.') && !text.is_empty() && text.bytes().all(plain);
        if !route.as_str().split('/').all(segment) {
            let remedy = "it names a file; write it as a path of letters, digits, `-`, `_` and `.`";
            return Err(Invalid::new("route", route.as_str(), remedy));
        }
        Ok(format!("{}/{route}.map", self.maps))
    }

    fn map(&self, route: &RouteId) -> Result<Map<'_>, Failure> {
        Ok(Map { socket: &self.socket, path: self.path(route).map_err(Failure::never)? })
    }

    /// The entries that say `traffic`, if this HAProxy can act on them.
    fn entries(&self, traffic: &Traffic, fence: Fence) -> Result<Entries, Failure> {
        self.capabilities().check(traffic).map_err(Failure::never)?;
        let exceptions = traffic.exceptions();
        if !self.baseline && exceptions.iter().any(|exception| exception.to == Slot::Baseline) {
            return Err(Failure::never(Unread::Baseline));
        }
        let mut keys = exceptions.iter().map(|exception| &exception.key).chain(traffic.sticky());
        if let Some(unread) = keys.find(|key| !self.keys.contains(key)) {
            return Err(Failure::never(Unread::Key(name(unread))));
        }
        Entries::new(traffic, fence).map_err(Failure::never)
    }

    async fn put(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), Failure> {
        let map = self.map(route)?;
        let wanted = self.entries(traffic, fence)?;
        let _turn = self.turn.lock().await;
        let Some(directory) = &self.files else {
            return replace(&map, &wanted, fence).await;
        };
        let file = directory.join(format!("{route}.map"));
        // Written before anything changes, so that a directory that cannot be written to is found out in time.
        let mut draft = Draft::new(&file, &wanted).await?;
        if let Err(failure) = replace(&map, &wanted, fence).await {
            if let Some(draft) = draft {
                draft.discard().await;
            }
            return Err(failure);
        }
        for _ in 0..ATTEMPTS {
            let Some(changed) = draft else { return Ok(()) };
            changed.keep().await?;
            // A later driver may have written its file just before, which then was written over.
            draft = Draft::new(&file, &map.read().await?.entries).await?;
        }
        Err(Failure::later(Trouble::Contended))
    }

    async fn look(&self, route: &RouteId) -> Result<Observed, Failure> {
        self.map(route)?.read().await?.entries.observed().map_err(Failure::never)
    }

    fn target(&self, route: &RouteId) -> String {
        format!("route {route} of the HAProxy at {}", self.socket)
    }
}

#[async_trait]
impl TrafficRouter for HaProxy {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            baseline: self.baseline,
            headers: self.keys.iter().any(|key| matches!(key, Key::Header(_))),
            cookies: self.keys.iter().any(|key| matches!(key, Key::Cookie(_))),
            mirror: false,
            sticky: !self.keys.is_empty(),
            ..Capabilities::ALL
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.put(route, traffic, fence).await.map_err(|failure| failure.of(&self.target(route)))
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.look(route).await.map_err(|failure| failure.of(&self.target(route)))
    }
}

/// Replaces what is in `map` and returns when the new entries were read there.
async fn replace(map: &Map<'_>, wanted: &Entries, fence: Fence) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        let now = map.read().await?.entries;
        Failure::admit(now.fence().map_err(Failure::never)?, fence)?;
        if now.same_as(wanted) {
            return Ok(());
        }
        let version = map.prepare().await?;
        if map.fill(version, wanted).await? && may_commit(map, version, fence).await? {
            map.commit(version).await?;
        }
    }
    Err(Failure::later(Trouble::Contended))
}

/// Whether no later driver has acted or is about to, as far as `version` would undo what it does. A version
/// prepared after ours undoes ours instead; one prepared before must have shown its fence.
async fn may_commit(map: &Map<'_>, version: u32, fence: Fence) -> Result<bool, Failure> {
    for _ in 0..LOOKS {
        let now = map.read().await?;
        Failure::admit(now.entries.fence().map_err(Failure::never)?, fence)?;
        // The numbers wrap around. One that is not ahead was overtaken, or prepared in a process that is gone.
        let ahead = version.wrapping_sub(now.version);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return Ok(false);
        }
        let mut unsaid = false;
        for before in (1..ahead).take(MOST_PREPARED as usize) {
            let held = map.prepared(version.wrapping_sub(before)).await?.fence().ok().flatten();
            Failure::admit(held, fence)?;
            unsaid |= held.is_none();
        }
        if !unsaid {
            return Ok(true);
        }
        tokio::time::sleep(PAUSE).await;
    }
    // Whoever prepared it would have gone on long ago.
    Ok(true)
}
