//! Requests to an API server: patient for a while, and told apart by what their failure means.

use std::{future::Future, time::Duration};

use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject},
    core::Status,
};
use tidegate_registry::Seq;

use crate::{
    BoxError, Fence,
    kubernetes::{
        FENCE,
        failure::{Deed, Failure},
    },
};

/// How long one request to the API server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How many conflicts of one answer are repeated.
const CONFLICTS: usize = 8;

/// Objects of one kind in one namespace.
#[derive(Clone)]
pub(in crate::kubernetes) struct Collection {
    pub(in crate::kubernetes) api: Api<DynamicObject>,
    pub(in crate::kubernetes) kind: ApiResource,
    pub(in crate::kubernetes) namespace: String,
}

impl Collection {
    /// Those of `kind`, whose group is empty for the core group.
    pub(in crate::kubernetes) fn new(
        client: Client,
        namespace: &str,
        [group, version, kind, plural]: [&str; 4],
    ) -> Self {
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let kind = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let api = Api::namespaced_with(client, namespace, &kind);
        Self { api, kind, namespace: namespace.to_owned() }
    }

    /// What errors call the object `name`.
    pub(in crate::kubernetes) fn target(&self, name: &str) -> String {
        format!("{} {}/{name}", self.kind.kind, self.namespace)
    }

    /// Waits for the answer to `request`, for which the right to `verb` is needed.
    pub(in crate::kubernetes) async fn ask<T>(
        &self,
        verb: &'static str,
        request: impl Future<Output = kube::Result<T>> + Send,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(ANSWER_WITHIN, request).await {
            Ok(answer) => answer.map_err(|error| Failure::new(error, self.deed(verb))),
            Err(elapsed) => Err(Failure::Later(elapsed.into(), None)),
        }
    }

    fn deed(&self, verb: &'static str) -> Deed {
        let ApiResource { group, plural, .. } = &self.kind;
        let resource = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
        Deed { verb, resource, namespace: self.namespace.clone() }
    }
}

/// Why an apply met a conflict.
#[derive(Debug)]
pub(super) enum Conflict {
    /// It changes fields of other managers, which are listed.
    Fields(String),
    /// The server does not accept the object as it would become.
    Invalid(BoxError),
    /// The object is not as it was read.
    Stale(BoxError),
}

impl Conflict {
    pub(super) fn of(answer: BoxError) -> Self {
        let Some(status) = answer.downcast_ref::<Status>() else { return Self::Stale(answer) };
        if status.code == 422 {
            return Self::Invalid(answer);
        }
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let fields: Vec<_> = causes
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .take(CONFLICTS)
            // "conflict with "helm" using apps/v1"
            .map(|cause| format!("{} ({})", clip(&cause.field, 120), clip(&cause.message, 120)))
            .collect();
        if fields.is_empty() { Self::Stale(answer) } else { Self::Fields(fields.join(", ")) }
    }
}

/// An annotation that holds no fence.
#[derive(Debug, thiserror::Error)]
#[error("its annotation `{FENCE}` is `{0}`, which is no positive number; remove the annotation")]
pub(super) struct NoFence(String);

/// The fence in the annotations of `object`, if there is one.
pub(super) fn fence(object: &DynamicObject) -> Result<Option<Fence>, NoFence> {
    let value = object.metadata.annotations.as_ref().and_then(|all| all.get(FENCE));
    value
        .map(|value| {
            let seq = value.parse().ok().and_then(Seq::new);
            seq.map(Fence::new).ok_or_else(|| NoFence(clip(value, 40)))
        })
        .transpose()
}

/// At most `longest` characters of a text from outside, none of them a control character.
pub(in crate::kubernetes) fn clip(text: &str, longest: usize) -> String {
    let mut shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = shown.by_ref().take(longest).collect();
    if shown.next().is_some() {
        clipped.push('…');
    }
    clipped
}
