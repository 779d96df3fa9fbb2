//! The router.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Url};

use super::{
    admin::Admin,
    proto::{DiscoveryResponse, RouteConfiguration},
    table::{Clusters, Unfit},
};
use crate::{
    ActuatorError, BoxError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter,
    proxy::{
        answer::{Failure, shown},
        file::{self, Turn},
    },
};

/// How long Envoy is watched until it shows what was written.
const SEEN_WITHIN: Duration = Duration::from_secs(3);

/// A router that writes the files from which an Envoy on this machine reads its tables of routes, and sees in
/// Envoy's administration interface what became of them. Tried with Envoy 1.40.
///
/// Each route is a `RouteConfiguration` of its own, in a file of its own, for all hosts and paths of a
/// listener. The listener points at it, below `static_resources` of Envoy's configuration:
///
/// ```yaml
#[doc = include_str!("listener.yaml")]
/// ```
///
/// The clusters are there as well, under the names that this router is given. Envoy wants the file to exist
/// when it starts: [`install`](Self::install) writes the first one.
///
/// # What it can do
///
/// Everything that [`Traffic`] says, to the basis point.
///
/// * Users are kept on their side by Envoy's hash of the header or the cookie. Requests without it are split
///   by chance. The same users come first on every route, since Envoy hashes nothing but the value.
/// * Copies are made while stable gets everything, of requests that no exception is for. Envoy does not wait
///   for their answers, and appends `-shadow` to the host in copies.
///
/// # What "in force" means here
///
/// [`observe`](TrafficRouter::observe) answers with the table that the administration interface shows, and
/// only once its version is that of the file; until then it is [`ActuatorError::Unavailable`]. The workers of
/// Envoy follow its main thread, which shows the table, within milliseconds.
///
/// A file that Envoy rejects is replaced by the one before, and [`apply`](TrafficRouter::apply) is
/// [`ActuatorError::Refused`]; Envoy's log says why it did. So is one that an Envoy took without the fields that
/// it is too old for, such as those that match cookies.
///
/// The fence is part of the table. Drivers on this machine take turns by an advisory lock, so the directory
/// must be on a local disk, and one directory is for one Envoy.
#[derive(Clone)]
pub struct Envoy {
    admin: Admin,
    directory: PathBuf,
    clusters: Clusters,
    timeout: Duration,
}

/// What is written has not become what is in force.
#[derive(Debug, thiserror::Error)]
enum NotTakenUp {
    #[error(
        "Envoy shows other rules than are in the file, so it does not know some of them; use a newer one"
    )]
    Altered,
    #[error("Envoy has no table of this name; start it, or point `rds` of a listener at {}", .0.display())]
    Unknown(PathBuf),
    #[error(
        "Envoy still has version {seen} of its table, not {wanted}; it has rejected {rejections} since its start, for reasons in its log"
    )]
    Lags { seen: String, wanted: String, rejections: u64 },
    #[error("Envoy has rejected the table; its log says why, such as a cluster that does not exist")]
    Rejected,
    #[error("there is no {}; write it by `install`, before Envoy starts", .0.display())]
    NotInstalled(PathBuf),
}

impl Envoy {
    /// A router for the Envoy whose administration interface is at `admin`, which reads its tables from
    /// `directory`, splitting between the clusters `stable` and `candidate`. `client` should follow no
    /// redirects.
    pub fn new(
        client: Client,
        admin: Url,
        directory: impl Into<PathBuf>,
        stable: impl Into<String>,
        candidate: impl Into<String>,
    ) -> Self {
        let clusters = Clusters { stable: stable.into(), baseline: None, candidate: candidate.into() };
        let admin = Admin { client, url: admin };
        Self { admin, directory: directory.into(), clusters, timeout: Duration::ZERO }
    }

    /// This router, also splitting to the cluster `baseline`.
    #[must_use]
    pub fn with_baseline(mut self, baseline: impl Into<String>) -> Self {
        self.clusters.baseline = Some(baseline.into());
        self
    }

    /// This router, with `timeout` for each answer of a cluster, to the millisecond; default is none, not the
    /// 15 s of Envoy, which cut long answers of models off.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The file of a route: its name below the directory, percent-encoded.
    #[must_use]
    pub fn file(&self, route: &RouteId) -> PathBuf {
        let mut name = String::new();
        for byte in route.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        self.directory.join(name + ".json")
    }

    /// Writes the file of a route that has none yet: everything goes to stable. Envoy need not run.
    ///
    /// # Errors
    ///
    /// [`ActuatorError`], if it cannot be written.
    pub async fn install(&self, route: &RouteId) -> Result<(), ActuatorError> {
        let install = async {
            let turn = Turn::wait(self.file(route)).await?;
            if turn.read().await?.is_none() {
                let file = self.wanted(route, &Traffic::stable(), None)?;
                turn.replace(Some(&file.bytes())).await?;
            }
            Ok(())
        };
        install.await.map_err(|failure: Failure| failure.of(Target(route)))
    }

