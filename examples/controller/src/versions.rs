//! What the registry has of what a release wants.

use std::sync::Arc;

use anyhow::Result;
use tidegate::{
    canary::{Release, RouteId},
    registry::{Channel, Channels, Error, Log, ModelRef, ModelStore as _, ObjectBacked},
};

use crate::{
    course::{Past, Wish},
    plan::plan,
    status::Problem,
};

/// Versions and channels.
pub(crate) struct Versions {
    store: ObjectBacked,
    channels: Channels,
}

impl Versions {
    pub(crate) fn new(store: ObjectBacked) -> Self {
        let log: Arc<dyn Log> = Arc::new(store.clone());
        Self { store, channels: Channels::new(log) }
    }

    /// Puts what is in service, what is wanted and the way there into `wish`, and says what stands against it. What
    /// only time mends is an error.
    pub(crate) async fn complete(
        &self,
        wish: &mut Wish<'_>,
        route: &RouteId,
        past: Past<'_>,
    ) -> Result<Option<Problem>> {
        let problem = |reason, message| Ok(Some(Problem { reason, message }));
        let spec = wish.spec;
        let wanted: ModelRef = match format!("{}@{}", spec.model, spec.version).parse() {
            Ok(wanted) => wanted,
            Err(error) => return problem("InvalidSpec", format!("{error:#}")),
        };
        let said = spec.plan.get("channel").and_then(|said| said.as_str());
        let channel: Channel = match said.map_or_else(|| Ok(Channel::production()), str::parse) {
            Ok(channel) => channel,
            Err(error) => return problem("InvalidSpec", format!("spec.plan.channel: {error:#}")),
        };
        wish.stable = match self.channels.current(wanted.name(), &channel).await {
            Ok(current) => current.map(|current| current.to),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return unless_transient(error),
        };
        let candidate = match self.store.manifest(&wanted).await {
            Ok(manifest) => Release::from(&manifest),
            Err(error) => return unless_transient(error),
        };
        let pinned = spec.digest.as_ref().filter(|pinned| **pinned != candidate.digest.to_string());
        if let Some(pinned) = pinned {
            let is = candidate.digest;
            return problem("OtherDigest", format!("spec.digest is {pinned}, but {wanted} is {is}"));
        }
        wish.candidate = Some(candidate.clone());
        let from = match (past.under_way().filter(|(id, _)| wish.opened(id)), &wish.stable) {
            (Some((_, rollout)), _) => rollout.plan().stable.clone(),
            (None, Some(stable)) => match self.store.manifest(stable).await {
                Ok(manifest) => Release::from(&manifest),
                Err(error) => return unless_transient(error),
            },
            (None, None) => {
                let remedy =
                    "let a first version run in the stable slot and promote it by `tidegate promote`";
                return problem(
                    "NothingInService",
                    format!("nothing of {} is in {channel} yet; {remedy}", spec.model),
                );
            }
        };
        if from.model == wanted {
            return Ok(None);
        }
        match plan(&spec.plan, route, &from, &candidate) {
            Ok(plan) => {
                wish.plan = Some(plan);
                Ok(None)
            }
            Err(error) => problem("InvalidPlan", format!("{error:#}")),
        }
    }
}

fn unless_transient(error: Error) -> Result<Option<Problem>> {
    if error.is_transient() {
        return Err(error.into());
    }
    let reason = if matches!(error, Error::NotFound { .. }) { "NotPublished" } else { "RegistryRefused" };
    Ok(Some(Problem { reason, message: format!("{:#}", anyhow::Error::new(error)) }))
}
