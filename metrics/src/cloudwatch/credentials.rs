//! Who asks.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use reqwest::{Url, header::HeaderMap};
use zeroize::Zeroizing;

use crate::{BoxError, query::Failure};

/// An access key of AWS. Its secrets are wiped from memory when it is dropped, and never printed.
///
/// By itself it [provides](ProvideCredentials) what it is, for as long as it is valid.
#[derive(Clone)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    expires: Option<SystemTime>,
}

/// Where credentials come from.
///
/// # Contract
///
/// It is asked before every question, so whatever takes time is to be remembered; credentials that are given are
/// valid at `at` and for minutes after it. `Debug` must not contain secrets.
#[async_trait]
pub trait ProvideCredentials: fmt::Debug + Send + Sync + 'static {
    /// Credentials for a question that is put at this time.
    ///
    /// # Errors
    ///
    /// There are none, see [`NoCredentials`].
    async fn credentials(&self, at: SystemTime) -> Result<Credentials, NoCredentials>;
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoCredentials {
    /// There are none, or they have expired, or they are of a kind that is not supported. Mend the set-up as it
    /// says.
    #[error("there are no credentials: {0}")]
    Absent(String),
    /// Who gives them could not be asked. Retry later.
    #[error("the credentials could not be fetched")]
    Unavailable(#[source] BoxError),
}

/// [`ProvideCredentials`] by a function, see [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F>(F);

/// Credentials from an asynchronous function of the time: from the AWS SDK for Rust, from a vault.
///
/// ```
/// use tidegate_metrics::cloudwatch::{Credentials, NoCredentials, from_fn};
///
/// let vault = from_fn(|_at| async {
///     let secret = read_from_vault("cloudwatch").await.map_err(|error| NoCredentials::Unavailable(error.into()))?;
///     Ok(Credentials::new("AKIDEXAMPLE", secret))
/// });
/// # async fn read_from_vault(_: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
/// # let _: &dyn tidegate_metrics::cloudwatch::ProvideCredentials = &vault;
/// ```
pub const fn from_fn<F, T>(provide: F) -> FromFn<F>
where
    F: Fn(SystemTime) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Credentials, NoCredentials>> + Send,
{
    FromFn(provide)
}

impl Credentials {
    /// A key that does not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Zeroizing::new(secret_access_key.into()),
            session_token: None,
            expires: None,
        }
    }

    /// The key of a session.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(token.into()));
        self
    }

    /// Valid until then.
    #[must_use]
    pub const fn expiring(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// The public part of the key.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Until when they are valid, if not for good.
    #[must_use]
    pub const fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The headers, `headers` among them, of a POST of `body` to `url` that is signed at this time for a `service` of
    /// AWS in a `region`, by Signature Version 4. For other clients of AWS that ask with the same credentials.
    ///
    /// # Errors
    ///
    /// The credentials hold characters that no header can carry, or the region is none.
    pub fn sign(
        &self,
        service: &str,
        region: &str,
        at: SystemTime,
        url: &Url,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<HeaderMap, Failure> {
        super::sign::headers(self, service, region, at, url, headers, body)
    }

    pub(super) fn is_valid(&self, at: SystemTime) -> bool {
        self.expires.is_none_or(|expires| at < expires)
    }

    pub(super) fn for_signing(&self) -> aws_credential_types::Credentials {
        let token = self.session_token.as_deref().cloned();
        aws_credential_types::Credentials::new(
            self.access_key_id.as_str(),
            self.secret_access_key.as_str(),
            token,
            self.expires,
            "tidegate",
        )
    }

    /// `failure` without the secrets in it: a server that refuses a signature repeats what should have been
    /// signed, and the session token is part of that.
    pub(super) fn kept_from(&self, failure: Failure) -> Failure {
        let clean = |cause: BoxError| {
            let text = cause.to_string();
            let redacted = self.redacted(&text);
            if redacted == text { cause } else { redacted.into() }
        };
        match failure {
            Failure::Denied(cause) => Failure::Denied(clean(cause)),
            Failure::Malformed(cause) => Failure::Malformed(clean(cause)),
            Failure::Partial(cause) => Failure::Partial(self.redacted(&cause)),
            Failure::Unavailable(cause) => Failure::Unavailable(clean(cause)),
        }
    }

    /// `text`, which somebody else wrote, without the secrets in it.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        let redacted = without(text, &self.secret_access_key);
        self.session_token.as_ref().map_or_else(|| redacted.clone(), |token| without(&redacted, token))
    }
}

/// `text` without the secret, which is found by its beginning, because the text may have been cut short.
fn without(text: &str, secret: &str) -> String {
    const BEGINNING: usize = 12;
    let beginning = secret.get(..BEGINNING).unwrap_or(secret);
    if beginning.is_empty() {
        return text.to_owned();
    }
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(beginning) {
        let same = rest[at..].chars().zip(secret.chars()).take_while(|(a, b)| a == b);
        let length: usize = same.map(|(c, _)| c.len_utf8()).sum();
        clean.push_str(&rest[..at]);
        clean.push_str("(secret)");
        rest = &rest[at + length..];
    }
    clean + rest
}

impl From<NoCredentials> for Failure {
    fn from(error: NoCredentials) -> Self {
        match error {
            NoCredentials::Absent(_) => Self::Denied(error.into()),
            NoCredentials::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

#[async_trait]
impl ProvideCredentials for Credentials {
    async fn credentials(&self, at: SystemTime) -> Result<Self, NoCredentials> {
        if self.is_valid(at) {
            Ok(self.clone())
        } else {
            Err(NoCredentials::Absent("those given have expired; give new ones".to_owned()))
        }
    }
}

#[async_trait]
impl<F, T> ProvideCredentials for FromFn<F>
where
    F: Fn(SystemTime) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Credentials, NoCredentials>> + Send,
{
    async fn credentials(&self, at: SystemTime) -> Result<Credentials, NoCredentials> {
        (self.0)(at).await
    }
}

#[async_trait]
impl<P: ProvideCredentials + ?Sized> ProvideCredentials for Arc<P> {
    async fn credentials(&self, at: SystemTime) -> Result<Credentials, NoCredentials> {
        (**self).credentials(at).await
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_whole_cut_short_and_repeated() {
        let credentials = Credentials::new("AKID", "secret").with_session_token("FwoGZXIvYXdzEXAMPLETOKEN");
        assert_eq!(
            credentials.redacted("token:FwoGZXIvYXdzEXAMPLETOKEN, FwoGZXIvYXdzEXA… and secretsecret"),
            "token:(secret), (secret)… and (secret)(secret)"
        );
        assert_eq!(credentials.redacted("nothing of AKID"), "nothing of AKID");
        assert_eq!(Credentials::new("", "").with_session_token("").redacted("all"), "all");
    }
}
