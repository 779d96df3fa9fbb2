//! One object in a cluster: reading it, and changing it by patches that test what they were planned from.

use std::{fmt, time::Duration};

use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::Value;
use tidegate_registry::Seq;

use super::{
    failure::Failure,
    head::Head,
    request::{Collection, Kind, MANAGER, PATIENCE, rehearsed},
    unfit::{NotTakenUp, Unfit},
};
use crate::{ActuatorError, BoxError, Fence, Observed, Rehearsed, RouteId, Traffic};

/// How often a change is planned again because somebody else wrote the object in between.
const ATTEMPTS: usize = 5;

/// The caller's client, and how long it is waited for a server that asks for time.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    pub(super) patience: Duration,
}

/// One object in a cluster.
pub(super) struct Object {
    objects: Collection,
    name: String,
    target: String,
}

/// What a router found in an object. Pure: made from an object, it says what would have to change.
pub(super) trait Reading: Send + Sync {
    /// The object's version and fence.
    fn head(&self) -> &Head;

    /// The traffic that the object asks for.
    fn traffic(&self) -> Result<Traffic, Unfit>;

    /// What is to change so that it asks for `traffic`.
    fn plan(&self, traffic: &Traffic) -> Result<Change, Unfit>;

    /// Whether everybody who acts on the object has taken up what it says, as far as they tell.
    fn taken_up(&self) -> Result<(), NotTakenUp> {
        Ok(())
    }
}

/// A change of an object beside its fence.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// Operations of a JSON patch (RFC 6902).
    pub(super) operations: Vec<Value>,
    /// Annotations to set.
    pub(super) annotations: Vec<(&'static str, String)>,
}

impl Cluster {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, patience: PATIENCE }
    }

    /// The object of this kind that `route` names.
    pub(super) fn object(&self, kind: &'static Kind, route: &RouteId) -> Result<Object, ActuatorError> {
        let target = format!("{} {route}", kind.kind);
        let named = route.as_str().split_once('/').filter(|(a, b)| is_name(a) && is_name(b));
        let Some((namespace, name)) = named else {
            let source = "it is no name of an object; write the route as `namespace/name`".into();
            return Err(ActuatorError::Refused { target, source });
        };
        let objects = Collection::new(self.client.clone(), kind, namespace).with_patience(self.patience);
        Ok(Object { objects, name: name.to_owned(), target })
    }
}

impl Object {
    /// Makes the object ask for `traffic`.
    pub(super) async fn put<R: Reading>(
        &self,
        read: impl Fn(&DynamicObject) -> Result<R, Unfit> + Send + Sync,
        traffic: &Traffic,
        fence: Fence,
    ) -> Result<(), ActuatorError> {
        self.change(read, R::head, |reading: &R| reading.plan(traffic), fence).await
    }

    /// The traffic that is in force, as far as the object tells.
    pub(super) async fn look<R: Reading>(
        &self,
        read: impl Fn(&DynamicObject) -> Result<R, Unfit> + Send + Sync,
    ) -> Result<Observed, ActuatorError> {
        let reading = read(&self.get().await?).map_err(|unfit| self.refused(unfit))?;
        let traffic = reading.traffic().map_err(|unfit| self.refused(unfit))?;
        reading.taken_up().map_err(|why| self.later(why))?;
        Ok(Observed::new(traffic, reading.head().fence))
    }

