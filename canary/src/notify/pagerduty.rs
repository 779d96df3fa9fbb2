//! PagerDuty.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    Incident, InvalidSetting, Notice, Recipient, Undelivered, id,
    post::{Hint, Post},
    text::{clipped, cut},
};

/// A service of PagerDuty, over its [Events API v2].
///
/// It gets what opens or resolves an incident and nothing else: one incident a rollout, watch or
/// rollback, under the key `tidegate/<subject>` with the notice's [subject](Notice::subject) (or its hash, where that is longer than 255 bytes). By that key PagerDuty takes what
/// comes twice for what it is.
///
/// [Events API v2]: https://developer.pagerduty.com/docs/events-api-v2-overview
#[derive(Clone)]
pub struct PagerDuty {
    post: Post,
    key: String,
}

impl PagerDuty {
    /// The service with this integration key, which is a secret.
    ///
    /// # Errors
    ///
    /// The key must have 32 letters and digits.
    pub fn new(client: Client, routing_key: &str) -> Result<Self, InvalidSetting> {
        if routing_key.len() != 32 || !routing_key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidSetting::new(
                "the routing key of PagerDuty",
                "it must have 32 letters and digits, as an integration of type `Events API v2` shows it",
            ));
        }
        let post = Self::post(client, routing_key, "https://events.pagerduty.com/v2/enqueue")?;
        Ok(Self { post, key: routing_key.to_owned() })
    }

    /// At this URL: that of the EU is `https://events.eu.pagerduty.com/v2/enqueue`.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn at(self, client: Client, url: &str) -> Result<Self, InvalidSetting> {
        let post = Self::post(client, &self.key, url)?;
        Ok(Self { post, ..self })
    }

    fn post(client: Client, key: &str, url: &str) -> Result<Post, InvalidSetting> {
        // A 400 is about the message, unless it is about the key.
        let post = Post::new(client, "PagerDuty", url)?;
        let mut post = post.with_hints(&[("routing_key", Hint::Setting), ("outing key", Hint::Setting)]);
        post.hide(key);
        Ok(post)
    }

    /// How long a message may take; default 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout), ..self }
    }

    fn event(&self, notice: &Notice, incident: Incident) -> Value {
        let key = id::at_most(255, "tidegate/", format!("tidegate/{}", notice.subject()));
        match incident {
            Incident::Resolves => {
                json!({"routing_key": self.key, "event_action": "resolve", "dedup_key": key})
            }
            Incident::Opens => json!({
                "routing_key": self.key,
                "event_action": "trigger",
                "dedup_key": key,
                "client": "tidegate",
                "payload": {
                    "summary": clipped(&notice.summary, 1_024),
                    "source": notice.route,
                    "severity": notice.severity,
                    "timestamp": humantime::format_rfc3339_millis(notice.at).to_string(),
                    "component": notice.candidate.as_ref().map(|release| cut(&release.model.to_string(), 255)),
                    "group": notice.route,
                    "class": notice.kind,
                    "custom_details": notice,
                },
            }),
        }
    }
}

#[async_trait]
impl Recipient for PagerDuty {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let Some(incident) = notice.incident else { return Ok(()) };
        let body = self.event(notice, incident).to_string().into_bytes();
        self.post.send("application/json", HeaderMap::new(), body).await.map(drop)
    }
}

/// Without the key.
impl std::fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagerDuty").field("post", &self.post).finish_non_exhaustive()
    }
}
