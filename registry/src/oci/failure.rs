//! What a registry's answers mean.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::Error;

/// Why a request did not do what was asked. Never says anything that a server could have been given in
/// confidence: no URL, because upload locations and redirects carry signatures, and of a server's own
/// words only its error codes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it answered {status}{codes}")]
    Answer { status: StatusCode, codes: Codes },
    #[error("the request failed")]
    Broken(#[source] reqwest::Error),
    #[error("it breaks the distribution protocol: {0}")]
    Protocol(&'static str),
}

/// The error codes of an answer, such as `MANIFEST_INVALID`.
#[derive(Debug, Default)]
pub(super) struct Codes(Vec<String>);

impl Failure {
    pub(super) fn answer(status: StatusCode, body: &[u8]) -> Self {
        Self::Answer { status, codes: Codes::of(body) }
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Answer { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether a range was asked for that is not there.
    pub(super) fn is_beyond(&self) -> bool {
        matches!(self, Self::Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, .. })
    }

    /// Whether the same request will be answered in the same way.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Answer { status, .. } => {
                status.is_client_error()
                    && !matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Broken(error) => error.is_builder() || error.is_redirect(),
            Self::Protocol(_) => true,
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(error.without_url())
    }
}

/// What `failure` means to the caller who wanted to `action`.
pub(super) fn failure(store: impl fmt::Display, action: &'static str) -> impl FnOnce(Failure) -> Error {
    move |failure| {
        let store = store.to_string();
        if failure.is_refusal() {
            Error::Refused { store, action, source: failure.into() }
        } else {
            Error::Unavailable { store, action, source: failure.into() }
        }
    }
}

impl Codes {
    const MOST: usize = 4;
    const LONGEST: usize = 40;

    /// From a body as the distribution specification has it; nothing from any other.
    fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<Code>,
        }
        #[derive(Deserialize)]
        struct Code {
            code: String,
        }
        let Ok(Body { errors }) = serde_json::from_slice(body) else { return Self::default() };
        let is_code = |code: &String| {
            code.len() <= Self::LONGEST && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        Self(errors.into_iter().map(|error| error.code).filter(is_code).take(Self::MOST).collect())
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_are_repeated() {
        let body =
            br#"{"errors":[{"code":"DENIED","message":"no hunter2"},{"code":"your password is hunter2"}]}"#;
        assert_eq!(
            Failure::answer(StatusCode::FORBIDDEN, body).to_string(),
            "it answered 403 Forbidden (DENIED)"
        );
        let page = Failure::answer(StatusCode::BAD_GATEWAY, b"<html>hunter2");
        assert_eq!(page.to_string(), "it answered 502 Bad Gateway");
    }

    #[test]
    fn what_may_pass_is_transient() {
        for (status, transient) in [(401, false), (404, false), (408, true), (429, true), (500, true)] {
            let failed = Failure::answer(StatusCode::from_u16(status).unwrap(), b"");
            assert_eq!(failure("r", "read")(failed).is_transient(), transient, "{status}");
        }
    }
}
