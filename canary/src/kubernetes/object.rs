//! One object in a cluster: reading it, and changing it by patches that test what they were planned from.

use std::{fmt, future::Future, time::Duration};

use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::Value;

use super::{
    failure::{Deed, Failure},
    head::Head,
    unfit::{NotTakenUp, Unfit},
};
use crate::{ActuatorError, BoxError, Fence, Observed, RouteId, Traffic};

/// How often a change is planned again because somebody else wrote the object in between.
const ATTEMPTS: usize = 5;
/// How long one request to the API server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long one request waits in all where the server asks to be called again later (Retry-After).
const PATIENCE: Duration = Duration::from_secs(30);
/// Whose changes they are, in the objects' `managedFields`.
const MANAGER: &str = "tidegate";

/// A kind of object, as the API server names it.
#[derive(Debug)]
pub(super) struct Kind {
    /// Empty for the core group.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
}

/// The caller's client, and how long it is waited for a server that asks for time.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    pub(super) patience: Duration,
}

/// One object in a cluster.
pub(super) struct Object {
    api: Api<DynamicObject>,
    kind: &'static Kind,
    namespace: String,
    name: String,
    target: String,
    patience: Duration,
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
        let api = Api::namespaced_with(self.client.clone(), namespace, &kind.resource());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Object { api, kind, namespace, name, target, patience: self.patience })
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
            let conflict = match self.patch(now.patch(change, fence)).await {
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

    /// The object as it is.
    pub(super) async fn get(&self) -> Result<DynamicObject, ActuatorError> {
        self.ask("get", || self.api.get(&self.name)).await.map_err(|failure| failure.of(&self.target))
    }

    /// The object as it is, if there is one.
    pub(super) async fn find(&self) -> Result<Option<DynamicObject>, ActuatorError> {
        match self.ask("get", || self.api.get(&self.name)).await {
            Ok(object) => Ok(Some(object)),
            Err(Failure::Absent(_)) => Ok(None),
            Err(failure) => Err(failure.of(&self.target)),
        }
    }

    /// Creates it; `false` when there is one of this name already.
    pub(super) async fn create(&self, object: &DynamicObject) -> Result<bool, ActuatorError> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match self.ask("create", || self.api.create(&params, object)).await {
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

    async fn patch(&self, patch: Value) -> Result<DynamicObject, Failure> {
        let patch = Patch::Json::<()>(serde_json::from_value(patch).expect("it is a JSON patch"));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.ask("patch", || self.api.patch(&self.name, &params, &patch)).await
    }

    /// Asks, and again after the time that the server names, while patience lasts.
    async fn ask<T, F>(&self, verb: &'static str, request: impl Fn() -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = kube::Result<T>> + Send,
    {
        let mut patience = self.patience;
        loop {
            let answer = match tokio::time::timeout(ANSWER_WITHIN, request()).await {
                Ok(answer) => answer.map_err(|error| Failure::new(error, self.deed(verb))),
                Err(elapsed) => Err(Failure::Later(elapsed.into(), None)),
            };
            match answer {
                Err(Failure::Later(_, Some(after))) if after <= patience => {
                    patience -= after;
                    tokio::time::sleep(after).await;
                }
                answer => return answer,
            }
        }
    }

    fn deed(&self, verb: &'static str) -> Deed {
        let Kind { group, plural, .. } = self.kind;
        let resource = if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") };
        Deed { verb, resource, namespace: self.namespace.clone() }
    }
}

impl Kind {
    pub(super) fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version: self.api_version(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") }
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
