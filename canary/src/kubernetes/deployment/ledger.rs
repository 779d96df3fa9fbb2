//! The highest fence of all slots, in a ConfigMap beside them: a slot that is empty has no object to keep it.

use std::{future::Future, pin::pin};

use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::conflict::Conflict;
use crate::{
    ActuatorError, Fence, Rehearsed,
    kubernetes::{
        FENCE,
        failure::Failure,
        head::fence,
        request::{Collection, Kind, MANAGED_BY, MANAGER, rehearsed},
    },
};

/// How often the ConfigMap is read again because another driver wrote it in between.
const ATTEMPTS: usize = 5;

/// Where the highest fence is kept.
#[derive(Clone)]
pub(super) struct Ledger {
    maps: Collection,
    name: String,
    target: String,
}

impl Ledger {
    pub(super) fn new(client: Client, namespace: &str, base: &str) -> Self {
        let name = format!("{base}-tidegate");
        let maps = Collection::new(client, &Kind::CONFIG_MAP, namespace);
        let target = maps.target(&name);
        Self { maps, name, target }
    }

    /// Refuses `offered` when a later fence was seen; remembers it otherwise. Where the ConfigMap is missing,
    /// it begins with what `on_slots` says.
    pub(super) async fn admit(
        &self,
        offered: Fence,
        on_slots: impl Future<Output = Result<Option<Fence>, ActuatorError>> + Send,
    ) -> Result<(), ActuatorError> {
        let failed = |failure: Failure| failure.of(&self.target);
        let mut on_slots = pin!(on_slots);
        let mut found = None;
        let mut attempts = ATTEMPTS;
        loop {
            let kept = self.maps.ask("get", || self.maps.api.get_opt(&self.name)).await.map_err(failed)?;
            let held = match &kept {
                Some(kept) => fence(kept).map_err(|no_fence| failed(Failure::Never(no_fence.into())))?,
                None => match found {
                    Some(held) => held,
                    None => *found.insert(on_slots.as_mut().await?),
                },
            };
            if let Some(held) = held.filter(|held| *held > offered) {
                return Err(ActuatorError::Fenced { offered, held });
            }
            let written = match &kept {
                Some(_) if held == Some(offered) => return Ok(()),
                Some(kept) => self.raise(kept, offered, false).await,
                None => self.begin(offered, false).await,
            };
            attempts -= 1;
            match written {
                Ok(()) => return Ok(()),
                Err(Failure::Conflict(conflict)) => match Conflict::of(conflict) {
                    Conflict::Stale(_) if attempts > 0 => {}
                    Conflict::Stale(why) => return Err(failed(Failure::Later(why, None))),
                    Conflict::Fields(why) => return Err(failed(Failure::Never(why.into()))),
                    Conflict::Invalid(why) => return Err(failed(Failure::Never(why))),
                },
                Err(failure) => return Err(failed(failure)),
            }
        }
    }

    /// Whether a fence could be remembered: the same write, as a dry run.
    pub(super) async fn rehearse(&self, fence: Fence) -> Result<Rehearsed, ActuatorError> {
        let failed = |failure: Failure| failure.of(&self.target);
        let kept = self.maps.ask("get", || self.maps.api.get_opt(&self.name)).await.map_err(failed)?;
        let tried = match &kept {
            Some(kept) => self.raise(kept, fence, true).await,
            None => self.begin(fence, true).await,
        };
        rehearsed(tried).map_err(failed)
    }

    async fn begin(&self, offered: Fence, dry_run: bool) -> Result<(), Failure> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "labels": {MANAGED_BY: MANAGER},
                "annotations": {FENCE: offered.get().to_string()},
            },
        });
        let object = serde_json::from_value(object).expect("it is an object");
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), dry_run };
        self.maps.ask("create", || self.maps.api.create(&params, &object)).await.map(drop)
    }

    async fn raise(&self, kept: &DynamicObject, offered: Fence, dry_run: bool) -> Result<(), Failure> {
        let patch = json!({"metadata": {
            "resourceVersion": kept.metadata.resource_version,
            "annotations": {FENCE: offered.get().to_string()},
        }});
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), dry_run, ..PatchParams::default() };
        let patch = Patch::Merge(&patch);
        self.maps.ask("patch", || self.maps.api.patch(&self.name, &params, &patch)).await.map(drop)
    }
}
