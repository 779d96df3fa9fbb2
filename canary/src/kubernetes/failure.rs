//! What an API server's refusals mean for whoever acts.

use std::time::Duration;

use kube::core::Status;

use crate::{ActuatorError, BoxError};

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such object, or no such kind.
    Absent(BoxError),
    /// The object is not as the request took it to be. Read it again.
    Conflict(BoxError),
    /// The same request may succeed later; after this time, if the server names one.
    Later(BoxError, Option<Duration>),
    /// The same request will not succeed.
    Never(BoxError),
}

/// A request, as rights are granted for it.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) verb: &'static str,
    /// The plural with its group, such as `httproutes.gateway.networking.k8s.io`.
    pub(super) resource: String,
    pub(super) namespace: String,
}

/// Refusals for which there is a remedy.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it does not exist, or its kind `{resource}` is not installed; create it or correct its name")]
    Absent { resource: String, source: Box<Status> },
    #[error(
        "its admission refuses this; mend the quota, the policy or the webhook that the server names, or what it objects to"
    )]
    Admission { source: Box<Status> },
    #[error(
        "the client may not `{verb}` `{resource}` in namespace `{namespace}`; grant its account that verb by a Role and a RoleBinding"
    )]
    Denied { verb: &'static str, resource: String, namespace: String, source: Box<Status> },
    #[error(
        "the server does not know who wants to `{verb}` `{resource}`; give the client a credential that is valid"
    )]
    Unknown { verb: &'static str, resource: String, source: Box<Status> },
}

impl Failure {
    /// What `error` means for `deed`.
    pub(super) fn new(error: kube::Error, deed: Deed) -> Self {
        let Deed { verb, resource, namespace } = deed;
        match error {
            kube::Error::Api(source) => match source.code {
                401 => Self::Never(Refusal::Unknown { verb, resource, source }.into()),
                _ if is_admission(&source) => Self::Never(Refusal::Admission { source }.into()),
                403 => Self::Never(Refusal::Denied { verb, resource, namespace, source }.into()),
                404 => Self::Absent(Refusal::Absent { resource, source }.into()),
                // A failed `test` of a JSON patch is 422 at the API server; so is an invalid object.
                409 | 422 => Self::Conflict(source),
                400..=428 | 430..=499 => Self::Never(source),
                _ => {
                    let after = source.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                    Self::Later(source, (after > 0).then(|| Duration::from_secs(after.into())))
                }
            },
            kube::Error::HyperError(error) => Self::Later(error.into(), None),
            kube::Error::Service(error) => Self::Later(error, None),
            error => Self::Never(error.into()),
        }
    }

    /// As what a router answers about `target`.
    pub(super) fn of(self, target: &str) -> ActuatorError {
        let target = target.to_owned();
        match self {
            Self::Conflict(source) | Self::Later(source, _) => ActuatorError::Unavailable { target, source },
            Self::Absent(source) | Self::Never(source) => ActuatorError::Refused { target, source },
        }
    }
}

/// Whether a quota, a policy or a webhook is against it. What an authorizer is against says `User "…" cannot …`; or, where
/// an apply would have created something, its reason alone, which RBAC has none or begins with its name.
fn is_admission(status: &Status) -> bool {
    let Status { code, message, .. } = status;
    let reason =
        message.split_once("is forbidden: ").map(|(_, reason)| reason.trim_start_matches([':', ' ']));
    let denied = |reason: &str| {
        ["", "Forbidden"].contains(&reason) || reason.starts_with("RBAC") || reason.contains(" cannot ")
    };
    let forbidden = *code == 403 && reason.is_some_and(|reason| !denied(reason));
    forbidden || message.contains("denied the request")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_against_it_is_told_apart() {
        let said = |code: u16, message: &str| {
            let status = json!({"status": "Failure", "code": code, "message": message});
            let error = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
            let deed =
                Deed { verb: "patch", resource: "deployments.apps".to_owned(), namespace: "a".to_owned() };
            match Failure::new(error, deed) {
                Failure::Never(why) => why.to_string(),
                failure => panic!("{failure:?}"),
            }
        };
        for (code, message) in [
            (
                403,
                "deployments.apps \"x\" is forbidden: exceeded quota: few, requested: count/deployments.apps=1",
            ),
            (403, "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged"),
            (400, "admission webhook \"images.example\" denied the request: not signed"),
        ] {
            let said = said(code, message);
            assert!(said.starts_with("its admission refuses this"), "{said}");
        }
        let denied =
            "deployments.apps \"x\" is forbidden: User \"ada\" cannot patch resource \"deployments\"";
        // What an apply says that may change the object and not create it.
        let bare = "deployments.apps \"x\" is forbidden: : Forbidden";
        for message in [denied, bare, "no"] {
            let said = said(403, message);
            assert!(said.starts_with("the client may not `patch`"), "{said}");
        }
    }
}
