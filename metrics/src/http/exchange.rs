//! What went over the wire, for people who want to see for themselves.

use std::fmt;

use reqwest::{Method, Request, StatusCode, Url};

/// One question and its answer, as they were sent. Headers are left out, since they hold credentials.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// How it was asked.
    pub method: Method,
    /// Where, without a user and a password.
    pub url: Url,
    /// The body of the question, if it had one of text.
    pub question: Option<&'a str>,
    /// The status of the answer.
    pub status: StatusCode,
    /// The body of the answer.
    pub answer: &'a [u8],
}

/// A question that is about to be sent.
pub(super) struct Question {
    method: Method,
    url: Url,
    body: Option<String>,
}

impl Question {
    pub(super) fn of(request: &Request) -> Self {
        let mut url = request.url().clone();
        // Both fail only for URLs without a host, which http(s) URLs have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let body = request.body().and_then(|body| body.as_bytes());
        let body = body.and_then(|body| std::str::from_utf8(body).ok()).map(str::to_owned);
        Self { method: request.method().clone(), url, body }
    }

    pub(super) fn answered(self, status: StatusCode, answer: &[u8], watch: &dyn Fn(&Exchange<'_>)) {
        let Self { method, url, body } = self;
        watch(&Exchange { method, url, question: body.as_deref(), status, answer });
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("question", &self.question)
            .field("status", &self.status)
            .field("answer", &format_args!("{} bytes", self.answer.len()))
            .finish()
    }
}
