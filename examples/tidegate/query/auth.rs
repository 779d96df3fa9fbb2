//! Credentials by the names of environment variables, so that files hold none.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::failure::Failure;

/// Headers that every question carries.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// A bearer token.
    pub(super) bearer_env: Option<String>,
    /// `USER:PASSWORD`.
    pub(super) basic_env: Option<String>,
    /// Any header.
    pub(super) headers_env: BTreeMap<String, String>,
}

impl Auth {
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if self.bearer_env.is_some() && self.basic_env.is_some() {
            let why = "bearer_env and basic_env are of one header; name one of them";
            return Err(Failure::Misused(why.to_owned()).into());
        }
        if let Some(name) = &self.bearer_env {
            headers.insert(AUTHORIZATION, header(&format!("Bearer {}", value(name)?), name)?);
        }
        if let Some(name) = &self.basic_env {
            let encoded = BASE64_STANDARD.encode(value(name)?);
            headers.insert(AUTHORIZATION, header(&format!("Basic {encoded}"), name)?);
        }
        for (header_name, name) in &self.headers_env {
            let header_name: HeaderName = header_name.parse().map_err(|_| {
                Failure::Misused(format!("`{header_name}` in headers_env is no header's name"))
            })?;
            headers.insert(header_name, secret(name)?);
        }
        Ok(headers)
    }
}

/// What a variable of the environment holds, as the value of a header.
pub(super) fn secret(name: &str) -> Result<HeaderValue> {
    header(&value(name)?, name)
}

fn header(text: &str, name: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        Failure::Misused(format!(
            "environment variable `{name}` holds what no header can hold; is it the right one?"
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn value(name: &str) -> Result<String> {
    let missing =
        || Failure::Misused(format!("environment variable `{name}` is not set or empty; export it"));
    Ok(variable(name)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .ok_or_else(missing)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key in a file or on the command line would be seen by others"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
