//! The beginning: the service answers from its first moment on, and goes on with its rollouts as soon as it can read which
//! there are. A registry that is away then is waited for, and not the end of the program.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::Result;
use axum::{extract::FromRequestParts, http::request::Parts};
use tidegate::{
    canary::{self, WallClock},
    registry::{self, Digest, ObjectBacked},
};

use crate::{
    demo,
    platform::Platform,
    problem::{Kind, Problem},
    rollouts::{PAUSES, Rollouts},
};

/// The rollouts, once they are there. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Beginning(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rollouts: OnceLock<Rollouts>,
    /// Why they were not there when that was tried last.
    why: Mutex<Option<String>>,
}

impl Beginning {
    /// Opens the registry, and goes on with all rollouts that are not over. What may pass is waited for.
    ///
    /// Says where the service answers once that was tried: whoever waits for the line finds it ready, unless something is
    /// away.
    pub(crate) async fn begin(&self, directory: &Path, demo: bool, address: SocketAddr) -> Result<()> {
        let [mut pause, longest] = PAUSES;
        let mut is_said = false;
        loop {
            let is_ready = match go_on(directory, demo).await {
                Ok((rollouts, made)) => {
                    if let Some(candidate) = made {
                        demo::say(directory, candidate, address)?;
                    }
                    self.0.rollouts.get_or_init(|| rollouts);
                    true
                }
                Err(error) if may_pass(&error) => {
                    let why = format!("{error:#}");
                    tracing::warn!(error = why, "not ready; it is tried again in {pause:?}");
                    *self.0.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                    false
                }
                Err(error) => return Err(error),
            };
            if !is_said {
                writeln!(std::io::stdout(), "http://{address}")?;
                is_said = true;
            }
            if is_ready {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Whether things can be asked of it. What it lacks is said only to those who are `known`.
    pub(crate) fn health(&self, known: bool) -> Result<(), Problem> {
        match self.rollouts() {
            Ok(_) => Ok(()),
            Err(problem) if known => Err(problem),
            Err(_) => {
                let remedy = "Wait: it tries again by itself. To whoever has a token it says what it lacks.";
                Err(Problem::new(Kind::Unavailable, "This service is not ready.", remedy))
            }
        }
    }

    fn rollouts(&self) -> Result<&Rollouts, Problem> {
        self.0.rollouts.get().ok_or_else(|| {
            let why = self.0.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let why = why.unwrap_or_else(|| "it is reading which rollouts there are".to_owned());
            let remedy = "Send the same again later: it tries by itself.";
            Problem::new(Kind::Unavailable, format!("This service is not ready: {why}."), remedy)
        })
    }
}

/// The rollouts, or that they are not there yet.
impl FromRequestParts<Beginning> for Rollouts {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, beginning: &Beginning) -> Result<Self, Problem> {
        beginning.rollouts().cloned()
    }
}

/// The rollouts, and what there is to try.
async fn go_on(directory: &Path, demo: bool) -> Result<(Rollouts, Option<Digest>)> {
    let registry = ObjectBacked::directory(directory.join("registry")).await?;
    let made = if demo { Some(demo::fill(&registry).await?) } else { None };
    let platform = Platform::new(directory.join("platform"), registry, WallClock::system());
    Ok((Rollouts::go_on(platform).await?, made))
}

/// Whether trying again can help.
fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<registry::Error>().is_some_and(registry::Error::is_transient)
            || cause.downcast_ref::<canary::Error>().is_some_and(canary::Error::is_transient)
    })
}
