//! The objects of the slots, written so that a driver that was superseded cannot undo its successor's work.
//!
//! An API server cannot take a request back that is on its way. So each write is guarded by the object's
//! `uid` and `resourceVersion` as they were *before* the fence was looked up, and each write of a later
//! driver changes that version, if only in the annotation that holds its fence. Whoever was overtaken in
//! between has a conflict, looks again and finds the higher fence.
//!
//! Server-side apply creates what is not there, and nothing can ask it for "only if absent". So an object is
//! first *claimed*: applied under a second manager's name, not by force, as something that runs nothing. Over
//! an object that has come to life meanwhile that is a conflict of fields, and if nobody is left to bring it
//! to life, the slot is as empty as before. Then it is filled like any other, and the claim is given up.

use kube::{
    Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy},
};
use serde_json::{Value, json};
use tidegate_registry::Seq;

use super::{conflict::Conflict, ledger::Ledger, names::Names};
use crate::{
    ActuatorError, BoxError, Fence, Rehearsed, Slot, Workload,
    kubernetes::{
        FENCE,
        failure::Failure,
        head::fence,
        request::{Collection, MANAGED_BY, MANAGER, rehearsed},
    },
};

/// The field manager of claims.
const CLAIMER: &str = "tidegate-claim";
/// How often a change is planned again because somebody else wrote the object in between. Controllers do, a
/// few times right after each change.
const ATTEMPTS: usize = 10;

/// How objects of a kind are made.
pub(in crate::kubernetes) trait Recipe: Send + Sync {
    /// The object in full, as server-side apply takes it, but for its name and what guards it.
    fn wanted(&self, workload: &Workload, place: &Place<'_>) -> Value;

    /// Changes what is wanted so that it runs nothing.
    fn lull(wanted: &mut Value);
}

/// Where an object is to be.
#[derive(Debug)]
pub(in crate::kubernetes) struct Place<'a> {
    /// Its name.
    pub(in crate::kubernetes) name: &'a str,
    /// What is there.
    pub(in crate::kubernetes) live: Option<&'a DynamicObject>,
    /// Whether it is ours: created here, or handed over.
    pub(in crate::kubernetes) ours: bool,
}

/// What keeps the objects of one route's slots.
#[derive(Clone)]
pub(in crate::kubernetes) struct Keeper {
    objects: Collection,
    ledger: Ledger,
    names: Names,
    /// Whether the fence is written on the objects too.
    stamps: bool,
}

/// An object as it was read.
#[derive(Debug)]
pub(in crate::kubernetes) struct Live {
    pub(in crate::kubernetes) object: DynamicObject,
    fence: Option<Fence>,
    uid: String,
    version: String,
}

/// Why an object is let be.
#[derive(Debug, thiserror::Error)]
enum Let {
    #[error("it is still being removed; it can be made again once it is gone")]
    Ending,
    #[error(
        "it was not made by tidegate, so it is not removed; remove it yourself or hand it over, by the label {MANAGED_BY}={MANAGER}"
    )]
    Foreign,
    #[error(
        "others have set what tidegate would change: {0}; take these fields out of what they apply, or hand the object over, by the label {MANAGED_BY}={MANAGER}"
    )]
    Held(String),
    #[error(
        "it has no uid or no resourceVersion, so a change could not be guarded; ask an API server that sets them"
    )]
    Unversioned,
}

impl Keeper {
    pub(in crate::kubernetes) fn new(
        client: Client,
        objects: Collection,
        names: Names,
        stamps: bool,
    ) -> Self {
        let ledger = Ledger::new(client, &objects.namespace, names.base());
        Self { objects, ledger, names, stamps }
    }

    pub(in crate::kubernetes) fn names(&self) -> &Names {
        &self.names
    }

    pub(in crate::kubernetes) fn namespace(&self) -> &str {
        &self.objects.namespace
    }

    pub(in crate::kubernetes) fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// What errors call the object of `slot`.
    pub(in crate::kubernetes) fn target(&self, slot: Slot) -> String {
        self.objects.target(self.names.of(slot))
    }

    pub(in crate::kubernetes) fn refused(&self, slot: Slot, why: impl Into<BoxError>) -> ActuatorError {
        Failure::Never(why.into()).of(&self.target(slot))
    }

    /// The object of `slot`, if there is one.
    pub(in crate::kubernetes) async fn read(&self, slot: Slot) -> Result<Option<Live>, ActuatorError> {
        let read = self.objects.ask("get", || self.objects.api.get_opt(self.names.of(slot))).await;
        let read = read.map_err(|failure| failure.of(&self.target(slot)))?;
        read.map(|object| Live::of(object).map_err(|why| self.refused(slot, why))).transpose()
    }

