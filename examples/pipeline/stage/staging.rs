//! Where a version runs for validation alone, with no user near it.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tidegate::{
    canary::{Actuator, Fence, NotDone, Release, RouteId, Slot, Weight, Workload},
    registry::{Error, Journal, LogKey, ModelStore as _, Stamp},
};

use crate::{
    environment::{Environment, EnvironmentFile, Taken},
    failure::Failure,
    ground::Ground,
    registry::Registry,
    release::Place,
};

/// How long a version may take until it answers.
const PATIENCE: Duration = Duration::from_secs(600);

/// A version that is being served. What serves it goes on when this is dropped.
pub(crate) struct Staging {
    _environment: Environment,
}

/// That somebody serves a version there from now on.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    stamp: Stamp,
    release: Release,
}

/// Why a version is not served.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// It does not run there. That is a fault of the version.
    Failed(String),
    Error(anyhow::Error),
}

impl Staging {
    /// Makes the version of the release run, as the candidate of the place called `name`, and waits until it is ready.
    /// One that runs there already is left as it is.
    pub(crate) async fn serve(name: &str, place: &Place, ground: &Ground) -> Result<Option<Self>, Unserved> {
        let Some(file) = &place.file else { return Ok(None) };
        let registry = ground.registry()?;
        let file = EnvironmentFile::read(&ground.release.path(file))?;
        let model = &ground.release.model;
        let route: RouteId = format!("{name}/{}", model.name()).parse().map_err(anyhow::Error::from)?;
        let manifest = registry.store.manifest(model).await.map_err(anyhow::Error::from)?;
        let release = Release::from(&manifest);
        let environment = file.open(registry, &route, ground.clock, Taken::AtOnce).await?;
        let hands = Actuator {
            router: &*environment.router,
            deployer: &*environment.deployer,
            clock: ground.clock,
            fence: claim(registry, &route, &release, ground.stamp()).await?,
        };
        let candidate = Workload { slot: Slot::Candidate, release, share: Weight::FULL };
        match hands.ensure(&candidate, ground.clock.now() + PATIENCE).await {
            Ok(()) => Ok(Some(Self { _environment: environment })),
            Err(NotDone::Failed(why) | NotDone::Unreached { why, .. }) => Err(Unserved::Failed(why)),
            Err(error) => {
                Err(anyhow::Error::from(error).context(format!("{name} is not ours any more")).into())
            }
        }
    }
}

/// The right to act on a route that nothing is rolled out on: that of the last one who claimed it.
async fn claim(registry: &Registry, route: &RouteId, release: &Release, stamp: Stamp) -> Result<Fence> {
    let key = LogKey::new("staging", route.as_str()).map_err(Error::from)?;
    let mut journal = Journal::<Claim>::at_end(Arc::new(registry.store.clone()), key).await?;
    let claim = Claim { stamp, release: release.clone() };
    loop {
        match journal.append(&claim).await {
            Ok(seq) => return Ok(Fence::new(seq)),
            Err(Error::SeqTaken { .. }) => journal.skip().await?,
            Err(error) => return Err(error.into()),
        }
    }
}

impl From<anyhow::Error> for Unserved {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for Unserved {
    fn from(error: Failure) -> Self {
        Self::Error(error.into())
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").finish_non_exhaustive()
    }
}
