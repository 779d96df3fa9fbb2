//! Why something is not done, as a page.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use maud::html;

use crate::page::Page;

#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    why: String,
    /// Where to go instead.
    location: Option<String>,
    /// When to come again.
    wait: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), location: None, wait: None }
    }

    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, why)
    }

    pub(crate) fn missing(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// Nobody is signed in, and no page was asked for that could say so.
    pub(crate) fn stranger() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "You are not signed in, or no longer. Sign in, and try again.")
    }

    pub(crate) fn elsewhere(location: String) -> Self {
        Self { location: Some(location), ..Self::new(StatusCode::SEE_OTHER, "It goes on elsewhere.") }
    }

    pub(crate) fn busy(status: StatusCode, why: impl Into<String>, wait: Duration) -> Self {
        Self { wait: Some(wait), ..Self::new(status, why) }
    }

    /// Something that is not the browser's fault.
    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        tracing::warn!(?error, "a request failed");
        Self::new(StatusCode::BAD_GATEWAY, format!("This did not work: {error:#}."))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let page = Page { title: "Not done", session: None, ..Page::default() };
        let body = page.html(&html! {
            section.notice.alert role="alert" { h1 { "Not done" } p { bdi { (self.why) } } }
            p { a href="/" { "All routes" } }
        });
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|to| HeaderValue::try_from(to).ok()) {
            headers.insert(LOCATION, location);
        }
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(&error)
    }
}
