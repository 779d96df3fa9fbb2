//! Credentials as the tools of AWS find them.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{
    credentials::{Credentials, NoCredentials, ProvideCredentials},
    metadata::{Authorization, Metadata},
    profile::Profile,
};
use crate::Http;

/// Credentials and region as the tools of AWS find them. The first that there is counts:
///
/// 1. `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`;
/// 2. the profile `AWS_PROFILE`, otherwise `default`, in `~/.aws/credentials` and `~/.aws/config`, or in the
///    files that `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name. They are read for every question, so
///    that what renews them is heard;
/// 3. what a container is given (ECS, EKS with pod identities), by `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
///    `…_FULL_URI` and `AWS_CONTAINER_AUTHORIZATION_TOKEN` or `…_TOKEN_FILE`;
/// 4. the role of an instance of EC2, by version 2 of its metadata service, unless `AWS_EC2_METADATA_DISABLED` is
///    `true`.
///
/// What comes from 3 and 4 is remembered until five minutes before it expires. Roles to be assumed, web
/// identities (EKS with IRSA), single sign-on and programs (`credential_process`) are refused in so many words:
/// take credentials from where you have them, by [`from_fn`](super::from_fn).
///
/// A library does not read the environment, so the caller says what is in it:
///
/// ```no_run
/// use tidegate_metrics::{CloudWatch, cloudwatch::Environment};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let client = reqwest::Client::new();
/// let environment = Environment::new(client.clone(), |name| std::env::var(name).ok());
/// let region = environment.region().await?;
/// let source = CloudWatch::new(client, &region, environment, std::time::SystemTime::now)?;
/// # Ok(())
/// # }
/// ```
pub struct Environment {
    http: Http,
    region: Option<String>,
    source: Source,
    profile: Profile,
    fetched: Mutex<Option<Credentials>>,
}

/// What the variables by themselves decide.
enum Source {
    Elsewhere(Option<Metadata>),
    Given(Credentials),
    Wrong(String),
}

impl Environment {
    /// How long before they expire fetched credentials are fetched anew.
    const EARLY: Duration = Duration::from_secs(300);

    /// As `variable` gives the variables of the environment by their name. Metadata services are asked over
    /// `http`, whose client must not send that to a proxy, for at most two seconds.
    pub fn new(http: impl Into<Http>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| {
            let value = variable(name)?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let home = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
        let file = |name, default| match variable(name) {
            Some(path) => match (path.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(PathBuf::from(path)),
            },
            None => home.as_deref().map(|home: &Path| home.join(".aws").join(default)),
        };
        let http = http.into();
        let timeout = http.timeout().min(Duration::from_secs(2));
        Self {
            http: http.with_timeout(timeout).with_retries(1),
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
            source: Source::of(&variable),
            profile: Profile {
                name: variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE")),
                credentials_file: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                config_file: file("AWS_CONFIG_FILE", "config"),
            },
            fetched: Mutex::default(),
        }
    }

    /// The region: `AWS_REGION`, `AWS_DEFAULT_REGION`, or that of the profile.
    ///
    /// # Errors
    ///
    /// None of them names one, or a file cannot be read.
    pub async fn region(&self) -> Result<String, NoCredentials> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        self.profile.region().await?.ok_or_else(|| {
            NoCredentials::Absent(
                "nothing names a region; set AWS_REGION, or `region` in the profile".to_owned(),
            )
        })
    }

    /// From a metadata service, unless what it gave last is good for a while.
    async fn fetch(&self, metadata: &Metadata, at: SystemTime) -> Result<Credentials, NoCredentials> {
        let mut fetched = self.fetched.lock().await;
        if let Some(known) = fetched.as_ref().filter(|known| known.is_valid(at + Self::EARLY)) {
            return Ok(known.clone());
        }
        match metadata.fetch(&self.http).await {
            Ok(new) => {
                // What says nothing of its end may end at any time.
                *fetched = new.expires().map(|_| new.clone());
                Ok(new)
            }
            Err(error) => fetched.clone().filter(|known| known.is_valid(at)).ok_or(error),
        }
    }
}

impl Source {
    fn of(variable: &impl Fn(&str) -> Option<String>) -> Self {
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let credentials = Credentials::new(id, secret);
                return Self::Given(match variable("AWS_SESSION_TOKEN") {
                    Some(token) => credentials.with_session_token(token),
                    None => credentials,
                });
            }
            (None, None) => {}
            _ => {
                let problem = "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set; it takes both";
                return Self::Wrong(problem.to_owned());
            }
        }
        if variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            let problem = "AWS_WEB_IDENTITY_TOKEN_FILE is set, but web identities are not supported; pass credentials \
                           by cloudwatch::from_fn";
            return Self::Wrong(problem.to_owned());
        }
        Self::metadata(variable).map_or_else(|error| Self::Wrong(error.to_string()), Self::Elsewhere)
    }

    fn metadata(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Metadata>, NoCredentials> {
        let url = match variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => Some(format!("{}/{}", Metadata::CONTAINER, path.trim_start_matches('/'))),
            None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        };
        if let Some(url) = url {
            let file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            let authorization = match file {
                Some(path) => Some(Authorization::File(path.into())),
                None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")
                    .map(|token| Authorization::Token(token.into())),
            };
            return Ok(Some(Metadata::Container { url: Metadata::container_url(&url)?, authorization }));
        }
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = base.as_deref().unwrap_or(Metadata::INSTANCE);
        let wrong =
            || NoCredentials::Absent("AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL of http".to_owned());
        let base = reqwest::Url::parse(base).map_err(|_| wrong())?;
        if matches!(base.scheme(), "http" | "https") {
            Ok(Some(Metadata::Instance { base }))
        } else {
            Err(wrong())
        }
    }
}

#[async_trait]
impl ProvideCredentials for Environment {
    async fn credentials(&self, at: SystemTime) -> Result<Credentials, NoCredentials> {
        let metadata = match &self.source {
            Source::Given(credentials) => return Ok(credentials.clone()),
            Source::Wrong(problem) => return Err(NoCredentials::Absent(problem.clone())),
            Source::Elsewhere(metadata) => metadata,
        };
        if let Some(credentials) = self.profile.credentials().await? {
            return Ok(credentials);
        }
        match metadata {
            Some(metadata) => self.fetch(metadata, at).await,
            None => Err(NoCredentials::Absent(
                "neither variables nor files give any; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
                    .to_owned(),
            )),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("region", &self.region)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
