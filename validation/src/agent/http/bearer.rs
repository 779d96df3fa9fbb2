//! The token of an endpoint, which is sent and never shown.

use std::fmt;

use reqwest::header::HeaderValue;
use tidegate_registry::Invalid;

/// A token, and the header that it is sent in.
pub(crate) struct Bearer {
    token: String,
    header: HeaderValue,
}

impl Bearer {
    pub(crate) fn new(token: String) -> Result<Self, Invalid> {
        let invalid = |why| Invalid::new("bearer token", "(hidden)", why);
        if token.is_empty() {
            return Err(invalid("it is empty; leave it out if the endpoint asks for none"));
        }
        let header = format!("Bearer {token}").parse::<HeaderValue>().ok();
        let header = header.filter(|_| token.bytes().all(|byte| byte.is_ascii_graphic()));
        let mut header = header.ok_or_else(|| {
            invalid("it has blanks, line breaks or letters beyond ASCII; take off what is not the token")
        })?;
        header.set_sensitive(true);
        Ok(Self { token, header })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// `text` without the token. Hide first and cut afterwards: half a token is not found any more.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(&self.token, "(token)")
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