    /// Makes the change that `plan` finds due in what `read` finds in the object, together with the fence.
    pub(super) async fn change<R: Send + Sync>(
        &self,
        read: impl Fn(&DynamicObject) -> Result<R, Unfit> + Send + Sync,
        head: impl Fn(&R) -> &Head + Send + Sync,
        plan: impl Fn(&R) -> Result<Change, Unfit> + Send + Sync,
        fence: Fence,
    ) -> Result<(), ActuatorError> {
        let read = |object: &DynamicObject| read(object).map_err(|unfit| self.refused(unfit));
        let mut reading = read(&self.get().await?)?;
        let mut attempts = ATTEMPTS;
        loop {
            let now = head(&reading);
            if let Some(held) = now.fence.filter(|held| *held > fence) {
                return Err(ActuatorError::Fenced { offered: fence, held });
            }
            let change = plan(&reading).map_err(|unfit| self.refused(unfit))?;
            if now.fence == Some(fence) && change == Change::default() {
                return Ok(());
            }
            let conflict = match self.patch(now.patch(change, fence), false).await {
                Ok(_) => return Ok(()),
                Err(Failure::Conflict(conflict)) => conflict,
                Err(failure) => return Err(failure.of(&self.target)),
            };
            attempts -= 1;
            if attempts == 0 {
                return Err(self.later(conflict));
            }
            let planned_from = now.version.clone();
            reading = read(&self.get().await?)?;
            if head(&reading).version == planned_from {
                // Nobody else wrote it, so it is the change itself that the server does not accept.
                return Err(self.refused(conflict));
            }
        }
    }

    /// Whether `change` would be made of the object that has this head: the same patch, as a dry run.
    pub(super) async fn rehearse(&self, head: &Head, change: Change) -> Result<Rehearsed, ActuatorError> {
        // Nobody acts with it.
        let fence = head.fence.unwrap_or(Fence::new(Seq::FIRST));
        match rehearsed(self.patch(head.patch(change, fence), true).await.map(drop)) {
            Err(Failure::Conflict(conflict)) => {
                let version = self.get().await?.metadata.resource_version;
                // As long as nobody else wrote it, it is the change itself that the server does not accept.
                let same = version.as_ref() == Some(&head.version);
                Err(if same { self.refused(conflict) } else { self.later(conflict) })
            }
            tried => tried.map_err(|failure| failure.of(&self.target)),
        }
    }

    /// The object as it is.
    pub(super) async fn get(&self) -> Result<DynamicObject, ActuatorError> {
        self.objects
            .ask("get", || self.objects.api.get(&self.name))
            .await
            .map_err(|failure| failure.of(&self.target))
    }

    /// The object as it is, if there is one.
    pub(super) async fn find(&self) -> Result<Option<DynamicObject>, ActuatorError> {
        match self.objects.ask("get", || self.objects.api.get(&self.name)).await {
            Ok(object) => Ok(Some(object)),
            Err(Failure::Absent(_)) => Ok(None),
            Err(failure) => Err(failure.of(&self.target)),
        }
    }

    /// Creates it; `false` when there is one of this name already.
    pub(super) async fn create(&self, object: &DynamicObject) -> Result<bool, ActuatorError> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match self.objects.ask("create", || self.objects.api.create(&params, object)).await {
            Ok(_) => Ok(true),
            Err(Failure::Conflict(conflict)) => match self.find().await? {
                Some(_) => Ok(false),
                None => Err(self.refused(conflict)),
            },
            Err(failure) => Err(failure.of(&self.target)),
        }
    }

    /// A final answer about this object.
    pub(super) fn refused(&self, why: impl Into<BoxError>) -> ActuatorError {
        Failure::Never(why.into()).of(&self.target)
    }

    /// An answer that may become another one with time.
    pub(super) fn later(&self, why: impl Into<BoxError>) -> ActuatorError {
        Failure::Later(why.into(), None).of(&self.target)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn patch(&self, patch: Value, dry_run: bool) -> Result<DynamicObject, Failure> {
        let patch = Patch::Json::<()>(serde_json::from_value(patch).expect("it is a JSON patch"));
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), dry_run, ..PatchParams::default() };
        self.objects.ask("patch", || self.objects.api.patch(&self.name, &params, &patch)).await
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Whether `text` can name an object or a namespace, and so a segment of a path (RFC 1123 subdomain).
pub(super) fn is_name(text: &str) -> bool {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.bytes().all(inner) && outer(text.bytes().next()) && outer(text.bytes().last())
}
