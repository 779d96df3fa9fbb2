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
