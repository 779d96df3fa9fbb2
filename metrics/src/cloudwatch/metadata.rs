//! Credentials that containers and instances are given over HTTP.

use std::{fmt, net::IpAddr, path::PathBuf, time::SystemTime};

use reqwest::{
    Client, RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credentials::{Credentials, NoCredentials};
use crate::{Http, http::Answer, query::Failure};

/// Who gives them.
#[derive(Clone, Debug)]
pub(super) enum Metadata {
    /// ECS, and EKS with pod identities.
    Container { url: Url, authorization: Option<Authorization> },
    /// EC2, by version 2 of its metadata service.
    Instance { base: Url },
}

/// What a container shows to be given them.
#[derive(Clone)]
pub(super) enum Authorization {
    /// In a file, which is renewed.
    File(PathBuf),
    Token(Zeroizing<String>),
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    expiration: Option<String>,
}

impl Metadata {
    pub(super) const CONTAINER: &str = "http://169.254.170.2";
    pub(super) const INSTANCE: &str = "http://169.254.169.254";

    /// The URL of a container's credentials. They are sent in the clear to nobody but this machine.
    pub(super) fn container_url(text: &str) -> Result<Url, NoCredentials> {
        const LINK_LOCAL: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
        let wrong = |problem| NoCredentials::Absent(format!("AWS_CONTAINER_CREDENTIALS_FULL_URI {problem}"));
        let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let near = host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| {
                address.is_loopback() || LINK_LOCAL.iter().any(|known| known.parse() == Ok(address))
            });
        match url.scheme() {
            "https" => Ok(url),
            "http" if near => Ok(url),
            _ => Err(wrong("must be https, or http on this machine")),
        }
    }

    pub(super) async fn fetch(&self, http: &Http) -> Result<Credentials, NoCredentials> {
        match self {
            Self::Container { url, authorization } => {
                let authorization = match authorization {
                    Some(authorization) => Some(authorization.header().await?),
                    None => None,
                };
                let answer = ask(http, |client| {
                    let request = client.get(url.clone());
                    match &authorization {
                        Some(value) => request.header(AUTHORIZATION, value),
                        None => request,
                    }
                });
                credentials(&answer.await.map_err(|failure| failed("the container's credentials", failure))?)
            }
            Self::Instance { base } => {
                let failed = |failure| {
                    failed(
                        "neither variables nor files nor a container give any, and of the instance's",
                        failure,
                    )
                };
                let at = |path: &[&str]| {
                    let mut url = base.clone();
                    if let Ok(mut segments) = url.path_segments_mut() {
                        segments.pop_if_empty().push("latest").extend(path);
                    }
                    url
                };
                let url = at(&["api", "token"]);
                let token = ask(http, |client| {
                    client.put(url.clone()).header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                });
                let token = sensitive(&text(&token.await.map_err(failed)?))?;
                let with_token = async |url: Url| {
                    ask(http, |client| client.get(url.clone()).header("x-aws-ec2-metadata-token", &token))
                        .await
                        .map_err(failed)
                };
                const ROLES: [&str; 4] = ["meta-data", "iam", "security-credentials", ""];
                let roles = text(&with_token(at(&ROLES)).await?);
                let role = roles.lines().next().unwrap_or_default().trim();
                if role.is_empty() {
                    return Err(NoCredentials::Absent("the instance has no role; attach one".to_owned()));
                }
                credentials(&with_token(at(&[ROLES[0], ROLES[1], ROLES[2], role])).await?)
            }
        }
    }
}

impl Authorization {
    async fn header(&self) -> Result<HeaderValue, NoCredentials> {
        match self {
            Self::File(path) => {
                let token = super::profile::read(path).await.map_err(|error| {
                    NoCredentials::Absent(format!("{} cannot be read: {error}", path.display()))
                })?;
                sensitive(token.trim())
            }
            Self::Token(token) => sensitive(token),
        }
    }
}

async fn ask(
    http: &Http,
    request: impl Fn(&Client) -> RequestBuilder + Send + Sync,
) -> Result<Answer, Failure> {
    http.ask(request).await?.successful()
}

fn failed(what: &str, failure: Failure) -> NoCredentials {
    match failure {
        Failure::Denied(cause) | Failure::Malformed(cause) => {
            NoCredentials::Absent(format!("{what}: {cause}"))
        }
        Failure::Partial(cause) => NoCredentials::Unavailable(format!("{what}: {cause}").into()),
        Failure::Unavailable(cause) => NoCredentials::Unavailable(format!("{what}: {cause}").into()),
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn sensitive(token: &str) -> Result<HeaderValue, NoCredentials> {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| NoCredentials::Absent("a token holds characters that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What the answer was, is not repeated: it may hold the secret.
fn credentials(answer: &Answer) -> Result<Credentials, NoCredentials> {
    let wrong =
        || NoCredentials::Absent("what was fetched is not the expected JSON with a key in it".to_owned());
    let given: Given = serde_json::from_slice(&answer.body).map_err(|_| wrong())?;
    let mut credentials = Credentials::new(given.access_key_id, given.secret_access_key);
    if !given.token.is_empty() {
        credentials = credentials.with_session_token(given.token);
    }
    if let Some(expiration) = given.expiration {
        let expires: SystemTime = humantime::parse_rfc3339(&expiration).map_err(|_| wrong())?;
        credentials = credentials.expiring(expires);
    }
    Ok(credentials)
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Token(_) => f.debug_tuple("Token").finish_non_exhaustive(),
        }
    }
}
