//! The router.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Url};

use super::include::{State, Unfit, Upstreams, label};
use crate::{
    ActuatorError, BoxError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter,
    command::{Failed, run},
    proxy::{
        answer::{Failure, below, excerpt, get, shown},
        file::{self, Turn},
    },
};

/// How long workers are watched until they show what was written.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// For how long after the start of new workers nginx lets the old ones accept connections: 0.1 s, and some for
/// its signals to arrive.
const OLD_WORKERS: Duration = Duration::from_millis(150);
/// How long the answer with the state may be, in bytes. How deep it may be nested, serde_json bounds (128).
const LONGEST: usize = 1 << 20;
/// How many workers in a row must say the same. Which of them accepts a connection is the system's choice.
const LOOKS: usize = 3;

/// A router that writes a file which an nginx on this machine includes, reloads nginx, and asks its workers
/// what they have. For nginx from 1.13.2 or so, built with PCRE; tried with 1.22.
///
/// The route `serving/fraud` becomes the variable `$tidegate_serving_fraud`, the name of an upstream, in a
/// file of its own. nginx uses it, in its `http` block:
///
/// ```nginx
#[doc = include_str!("server.conf")]
/// ```
///
/// The name of a variable is that of the route in lower case, with an underscore for everything but letters
/// and digits; under the same name with `__state` it is shown to this router what a worker has. nginx wants
/// the file to exist when it starts: [`install`](Self::install) writes the first one.
///
/// # What it can do
///
/// Weights to the basis point, a baseline, exceptions and sticky users by header and cookie.
///
/// * Users are kept on their side by `split_clients`. Requests that name no user are split by `$request_id`.
/// * Names of headers have letters, digits and `-` only, since nginx ignores others. A header that is sent
///   more than once counts by its first value, or from nginx 1.23 on by all of them in one.
/// * No copies: nginx has a `mirror` directive, but with it the next request on a client's connection waits
///   until the copy of the one before is answered.
///
/// # What "in force" means here
///
/// The whole configuration is tested with the new file in its place before nginx is reloaded; if it does not
/// pass, the file before is put back, and [`apply`](TrafficRouter::apply) is [`ActuatorError::Refused`].
///
/// [`observe`](TrafficRouter::observe) asks over three new connections, and answers when the worker of each
/// shows the state that is in the file; until then it is [`ActuatorError::Unavailable`]. nginx stops its old
/// workers a tenth of a second after it has started new ones, and `apply` waits for that too. An old worker
/// ends the requests that it has, however long they take, and takes no others.
///
/// A reload closes connections on which nothing happens. A client that sends its next request in that very
/// moment has to send it again on another connection, as HTTP clients do (RFC 9112, 9.3.1).
///
/// The fence is part of the file. Drivers on this machine take turns by an advisory lock, so the directory
/// must be on a local disk, and one directory is for one nginx.
#[derive(Clone)]
pub struct Nginx {
    client: Client,
    state: Url,
    directory: PathBuf,
    upstreams: Upstreams,
    test: Vec<String>,
    reload: Vec<String>,
    command_timeout: Duration,
}

/// What is written has not become what is in force.
#[derive(Debug, thiserror::Error)]
enum NotTakenUp {
    #[error(
        "a worker of nginx has revision {seen} with fence {fence}, not {wanted}; nginx's error log may say why"
    )]
    Lags { seen: String, fence: String, wanted: String },
    #[error("there is no {}; write it by `install`, before nginx starts", .0.display())]
    NotInstalled(PathBuf),
    #[error("nginx does not show its state but: {said}; add the location for it, or correct the URL")]
    NotShown { said: String, source: serde_json::Error },
}

impl Nginx {
    /// A router for the nginx that includes the files of `directory` and shows its state below `state`, such
    /// as `http://127.0.0.1:8081/tidegate`, splitting between the upstreams `stable` and `candidate`.
    /// `client` should follow no redirects.
    pub fn new(
        client: Client,
        state: Url,
        directory: impl Into<PathBuf>,
        stable: impl Into<String>,
        candidate: impl Into<String>,
    ) -> Self {
        Self {
            client,
            state,
            directory: directory.into(),
            upstreams: Upstreams { stable: stable.into(), baseline: None, candidate: candidate.into() },
            test: ["nginx", "-t", "-q"].map(str::to_owned).into(),
            reload: ["nginx", "-s", "reload"].map(str::to_owned).into(),
            command_timeout: Duration::from_secs(10),
        }
    }

    /// This router, also splitting to the upstream `baseline`.
    #[must_use]
    pub fn with_baseline(mut self, baseline: impl Into<String>) -> Self {
        self.upstreams.baseline = Some(baseline.into());
        self
    }

