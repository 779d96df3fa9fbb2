//! Where a server is.

use std::fmt;

use reqwest::Url;

use crate::BoxError;

/// The base URL of a server. What it may hold of a password is sent, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(Url);

/// The base URL of a server cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the base URL of {server} must be absolute http or https, like {like}")]
#[non_exhaustive]
pub struct InvalidBaseUrl {
    /// The kind of server.
    pub server: &'static str,
    /// What its URL looks like.
    pub like: &'static str,
    /// What is wrong with it, if it is no URL at all.
    pub source: Option<BoxError>,
}

impl BaseUrl {
    /// Parses the URL of a `server`, whose URLs look `like` this. It is not repeated in the error, since it may
    /// hold a password.
    pub(crate) fn parse(
        text: &str,
        server: &'static str,
        like: &'static str,
    ) -> Result<Self, InvalidBaseUrl> {
        let mut url =
            Url::parse(text).map_err(|error| InvalidBaseUrl { server, like, source: Some(error.into()) })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl { server, like, source: None });
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The URL of `path` below it.
    pub(crate) fn join<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // A URL of scheme http(s) always has a path to extend.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Both fail only for URLs without a host, which http(s) URLs have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
