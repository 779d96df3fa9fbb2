//! The router that moves the weights of servers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tidegate_registry::Invalid;
use tokio::sync::Mutex;

use super::{
    ATTEMPTS,
    failure::Failure,
    servers::{Backend, Mark, Names, Reading},
    socket::Socket,
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter, Weight};

/// After what pause weights are looked at again that somebody is moving.
const PAUSE: Duration = Duration::from_millis(20);

/// A router that moves the weights of servers in a backend of a running HAProxy, 2.4 or later: for
/// configurations that are there already. [`HaProxy`](super::HaProxy) can do more, and all of it at once.
///
/// The route is the name of the backend. It needs a server for every side, and an algorithm that follows
/// weights that change: `roundrobin` does to the request, `random` only roughly, `static-rr` not at all.
///
/// ```text
/// global
///     stats socket /run/haproxy/admin.sock mode 660 level admin
///
/// backend fraud
///     balance roundrobin
///     server stable 10.0.0.1:80 weight 100
///     server candidate 10.0.0.2:80 weight 0
/// ```
///
/// Weights are written in per cent, which is as fine as it goes; there are no exceptions and no sticky users.
/// The [`Fence`] of the last change is in the process-wide variable `proc.tidegate.fraud`. A server that drains
/// or is in maintenance is observed with nothing, whatever its weight; whether a server is healthy is not looked
/// at. Weights that are no multiple of a basis point are somebody else's; they are observed rounded.
///
/// # Reloads
///
/// A reload or a restart of HAProxy takes the weights of the configuration, and nobody has acted. A driver
/// sees that as drift, mends it, and does not trust what was measured meanwhile. Keep the candidate's `weight 0`
/// in the configuration.
///
/// # Several drivers
///
/// Weights move one after the other, those that grow first, within a fraction of a millisecond. The variable says
/// so meanwhile, and [`observe`](TrafficRouter::observe) waits for the end. Within a process, changes through
/// clones of one router wait for each other. Between processes the fence is read, written and read again, but
/// HAProxy has no conditional change: of two drivers that begin within the same millisecond, the superseded one
/// can win.
///
/// # Errors
///
/// A backend or server that does not exist, a backend that sends requests elsewhere too, and a socket without
/// `level admin` are [`ActuatorError::Refused`], with the remedy as the source. Nobody at the socket, no answer
/// within 10 s and an answer that breaks off are [`ActuatorError::Unavailable`].
#[derive(Clone, Debug)]
pub struct HaProxyWeights {
    socket: Socket,
    servers: Names,
    turn: Arc<Mutex<()>>,
}

impl HaProxyWeights {
    /// A router for the HAProxy whose runtime API listens at `socket`, the path of a Unix socket or
    /// `host:port`, which splits between the servers `stable` and `candidate`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `socket` is neither or longer than the 97 bytes that HAProxy takes, or a server cannot
    /// be called so.
    pub fn new(socket: &str, stable: &str, candidate: &str) -> Result<Self, Invalid> {
        let [stable, candidate] = [stable, candidate].map(server);
        let servers = Names { stable: stable?, baseline: None, candidate: candidate? };
        Ok(Self { socket: Socket::new(socket)?, servers, turn: Arc::default() })
    }

    /// This router, also splitting to the server `baseline`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a server cannot be called so.
    pub fn with_baseline(mut self, baseline: &str) -> Result<Self, Invalid> {
        self.servers.baseline = Some(server(baseline)?);
        Ok(self)
    }

    fn backend<'a>(&'a self, route: &'a RouteId) -> Result<Backend<'a>, Failure> {
        let name = route.as_str();
        if !is_name(name) {
            let remedy = "it is the name of a backend; use letters, digits, `-`, `_`, `.` and `:`";
            return Err(Failure::never(Invalid::new("route", name, remedy)));
        }
        Ok(Backend { socket: &self.socket, name, servers: &self.servers })
    }

    async fn put(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), Failure> {
        let backend = self.backend(route)?;
        self.capabilities().check(traffic).map_err(Failure::never)?;
        let _turn = self.turn.lock().await;
        let was = backend.read().await?;
        Failure::admit(was.mark.fence, fence)?;
        let done = Mark { fence: Some(fence), moving: false };
        if was.mark == done && was.gives(traffic) {
            return Ok(());
        }
        backend.mark_as(Mark { moving: true, ..done }).await?;
        Failure::admit(backend.read().await?.mark.fence, fence)?;
        if let Err(failure) = backend.set(&was, &was.with(traffic, done)).await {
            if matches!(failure, Failure::Never(_)) {
                // As if it had never been asked; what was refused for good is most likely refused as a whole.
                let _restored = backend.set(&was, &was).await;
            }
            return Err(failure);
        }
        Failure::admit(backend.read().await?.mark.fence, fence)
    }

    async fn look(&self, route: &RouteId) -> Result<Observed, Failure> {
        let backend = self.backend(route)?;
        let mut reading = backend.read().await?;
        for _ in 0..ATTEMPTS {
            if !reading.mark.moving {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            reading = backend.read().await?;
        }
        // Whoever is still moving them died over it; this is what is there now.
        let Reading { mark, .. } = reading;
        Ok(Observed::new(reading.traffic()?, mark.fence))
    }

    fn target(&self, route: &RouteId) -> String {
        format!("backend {route} of the HAProxy at {}", self.socket)
    }
}

#[async_trait]
impl TrafficRouter for HaProxyWeights {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            granularity: Weight::percent(1).unwrap_or(Weight::FULL),
            baseline: self.servers.baseline.is_some(),
            headers: false,
            cookies: false,
            mirror: false,
            sticky: false,
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.put(route, traffic, fence).await.map_err(|failure| failure.of(&self.target(route)))
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.look(route).await.map_err(|failure| failure.of(&self.target(route)))
    }
}

fn server(name: &str) -> Result<String, Invalid> {
    if !is_name(name) {
        return Err(Invalid::new("server", name, "use letters, digits, `-`, `_`, `.` and `:`"));
    }
    Ok(name.to_owned())
}

/// Whether HAProxy takes `text` for the name of a backend or a server, and so as one word of a command.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    !text.is_empty() && text.len() <= 200 && text.bytes().all(plain)
}