    /// Makes `workload` what the object of its slot says.
    pub(in crate::kubernetes) async fn ensure<K: Recipe>(
        &self,
        recipe: &K,
        workload: &Workload,
        offered: Fence,
    ) -> Result<(), ActuatorError> {
        let slot = workload.slot;
        let mut attempts = ATTEMPTS;
        let mut claimed = false;
        let mut live = self.read(slot).await?;
        loop {
            match self.admit(offered, live.as_ref()).await {
                Err(ActuatorError::Fenced { offered, held }) => {
                    if let Some(live) = live.filter(|_| claimed) {
                        // Whoever came between has not seen it. If it cannot be removed it still runs
                        // nothing.
                        let _kept = self.delete(slot, &live).await;
                    }
                    return Err(ActuatorError::Fenced { offered, held });
                }
                admitted => admitted?,
            }
            if live.as_ref().is_some_and(Live::ending) {
                return Err(Failure::Later(Let::Ending.into(), None).of(&self.target(slot)));
            }
            let written = match &live {
                None => self.claim(recipe, workload, offered).await.map(Some),
                Some(live) => self.fill(recipe, workload, offered, live).await.map(|()| None),
            };
            attempts -= 1;
            let claim = live.is_none();
            claimed = false;
            live = match written {
                Ok(None) => return Ok(()),
                Ok(Some(object)) => {
                    claimed = true;
                    Some(Live::of(object).map_err(|why| self.refused(slot, why))?)
                }
                Err(Failure::Conflict(conflict)) => {
                    match Conflict::of(conflict) {
                        // Somebody was faster; it is not absent any more.
                        Conflict::Fields(_) if claim && attempts > 0 => {}
                        Conflict::Fields(held) => return Err(self.refused(slot, Let::Held(held))),
                        Conflict::Invalid(why) => return Err(self.refused(slot, why)),
                        Conflict::Stale(_) if attempts > 0 => {}
                        Conflict::Stale(why) => return Err(Failure::Later(why, None).of(&self.target(slot))),
                    }
                    self.read(slot).await?
                }
                Err(failure) => return Err(failure.of(&self.target(slot))),
            };
        }
    }

    /// Whether `workload` could be made what the object of its slot says: the very same apply, as a dry run.
    pub(in crate::kubernetes) async fn rehearse<K: Recipe>(
        &self,
        recipe: &K,
        workload: &Workload,
    ) -> Result<Rehearsed, ActuatorError> {
        let slot = workload.slot;
        let live = self.read(slot).await?;
        if live.as_ref().is_some_and(Live::ending) {
            return Err(Failure::Later(Let::Ending.into(), None).of(&self.target(slot)));
        }
        // Nobody acts with it.
        let fence = live.as_ref().and_then(|live| live.fence).unwrap_or(Fence::new(Seq::FIRST));
        self.ledger.rehearse(fence).await?;
        let tried = match &live {
            None => {
                let place = Place { name: self.names.of(slot), live: None, ours: true };
                let wanted = self.wanted(recipe, workload, fence, &place);
                self.apply("create` and `patch", place.name, &dry(by(MANAGER, false)), &wanted)
                    .await
                    .map(drop)
            }
            Some(live) => self.put(recipe, workload, fence, live, dry).await,
        };
        rehearsed(tried).map_err(|failure| match failure {
            Failure::Conflict(conflict) => match Conflict::of(conflict) {
                Conflict::Fields(held) => self.refused(slot, Let::Held(held)),
                Conflict::Invalid(why) => self.refused(slot, why),
                Conflict::Stale(why) => Failure::Later(why, None).of(&self.target(slot)),
            },
            failure => failure.of(&self.target(slot)),
        })
    }

    /// Removes the object of `slot`; it is gone when everything that it owns is.
    pub(in crate::kubernetes) async fn remove(
        &self,
        slot: Slot,
        offered: Fence,
    ) -> Result<(), ActuatorError> {
        let mut attempts = ATTEMPTS;
        loop {
            let live = self.read(slot).await?;
            self.admit(offered, live.as_ref()).await?;
            let Some(live) = live.filter(|live| !live.ending()) else { return Ok(()) };
            if !live.ours() {
                return Err(self.refused(slot, Let::Foreign));
            }
            attempts -= 1;
            match self.delete(slot, &live).await {
                Ok(()) => return Ok(()),
                Err(Failure::Absent(_)) => return Ok(()),
                Err(Failure::Conflict(_)) if attempts > 0 => {}
                Err(failure) => return Err(failure.of(&self.target(slot))),
            }
        }
    }

    async fn admit(&self, offered: Fence, live: Option<&Live>) -> Result<(), ActuatorError> {
        if let Some(held) = live.and_then(|live| live.fence).filter(|held| *held > offered) {
            return Err(ActuatorError::Fenced { offered, held });
        }
        self.ledger.admit(offered, self.highest()).await
    }