    /// This router, testing the configuration by `command`, the program first; default `nginx -t -q`.
    #[must_use]
    pub fn with_test<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.test = command.into_iter().map(Into::into).collect();
        self
    }

    /// This router, reloading nginx by `command`, the program first; default `nginx -s reload`.
    #[must_use]
    pub fn with_reload<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.reload = command.into_iter().map(Into::into).collect();
        self
    }

    /// This router, giving each command so long; default 10 s.
    #[must_use]
    pub const fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Writes the file of a route that has none yet: everything goes to stable. nginx need not run, and is
    /// not reloaded.
    ///
    /// # Errors
    ///
    /// [`ActuatorError`], if it cannot be written.
    pub async fn install(&self, route: &RouteId) -> Result<(), ActuatorError> {
        let install = async {
            let turn = Turn::wait(self.file(route)?).await?;
            if turn.read().await?.is_none() {
                let (_, text) = State::write(route, &Traffic::stable(), None, &self.upstreams)?;
                turn.replace(Some(text.as_bytes())).await?;
            }
            Ok(())
        };
        install.await.map_err(|failure: Failure| failure.of(Target(route)))
    }

    fn file(&self, route: &RouteId) -> Result<PathBuf, Unfit> {
        Ok(self.directory.join(label(route)? + ".conf"))
    }

    /// Whether workers show `wanted`.
    async fn check(&self, route: &RouteId, wanted: &State) -> Result<(), Failure> {
        let url = below(&self.state, [label(route)?.as_str()]);
        for _ in 0..LOOKS {
            let said = get(&self.client, url.clone(), LONGEST).await?;
            let seen: State = serde_json::from_slice(&said)
                .map_err(|source| Failure::never(NotTakenUp::NotShown { said: excerpt(&said), source }))?;
            if seen != *wanted {
                return Err(Failure::later(NotTakenUp::Lags {
                    seen: excerpt(seen.revision.as_bytes()),
                    fence: seen.fence.map_or_else(|| "none".to_owned(), |fence| fence.to_string()),
                    wanted: wanted.revision.clone(),
                }));
            }
        }
        Ok(())
    }

    async fn put(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<Put, Failure> {
        let turn = Turn::wait(self.file(route)?).await?;
        let before = turn.read().await?;
        let held = match &before {
            Some(bytes) => State::read(bytes, route)?.fence,
            None => None,
        };
        if let Some(held) = held.filter(|held| *held > fence) {
            return Ok(Put::Fenced { held });
        }
        let (wanted, text) = State::write(route, traffic, Some(fence), &self.upstreams)?;
        let there = before.as_deref() == Some(text.as_bytes());
        if there && self.check(route, &wanted).await.is_ok() {
            return Ok(Put::Done);
        }
        if !there {
            turn.replace(Some(text.as_bytes())).await?;
        }
        if let Err(failed) = run(&self.test, None, self.command_timeout).await {
            if !there {
                turn.replace(before.as_deref()).await?;
            }
            return Err(match failed {
                Failed::Late { .. } => Failure::later(failed),
                _ => Failure::never(failed),
            });
        }
        // The file has passed its test, so it stays even if nginx does not run: it may be the way back.
        run(&self.reload, None, self.command_timeout).await.map_err(|failed| match failed {
            Failed::NotRun { .. } => Failure::never(failed),
            _ => Failure::later(failed),
        })?;
        self.settled(route, &wanted).await.map(|()| Put::Done)
    }

    /// Waits until workers show `wanted`, and until nginx has told those before them to end.
    async fn settled(&self, route: &RouteId, wanted: &State) -> Result<(), Failure> {
        for pause in pauses() {
            match self.check(route, wanted).await {
                Err(Failure::Later(_)) => tokio::time::sleep(pause).await,
                Err(failure) => return Err(failure),
                Ok(()) => break,
            }
        }
        tokio::time::sleep(OLD_WORKERS).await;
        self.check(route, wanted).await
    }
}

/// What came of a call.
enum Put {
    Done,
    Fenced { held: Fence },
}

#[async_trait]
impl TrafficRouter for Nginx {
    fn capabilities(&self) -> Capabilities {
        Capabilities { baseline: self.upstreams.baseline.is_some(), mirror: false, ..Capabilities::ALL }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let refused = |why: BoxError| Failure::Never(why).of(Target(route));
        self.capabilities().check(traffic).map_err(|unsupported| refused(unsupported.into()))?;
        match self.put(route, traffic, fence).await.map_err(|failure| failure.of(Target(route)))? {
            Put::Done => Ok(()),
            Put::Fenced { held } => Err(ActuatorError::Fenced { offered: fence, held }),
        }
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let look = async {
            let path = self.file(route)?;
            let written = file::read(&path).await?;
            let written = written.ok_or_else(|| Failure::never(NotTakenUp::NotInstalled(path)))?;
            let state = State::read(&written, route)?;
            state.is_whole(&written)?;
            self.check(route, &state).await?;
            Ok(Observed::new(state.traffic, state.fence))
        };
        look.await.map_err(|failure: Failure| failure.of(Target(route)))
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        Self::never(unfit)
    }
}

/// Some looks over the time in which workers are watched, the first ones close together.
fn pauses() -> impl Iterator<Item = Duration> {
    let mut left = SEEN_WITHIN;
    (0u32..).map_while(move |n| {
        let pause = Duration::from_millis(10 << n.min(5));
        left = left.checked_sub(pause)?;
        Some(pause)
    })
}

struct Target<'r>(&'r RouteId);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nginx's route {}", self.0)
    }
}

impl fmt::Debug for Nginx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nginx")
            .field("state", &shown(&self.state))
            .field("directory", &self.directory)
            .field("upstreams", &self.upstreams)
            .field("test", &self.test)
            .field("reload", &self.reload)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}
