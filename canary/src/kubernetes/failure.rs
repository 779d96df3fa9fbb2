//! What an API server's refusals mean for a driver.

use kube::core::Status;

use crate::{ActuatorError, BoxError};

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The object is not as the request took it to be. Read it again.
    Conflict(BoxError),
    /// The same request may succeed later.
    Later(BoxError),
    /// The same request will not succeed.
    Never(BoxError),
}

/// Refusals for which there is a remedy.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it does not exist, or its kind is not installed; create it or correct the name of the route")]
    Absent(#[source] Box<Status>),
    #[error("the client may not do that; grant its account `get` and `patch` on this object")]
    Denied(#[source] Box<Status>),
}

impl Failure {
    /// As what a router answers about `target`.
    pub(super) fn of(self, target: &str) -> ActuatorError {
        let target = target.to_owned();
        match self {
            Self::Conflict(source) | Self::Later(source) => ActuatorError::Unavailable { target, source },
            Self::Never(source) => ActuatorError::Refused { target, source },
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Never(Refusal::Denied(status).into()),
                404 => Self::Never(Refusal::Absent(status).into()),
                // A failed `test` of a JSON patch is 422 at the API server; so is an invalid object.
                409 | 422 => Self::Conflict(status),
                429 => Self::Later(status),
                400..=499 => Self::Never(status),
                _ => Self::Later(status),
            },
            kube::Error::HyperError(error) => Self::Later(error.into()),
            kube::Error::Service(error) => Self::Later(error),
            error => Self::Never(error.into()),
        }
    }
}