    /// The highest fence on the objects of all slots.
    async fn highest(&self) -> Result<Option<Fence>, ActuatorError> {
        let mut highest = None;
        for slot in [Slot::Stable, Slot::Baseline, Slot::Candidate] {
            highest = highest.max(self.read(slot).await?.and_then(|live| live.fence));
        }
        Ok(highest)
    }

    async fn claim<K: Recipe>(
        &self,
        recipe: &K,
        workload: &Workload,
        offered: Fence,
    ) -> Result<DynamicObject, Failure> {
        let place = Place { name: self.names.of(workload.slot), live: None, ours: true };
        let mut wanted = self.wanted(recipe, workload, offered, &place);
        K::lull(&mut wanted);
        // Servers do not say which of the two is missing.
        self.apply("create` and `patch", place.name, &by(CLAIMER, false), &wanted).await
    }

    async fn fill<K: Recipe>(
        &self,
        recipe: &K,
        workload: &Workload,
        offered: Fence,
        live: &Live,
    ) -> Result<(), Failure> {
        self.put(recipe, workload, offered, live, |params| params).await?;
        if live.claimed() {
            // Without the `uid` it would make what somebody has removed meanwhile.
            let name = self.names.of(workload.slot);
            let nothing = json!({
                "apiVersion": self.objects.kind.api_version(),
                "kind": self.objects.kind.kind,
                "metadata": {"name": name, "uid": live.uid},
            });
            self.apply("patch", name, &by(CLAIMER, false), &nothing).await?;
        }
        Ok(())
    }

    /// Applies what is wanted over `live`, in earnest or not, as `how` says.
    async fn put<K: Recipe>(
        &self,
        recipe: &K,
        workload: &Workload,
        offered: Fence,
        live: &Live,
        how: fn(PatchParams) -> PatchParams,
    ) -> Result<(), Failure> {
        let place = Place { name: self.names.of(workload.slot), live: Some(&live.object), ours: live.ours() };
        let mut wanted = self.wanted(recipe, workload, offered, &place);
        wanted["metadata"]["uid"] = live.uid.clone().into();
        wanted["metadata"]["resourceVersion"] = live.version.clone().into();
        match self.apply("patch", place.name, &how(by(MANAGER, place.ours)), &wanted).await {
            // A router by replicas has put its fence here.
            Err(Failure::Conflict(conflict)) if Conflict::is_with_ourselves(&conflict) => {
                self.apply("patch", place.name, &how(by(MANAGER, true)), &wanted).await.map(drop)
            }
            applied => applied.map(drop),
        }
    }

    fn wanted<K: Recipe>(&self, recipe: &K, workload: &Workload, offered: Fence, place: &Place<'_>) -> Value {
        let mut wanted = recipe.wanted(workload, place);
        wanted["apiVersion"] = self.objects.kind.api_version().into();
        wanted["kind"] = self.objects.kind.kind.into();
        wanted["metadata"]["name"] = place.name.into();
        wanted["metadata"]["namespace"] = self.objects.namespace.clone().into();
        if self.stamps {
            wanted["metadata"]["annotations"][FENCE] = offered.get().to_string().into();
        }
        if place.ours {
            wanted["metadata"]["labels"][MANAGED_BY] = MANAGER.into();
        }
        wanted
    }

    async fn apply(
        &self,
        verb: &'static str,
        name: &str,
        params: &PatchParams,
        object: &Value,
    ) -> Result<DynamicObject, Failure> {
        let patch = Patch::Apply(object);
        self.objects.ask(verb, || self.objects.api.patch(name, params, &patch)).await
    }

    async fn delete(&self, slot: Slot, live: &Live) -> Result<(), Failure> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions {
                resource_version: Some(live.version.clone()),
                uid: Some(live.uid.clone()),
            }),
            ..DeleteParams::default()
        };
        self.objects.ask("delete", || self.objects.api.delete(self.names.of(slot), &params)).await.map(drop)
    }
}

/// An apply in the name of `manager`.
fn by(manager: &str, force: bool) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), force, ..PatchParams::default() }
}

/// The same, as a dry run.
fn dry(params: PatchParams) -> PatchParams {
    params.dry_run()
}

impl Live {
    fn of(object: DynamicObject) -> Result<Self, BoxError> {
        let metadata = &object.metadata;
        let (Some(uid), Some(version)) = (metadata.uid.clone(), metadata.resource_version.clone()) else {
            return Err(Let::Unversioned.into());
        };
        Ok(Self { fence: fence(&object)?, uid, version, object })
    }

    /// Whether it is being removed.
    pub(in crate::kubernetes) fn ending(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    fn ours(&self) -> bool {
        let labels = self.object.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == MANAGER)
    }

    /// Whether a claim on it was not given up yet.
    fn claimed(&self) -> bool {
        let managers = self.object.metadata.managed_fields.iter().flatten();
        managers.into_iter().any(|entry| entry.manager.as_deref() == Some(CLAIMER))
    }
}
