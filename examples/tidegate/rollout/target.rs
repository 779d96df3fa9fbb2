//! Which rollout is meant.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use tidegate::canary::{Error, Rollout, RolloutId, RouteId, RouteJournal};

use super::plan;
use crate::{Session, failure::Failure, registry::Registry};

#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    place: Place,
    /// Only if this is the rollout that was opened last
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The plan of the rollout, for its route
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: Option<RouteId>,
}

impl Target {
    fn route(&self) -> Result<RouteId> {
        match (&self.place.route, &self.place.plan) {
            (Some(route), _) => Ok(route.clone()),
            (None, Some(path)) => Ok(plan::read(path)?.spec().route.clone()),
            (None, None) => Err(Failure::Misused("name the route with --route".to_owned()).into()),
        }
    }

    /// The journal of its route, in which it was opened last.
    pub(super) async fn open(&self, session: &Session) -> Result<(Registry, RouteJournal)> {
        open(session, &self.route()?, self.id.as_ref()).await
    }
}

/// The journal of a route, if the rollout that was opened last on it is `id`, or any.
pub(super) async fn open(
    session: &Session,
    route: &RouteId,
    id: Option<&RolloutId>,
) -> Result<(Registry, RouteJournal)> {
    let registry = session.location()?.open().await?;
    let journal = RouteJournal::open(Arc::new(registry.store.clone()), route).await?;
    let (open, _) = latest(&journal)?;
    match id {
        Some(id) if id != open => {
            let why = format!("--id is {id}, but the rollout that was opened last on {route} is {open}");
            Err(Failure::Misused(why).into())
        }
        _ => Ok((registry, journal)),
    }
}

/// The rollout that was opened last.
pub(super) fn latest(journal: &RouteJournal) -> Result<&(RolloutId, Rollout), Error> {
    journal.latest().ok_or(Error::NothingOpened)
}
