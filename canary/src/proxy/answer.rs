//! Asking a proxy over HTTP within bounds of time and size, and what failures mean for a driver.

use std::{fmt, io, time::Duration};

use reqwest::{
    Client, StatusCode, Url,
    header::{CONNECTION, HeaderValue},
};

use crate::{ActuatorError, BoxError};

/// How long one question may take, the body of the answer included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How much of what somebody else wrote goes into an error, in characters.
const EXCERPT: usize = 300;

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The same call may succeed later.
    Later(BoxError),
    /// The same call will not succeed.
    Never(BoxError),
}

/// No answer that could be used.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("it did not answer within {ANSWER_WITHIN:?}")]
    Late,
    #[error(
        "its answer is longer than {limit} bytes, which none of this kind is; check that it is the right server"
    )]
    Long { limit: usize },
    #[error("it answered HTTP {status}: {text}")]
    Status { status: StatusCode, text: String },
}

impl Failure {
    pub(crate) fn later(source: impl Into<BoxError>) -> Self {
        Self::Later(source.into())
    }

    pub(crate) fn never(source: impl Into<BoxError>) -> Self {
        Self::Never(source.into())
    }

    /// As what a router answers about `target`.
    pub(crate) fn of(self, target: impl fmt::Display) -> ActuatorError {
        let target = target.to_string();
        match self {
            Self::Later(source) => ActuatorError::Unavailable { target, source },
            Self::Never(source) => ActuatorError::Refused { target, source },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidFilename => Self::never(error),
            _ => Self::later(error),
        }
    }
}

/// What is at `url`, at most `limit` bytes. It is asked over a connection that is used for nothing else
/// afterwards, so that the next question reaches whoever accepts connections then.
pub(crate) async fn get(client: &Client, url: Url, limit: usize) -> Result<Vec<u8>, Failure> {
    let asked = async {
        let request = client.get(url).header(CONNECTION, HeaderValue::from_static("close"));
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > limit {
                return Err(Failure::never(Unanswered::Long { limit }));
            }
            body.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK {
            return Ok(body);
        }
        let answer = Unanswered::Status { status, text: excerpt(&body) };
        let again = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        Err(if status.is_server_error() || again { Failure::later(answer) } else { Failure::never(answer) })
    };
    tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or_else(|_| Err(Failure::later(Unanswered::Late)))
}

/// The URL may hold a password, so it is left out.
fn broken(error: reqwest::Error) -> Failure {
    let hopeless = error.is_builder() || error.is_redirect();
    let error = error.without_url();
    if hopeless { Failure::never(error) } else { Failure::later(error) }
}

/// `url` with `path` after its own.
pub(crate) fn below<'a>(url: &Url, path: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = url.clone();
    // A URL without a path to extend is none of a server; asking it will say so.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// The URL without what it may hold of a password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs without a host, which hold no password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// The beginning of what somebody else wrote, short enough for a message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push('…');
    }
    short
}
