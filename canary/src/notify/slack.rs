//! Slack.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    InvalidSetting, Notice, Recipient, Severity, Undelivered,
    post::{Hint, Post},
    text::escaped,
};

/// A channel of Slack, by an [incoming webhook].
///
/// Each notice is a message: the sentence, the reasons, and where it comes from. Whatever stands in a journal is text
/// to Slack, never a mention or a link. A channel takes about one message a second; what Slack asks to be sent later
/// is sent later.
///
/// Slack has no ids of its own for messages, so one that comes twice is seen twice; its id is in its last line.
///
/// [incoming webhook]: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
#[derive(Clone, Debug)]
pub struct Slack {
    post: Post,
}

/// Errors of a webhook that has been taken back, whatever their status.
const HINTS: &[(&str, Hint)] = &[
    ("invalid_token", Hint::Setting),
    ("no_active_hooks", Hint::Setting),
    ("no_service", Hint::Setting),
    ("no_team", Hint::Setting),
    ("team_disabled", Hint::Setting),
];

impl Slack {
    /// To the channel of the webhook at `url`, which is a secret.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(client: Client, url: &str) -> Result<Self, InvalidSetting> {
        Ok(Self { post: Post::new(client, "Slack", url)?.with_hints(HINTS) })
    }

    /// How long a message may take; default 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout) }
    }
}

#[async_trait]
impl Recipient for Slack {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = message(notice).to_string().into_bytes();
        self.post.send("application/json; charset=utf-8", HeaderMap::new(), body).await.map(drop)
    }
}

/// The message, within the limits of Slack: 3 000 characters for a text of a block.
fn message(notice: &Notice) -> Value {
    const MOST: usize = 2_900;
    let sign = match notice.severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Error => ":red_circle:",
        Severity::Critical => ":rotating_light:",
    };
    let summary = format!("{sign} {}", quoted(&notice.summary, MOST));
    let mut blocks = vec![section(&summary)];
    let mut more: Vec<String> =
        notice.reasons.iter().map(|reason| format!("• {}", quoted(reason, 280))).collect();
    more.truncate(9);
    if let Some(remedy) = &notice.remedy {
        more.push(format!("*To do:* {}", quoted(remedy, 280)));
    }
    if !more.is_empty() {
        blocks.push(section(&more.join("\n")));
    }
    let at = humantime::format_rfc3339_seconds(notice.at);
    let mut origin = format!("{} · {at} · {}", notice.kind, quoted(&notice.id, 1_000));
    for (what, id) in notice.parties() {
        origin = format!("{what} {} · {origin}", quoted(&id.to_string(), 850));
    }
    blocks.push(json!({"type": "context", "elements": [text(&origin)]}));
    json!({"text": quoted(&notice.summary, MOST), "blocks": blocks})
}

fn section(markup: &str) -> Value {
    json!({"type": "section", "text": text(markup)})
}

/// `verbatim`, so that nothing in it becomes a link or a mention.
fn text(markup: &str) -> Value {
    json!({"type": "mrkdwn", "text": markup, "verbatim": true})
}

/// Text in Slack's markup: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn quoted(text: &str, most: usize) -> String {
    escaped(text, most, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}