    fn wanted(
        &self,
        route: &RouteId,
        traffic: &Traffic,
        fence: Option<Fence>,
    ) -> Result<DiscoveryResponse, Unfit> {
        let timeout = match (self.timeout.as_secs(), self.timeout.subsec_millis()) {
            (seconds, 0) => format!("{seconds}s"),
            (seconds, millis) => format!("{seconds}.{millis:03}s"),
        };
        let table = RouteConfiguration::of(route, traffic, fence, &self.clusters, Some(&timeout))?;
        Ok(DiscoveryResponse::with(table))
    }

    /// Whether Envoy shows what the file says.
    async fn check(&self, route: &RouteId, file: &DiscoveryResponse) -> Result<(), Failure> {
        let Some(in_force) = self.admin.in_force(route).await? else {
            return Err(Failure::later(NotTakenUp::Unknown(self.file(route))));
        };
        if in_force.version != file.version_info {
            let rejections = self.admin.rejections(route).await?;
            let seen = in_force.version.chars().take(40).collect();
            let wanted = file.version_info.clone();
            return Err(Failure::later(NotTakenUp::Lags { seen, wanted, rejections }));
        }
        if in_force.table()? == file.resources[0] {
            Ok(())
        } else {
            // Envoy passes over fields that it does not know.
            Err(Failure::never(NotTakenUp::Altered))
        }
    }

    async fn put(
        &self,
        turn: &Turn,
        route: &RouteId,
        traffic: &Traffic,
        fence: Fence,
    ) -> Result<Put, Failure> {
        let before = turn.read().await?;
        let held = match &before {
            Some(bytes) => {
                let DiscoveryResponse { resources: [table], .. } = DiscoveryResponse::read(bytes)?;
                table.fence()?
            }
            None => None,
        };
        if let Some(held) = held.filter(|held| *held > fence) {
            return Ok(Put::Fenced { held });
        }
        let wanted = self.wanted(route, traffic, Some(fence))?;
        let bytes = wanted.bytes();
        if before.as_ref() == Some(&bytes) {
            return self.check(route, &wanted).await.map(|()| Put::Done);
        }
        // An Envoy that does not answer gets its file nevertheless: it may be the way back.
        let rejected_before = self.admin.rejections(route).await;
        turn.replace(Some(&bytes)).await?;
        let rejected_before = rejected_before?;
        let taken_up = async {
            for pause in pauses() {
                match self.check(route, &wanted).await {
                    Err(Failure::Later(_)) => {}
                    answer => return answer.map(|()| Put::Done),
                }
                if self.admin.rejections(route).await? > rejected_before {
                    return Err(Failure::never(NotTakenUp::Rejected));
                }
                tokio::time::sleep(pause).await;
            }
            self.check(route, &wanted).await.map(|()| Put::Done)
        };
        let taken_up = taken_up.await;
        if let (Err(Failure::Never(why)), Some(before)) = (&taken_up, &before)
            && why.downcast_ref::<NotTakenUp>().is_some()
        {
            turn.replace(Some(before)).await?;
        }
        taken_up
    }
}

/// What came of a call.
enum Put {
    Done,
    Fenced { held: Fence },
}

#[async_trait]
impl TrafficRouter for Envoy {
    fn capabilities(&self) -> Capabilities {
        Capabilities { baseline: self.clusters.baseline.is_some(), ..Capabilities::ALL }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let refused = |why: BoxError| Failure::Never(why).of(Target(route));
        self.capabilities().check(traffic).map_err(|unsupported| refused(unsupported.into()))?;
        let put = async {
            let turn = Turn::wait(self.file(route)).await?;
            self.put(&turn, route, traffic, fence).await
        };
        match put.await.map_err(|failure: Failure| failure.of(Target(route)))? {
            Put::Done => Ok(()),
            Put::Fenced { held } => Err(ActuatorError::Fenced { offered: fence, held }),
        }
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let look = async {
            let path = self.file(route);
            let written = file::read(&path).await?;
            let written = written.ok_or_else(|| Failure::never(NotTakenUp::NotInstalled(path)))?;
            let written = DiscoveryResponse::read(&written)?;
            self.check(route, &written).await?;
            // It is what Envoy shows as well.
            let [table] = written.resources;
            Ok(Observed::new(table.traffic(route, &self.clusters)?, table.fence()?))
        };
        look.await.map_err(|failure: Failure| failure.of(Target(route)))
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        Self::never(unfit)
    }
}

/// Some looks over the time in which Envoy is watched, the first ones close together.
fn pauses() -> impl Iterator<Item = Duration> {
    let mut left = SEEN_WITHIN;
    (0u32..).map_while(move |n| {
        let pause = Duration::from_millis(5 << n.min(6));
        left = left.checked_sub(pause)?;
        Some(pause)
    })
}

struct Target<'r>(&'r RouteId);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envoy's route {}", self.0)
    }
}

impl fmt::Debug for Envoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envoy")
            .field("admin", &shown(&self.admin.url))
            .field("directory", &self.directory)
            .field("clusters", &self.clusters)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
