//! What went wrong, as problem details (RFC 9457) that say what to do.

use axum::{
    Json,
    extract::rejection::JsonRejection,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use tidegate::{canary, registry};

/// Why a request was not done, and what to do about it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The kind of problem, as a URI that is the same for all of its kind.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What was wrong this time.
    detail: String,
    /// What to do about it.
    remedy: String,
}

/// The kinds of problems: what a client does about them differs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The route, or the id, is another rollout's.
    Conflict,
    /// The token is of another role.
    Forbidden,
    /// What is asked for is understood, and makes no sense.
    Invalid,
    /// What is asked for is not understood.
    Malformed,
    /// There is something, but it does not answer to this method.
    MethodNotAllowed,
    /// There is no such thing.
    NotFound,
    /// It is not possible now.
    NotPossible,
    /// It took too long to say what is asked for.
    TooSlow,
    /// Nobody whose token is known.
    Unauthorized,
    /// The same may work later.
    Unavailable,
    /// A fault that waiting does not mend.
    Unusable,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (status, name, title) = kind.parts();
        Self {
            kind: format!("tag:tidegate.dev,2026:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn no_rollout(id: &str) -> Self {
        let detail = format!("There is no rollout `{id}` here.");
        Self::new(Kind::NotFound, detail, "GET /rollouts lists those that there are.")
    }
}

impl Kind {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Another rollout is in the way"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The token does not permit it"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "It makes no sense"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "It is not understood"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "It has no such method")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::NotPossible => (StatusCode::CONFLICT, "not-possible", "It is not possible now"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "The request took too long"),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "The token is missing or unknown")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "It cannot be done now"),
            Self::Unusable => (StatusCode::INTERNAL_SERVER_ERROR, "unusable", "What it needs is damaged"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// Errors of tidegate say the remedy themselves; here is what it means for a client of this API.
impl From<canary::Error> for Problem {
    fn from(error: canary::Error) -> Self {
        use canary::Error as E;

        let (kind, remedy) = match &error {
            E::Busy { .. } | E::Followed { .. } | E::Held { .. } => {
                (Kind::Conflict, "Wait for its end, or abort it, then start again.")
            }
            E::IdUsed { .. } | E::PlanChanged { .. } => (Kind::Conflict, "Start it under another id."),
            E::Illegal(_) => (Kind::NotPossible, "Look where the rollout is, and what is `possible` there."),
            error if error.is_transient() => (Kind::Unavailable, "Send the same again later."),
            E::Stopped | E::Superseded => {
                (Kind::Unavailable, "Look at the rollout again: somebody else drives it, or it is over.")
            }
            _ => (Kind::Unusable, "Have the operators of this service look at its log and its registry."),
        };
        Self::new(kind, in_words(&error), remedy)
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let (kind, remedy) = match &error {
            registry::Error::NotFound { .. } | registry::Error::Invalid(_) => {
                (Kind::Invalid, "Correct the name in the plan, or publish the version first.")
            }
            // Another of these services wrote at this moment.
            registry::Error::SeqTaken { .. } => (Kind::Unavailable, "Send the same again."),
            error if error.is_transient() => (Kind::Unavailable, "Send the same again later."),
            _ => (Kind::Unusable, "Have the operators of this service look at its log and its registry."),
        };
        Self::new(kind, in_words(&error), remedy)
    }
}

impl From<canary::ActuatorError> for Problem {
    fn from(error: canary::ActuatorError) -> Self {
        Self::new(Kind::Unavailable, in_words(&error), "Send the same again later.")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let (kind, remedy) = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => (Kind::Invalid, "GET /openapi.json says what belongs there."),
            StatusCode::PAYLOAD_TOO_LARGE => (Kind::Malformed, "Send a shorter body."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (Kind::Malformed, "Send `Content-Type: application/json`."),
            _ => (Kind::Malformed, "Send one document of JSON."),
        };
        let status = rejection.status().as_u16();
        Self { status, ..Self::new(kind, rejection.body_text(), remedy) }
    }
}

/// An error with its causes.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}
