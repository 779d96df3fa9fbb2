//! Microsoft Teams.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    InvalidSetting, Notice, Recipient, Severity, Undelivered,
    post::{Hint, Post},
    text::clipped,
};

/// A channel or chat of Microsoft Teams, by a [workflow] that posts what its webhook receives.
///
/// Each notice is an Adaptive Card of plain text: whatever stands in a journal is never markup. A message that comes
/// twice is seen twice; its id is in its last line.
///
/// [workflow]: https://support.microsoft.com/office/8ae491c7-0394-4861-ba59-055e33f75498
#[derive(Clone, Debug)]
pub struct Teams {
    post: Post,
}

impl Teams {
    /// By the workflow whose webhook is at `url`, which is a secret.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(client: Client, url: &str) -> Result<Self, InvalidSetting> {
        let off = &[("WorkflowTriggerIsNotEnabled", Hint::Setting)];
        Ok(Self { post: Post::new(client, "Teams", url)?.with_hints(off) })
    }

    /// How long a message may take; default 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout) }
    }
}

#[async_trait]
impl Recipient for Teams {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let body = message(notice).to_string().into_bytes();
        self.post.send("application/json", HeaderMap::new(), body).await.map(drop)
    }
}

/// The message. Teams takes 28 KB: these are 5 600 characters at most, of four bytes at most.
fn message(notice: &Notice) -> Value {
    let color = match notice.severity {
        Severity::Info => "default",
        Severity::Warning => "warning",
        Severity::Error | Severity::Critical => "attention",
    };
    let run = |text: String| json!({"type": "TextRun", "text": text});
    let block = |runs: Vec<Value>| json!({"type": "RichTextBlock", "inlines": runs});
    let summary = clipped(&notice.summary, 1_000);
    let mut body =
        vec![block(vec![json!({"type": "TextRun", "text": summary, "color": color, "weight": "bolder"})])];
    body.extend(
        notice.reasons.iter().take(9).map(|reason| block(vec![run(format!("• {}", clipped(reason, 280)))])),
    );
    if let Some(remedy) = &notice.remedy {
        let label = json!({"type": "TextRun", "text": "To do: ", "weight": "bolder"});
        body.push(block(vec![label, run(clipped(remedy, 280))]));
    }
    let at = humantime::format_rfc3339_seconds(notice.at);
    let parties: String = notice.parties().map(|(what, id)| format!("{what} {id} · ")).collect();
    let origin = clipped(&format!("{parties}{} · {at} · {}", notice.kind, notice.id), 1_000);
    body.push(block(vec![json!({"type": "TextRun", "text": origin, "isSubtle": true, "size": "small"})]));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}
