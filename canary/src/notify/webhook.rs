//! Webhooks, as Standard Webhooks and CloudEvents have them.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::json;

use super::{
    InvalidSetting, Notice, Recipient, Secret, Undelivered,
    cloud_event::{self, Attributes},
    post::Post,
};
use crate::WallClock;

/// A server that takes notices as JSON, signed as [Standard Webhooks] have it: in `webhook-signature` the HMAC of id,
/// time and body, in `webhook-timestamp` the time in seconds, in `webhook-id` the notice's [`id`](Notice::id). A
/// receiver that remembers the ids of some days does nothing twice; old timestamps it should refuse.
///
/// Any answer of 2xx means that it is taken.
///
/// [Standard Webhooks]: https://www.standardwebhooks.com
#[derive(Clone, Debug)]
pub struct Webhook {
    post: Post,
    signer: Signer,
    format: Format,
    source: String,
}

/// How a notice is written down for a [`Webhook`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A CloudEvent in structured mode: everything in the body.
    #[default]
    CloudEvent,
    /// A CloudEvent in binary mode: its attributes in headers, the notice in the body. The signature covers the body
    /// only.
    CloudEventBinary,
    /// As Standard Webhooks suggest: `{"type": …, "timestamp": …, "data": <the notice>}`.
    Plain,
}

impl Webhook {
    /// To the server at `url`, unsigned. `clock` says when a message is signed.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(client: Client, url: &str, clock: WallClock) -> Result<Self, InvalidSetting> {
        let post = Post::new(client, "a webhook", url)?;
        let signer = Signer { secrets: Vec::new(), clock };
        Ok(Self { post, signer, format: Format::default(), source: "/tidegate".to_owned() })
    }

    /// Signed with `secret` too; with several, while one takes the place of another, any of them proves it.
    #[must_use]
    pub fn signed(mut self, secret: Secret) -> Self {
        self.signer.add(secret, &mut self.post);
        self
    }

    /// In this format.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// With CloudEvents whose source begins like this; default `/tidegate`. Two installations that tell the same
    /// server need two.
    ///
    /// # Errors
    ///
    /// It must be part of a URI: visible ASCII characters.
    pub fn with_source(self, source: impl Into<String>) -> Result<Self, InvalidSetting> {
        let source = source.into();
        if source.is_empty() || !source.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSetting::new(
                "the source of events",
                "write a URI of visible ASCII characters",
            ));
        }
        Ok(Self { source: source.trim_end_matches('/').to_owned(), ..self })
    }

    /// How long a message may take; default 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout), ..self }
    }
}

#[async_trait]
impl Recipient for Webhook {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let attributes = Attributes::of(notice, &self.source);
        let (content_type, body) = match self.format {
            Format::CloudEvent => ("application/cloudevents+json; charset=utf-8", attributes.event(notice)),
            Format::CloudEventBinary => ("application/json", json!(notice)),
            Format::Plain => {
                let timestamp = humantime::format_rfc3339_millis(notice.at).to_string();
                let body = json!({"type": cloud_event::kind(notice), "timestamp": timestamp, "data": notice});
                ("application/json", body)
            }
        };
        let body = body.to_string().into_bytes();
        let mut headers = self.signer.headers(&notice.id, &body);
        if self.format == Format::CloudEventBinary {
            headers.extend(attributes.headers());
        }
        self.post.send(content_type, headers, body).await.map(drop)
    }
}

/// Who vouches for messages.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) secrets: Vec<Secret>,
    pub(super) clock: WallClock,
}

impl Signer {
    pub(super) fn add(&mut self, secret: Secret, post: &mut Post) {
        for word in secret.words() {
            post.hide(word);
        }
        self.secrets.push(secret);
    }

    /// The headers of a message whose id is visible ASCII.
    pub(super) fn headers(&self, id: &str, body: &[u8]) -> HeaderMap {
        let since = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let timestamp = since.as_secs();
        let signatures: Vec<String> =
            self.secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        let mut headers = HeaderMap::new();
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(HeaderName::from_static("webhook-id"), id);
        }
        headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(timestamp));
        if let (false, Ok(signatures)) = (signatures.is_empty(), HeaderValue::from_str(&signatures.join(" ")))
        {
            headers.insert(HeaderName::from_static("webhook-signature"), signatures);
        }
        headers
    }
}
