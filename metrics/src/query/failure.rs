//! Why a server gave no answer.

use reqwest::StatusCode;

use crate::{BoxError, Error, http::excerpt};

/// Why a server gave no answer to one question, sorted by what the caller can do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// It refused the client's credentials.
    Denied(BoxError),
    /// It answered something that is no answer, or refused the question itself.
    Malformed(BoxError),
    /// It answered in part only, for this reason. That is no measurement; later it may be whole.
    Partial(String),
    /// It could not be reached, was too slow or too busy.
    Unavailable(BoxError),
}

impl Failure {
    /// [`Self::Malformed`], in the words of the source. What they repeat of somebody else's is cut short.
    pub fn malformed(problem: impl AsRef<str>) -> Self {
        Self::Malformed(excerpt(problem.as_ref()).into())
    }

    /// By the status of an HTTP answer.
    #[must_use]
    pub fn by_status(status: StatusCode, cause: BoxError) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied(cause),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Unavailable(cause),
            status if status.is_server_error() => Self::Unavailable(cause),
            _ => Self::Malformed(cause),
        }
    }

    /// The error of the source that is called `source_name`, asked for `metric`.
    #[must_use]
    pub fn into_error(self, source_name: String, metric: String) -> Error {
        match self {
            Self::Denied(source) => Error::Denied { source_name, metric, source },
            Self::Malformed(source) => Error::Malformed { source_name, metric, source },
            Self::Partial(cause) => Error::Unavailable { source_name, metric, source: cause.into() },
            Self::Unavailable(source) => Error::Unavailable { source_name, metric, source },
        }
    }
}
