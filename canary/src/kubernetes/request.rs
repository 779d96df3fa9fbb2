//! Requests to an API server: what they are about, how long they may take, and what their failure means.

use std::{future::Future, time::Duration};

use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject},
    core::Status,
};

use super::failure::{Deed, Failure};
use crate::{BoxError, Rehearsed};

/// Whose changes they are, in the objects' `managedFields`, and whose the objects are that are made here.
pub(super) const MANAGER: &str = "tidegate";
/// The label that says whose an object is.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// How long one request waits in all where the server asks to be called again later (Retry-After).
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request to the API server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a kind that is not served is asked for again before it is taken for one that is not installed: a server that
/// has just started serves custom resources only once it has read their definitions.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two such requests.
const SERVED_AGAIN: Duration = Duration::from_secs(1);

/// A kind of object, as the API server names it.
#[derive(Debug)]
pub(super) struct Kind {
    /// Empty for the core group.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
}

/// Objects of one kind in one namespace.
#[derive(Clone)]
pub(super) struct Collection {
    pub(super) api: Api<DynamicObject>,
    pub(super) kind: &'static Kind,
    pub(super) namespace: String,
    patience: Duration,
}

impl Kind {
    pub(super) const CONFIG_MAP: Self =
        Self { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" };
    pub(super) const DEPLOYMENT: Self =
        Self { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" };
    pub(super) const CONTROLLER_REVISION: Self =
        Self { group: "apps", version: "v1", kind: "ControllerRevision", plural: "controllerrevisions" };
    pub(super) const POD: Self = Self { group: "", version: "v1", kind: "Pod", plural: "pods" };
    pub(super) const REPLICA_SET: Self =
        Self { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets" };
    pub(super) const STATEFUL_SET: Self =
        Self { group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets" };

    /// The group and the version, as objects name them.
    pub(super) fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") }
    }

    fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version: self.api_version(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

impl Collection {
    pub(super) fn new(client: Client, kind: &'static Kind, namespace: &str) -> Self {
        let api = Api::namespaced_with(client, namespace, &kind.resource());
        Self { api, kind, namespace: namespace.to_owned(), patience: PATIENCE }
    }

    pub(super) const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What errors call the object `name`.
    pub(super) fn target(&self, name: &str) -> String {
        format!("{} {}/{name}", self.kind.kind, self.namespace)
    }

    /// Asks, with the right to `verb`, and again after the time that the server names, while patience lasts; and for a
    /// while where the kind is not served.
    pub(super) async fn ask<T, F>(
        &self,
        verb: &'static str,
        request: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Failure>
    where
        F: Future<Output = kube::Result<T>> + Send,
    {
        let mut patience = self.patience;
        let mut unserved = SERVED_WITHIN.min(patience);
        loop {
            let answer = match tokio::time::timeout(ANSWER_WITHIN, request()).await {
                Ok(Err(kube::Error::Api(status))) if is_unserved(&status) && !unserved.is_zero() => {
                    unserved = unserved.saturating_sub(SERVED_AGAIN);
                    tokio::time::sleep(SERVED_AGAIN).await;
                    continue;
                }
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

/// Whether it is the path that is not there, of which a server says no more than Go's `http.NotFound`; of an object that is
/// not there it says which in a `Status`.
fn is_unserved(status: &Status) -> bool {
    status.code == 404 && status.message.starts_with("404 page not found")
}

/// What a dry run has shown. A webhook that does not say that it has no side effects cannot be asked by one, and then
/// the server refuses every dry run, whatever is in it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
pub(super) fn rehearsed(tried: Result<(), Failure>) -> Result<Rehearsed, Failure> {
    match tried {
        Ok(()) => Ok(Rehearsed::Accepted),
        Err(Failure::Never(refused)) if is_not_for_dry_runs(&refused) => Ok(Rehearsed::Unknown),
        Err(failure) => Err(failure),
    }
}

fn is_not_for_dry_runs(refused: &BoxError) -> bool {
    let status = refused.downcast_ref::<Status>();
    status.is_some_and(|status| status.code == 400 && status.message.contains("does not support dry run"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_webhook_that_cannot_be_asked_leaves_it_unknown() {
        let answer = |code: u16, message: &str| {
            let status = json!({"status": "Failure", "code": code, "message": message});
            Err(Failure::Never(Box::new(serde_json::from_value::<Status>(status).unwrap())))
        };
        let unsupported = answer(400, "admission webhook \"images.example\" does not support dry run");
        assert_eq!(rehearsed(unsupported).unwrap(), Rehearsed::Unknown);
        assert_eq!(rehearsed(Ok(())).unwrap(), Rehearsed::Accepted);
        for refused in
            [answer(400, "no"), answer(403, "it does not support dry run"), Err(Failure::Never("no".into()))]
        {
            assert!(matches!(rehearsed(refused), Err(Failure::Never(_))));
        }
    }
}
