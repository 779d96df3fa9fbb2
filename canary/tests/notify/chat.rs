//! Slack and Teams.

use serde_json::{Value, json};
use tidegate_canary::notify::{Kind, Notice, Recipient, Slack, Teams, Undelivered};

use crate::{
    bad, chain, client, promoted, route,
    server::{Server, says, with},
};

async fn slack(notice: &Notice) -> Value {
    let server = Server::new([with(200, "ok")]).await;
    let slack = Slack::new(client(), &server.at("/services/T000/B000/secretsecret")).unwrap();
    slack.deliver(notice).await.unwrap();
    let one = server.one();
    assert_eq!((one.method.as_str(), &*one.uri), ("POST", "/services/T000/B000/secretsecret"));
    assert_eq!(one.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(one.header("content-length"), one.body.len().to_string());
    one.json()
}

async fn teams(notice: &Notice) -> (Value, usize) {
    let server = Server::new([says(202)]).await;
    let teams =
        Teams::new(client(), &server.at("/workflows/x/triggers/manual/paths/invoke?sig=secret")).unwrap();
    teams.deliver(notice).await.unwrap();
    let one = server.one();
    assert_eq!(one.uri, "/workflows/x/triggers/manual/paths/invoke?sig=secret");
    (one.json(), one.body.len())
}

fn settled() -> Notice {
    promoted().into_iter().find(|notice| notice.kind == Kind::Settled).unwrap()
}

fn origin(notice: &Notice) -> String {
    let at = humantime::format_rfc3339_seconds(notice.at);
    format!("rollout ci-8841 · settled · {at} · route/serving/fraud/{}", notice.seq)
}

/// What people could write who want to be seen.
fn loud() -> Notice {
    let mut notice = bad();
    notice.summary = "<!channel> *<https://evil.example|click>* & \u{202e}rtl".to_owned();
    notice.reasons = vec!["<@U123> [click](https://evil.example)".to_owned(); 20];
    notice
}

/// As large as a notice can be.
fn large() -> Notice {
    let mut notice = bad();
    notice.summary = "&".repeat(1_000);
    notice.reasons = vec!["𝔘".repeat(1_000); 20];
    notice.remedy = Some("𝔘".repeat(1_000));
    notice
}

#[tokio::test]
async fn slack_gets_text_and_blocks() {
    assert_eq!(
        slack(&settled()).await,
        json!({
            "text": "serving/fraud: fraud 1.1.0 is promoted and has proven itself",
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text":
                    ":information_source: serving/fraud: fraud 1.1.0 is promoted and has proven itself"}},
                {"type": "context", "elements": [{"type": "mrkdwn", "verbatim": true, "text":
                    origin(&settled())}]},
            ],
        })
    );
}

#[tokio::test]
async fn slack_is_told_no_markup_of_others() {
    let message = slack(&loud()).await;
    assert_eq!(message["text"], "&lt;!channel&gt; *&lt;https://evil.example|click&gt;* &amp; \u{fffd}rtl");
    let all = message.to_string();
    assert!(!all.contains('<') && !all.contains('\u{202e}'), "{all}");
    assert!(message["blocks"][1]["text"]["text"].as_str().unwrap().starts_with("• &lt;@U123&gt; "));
}

#[tokio::test]
async fn slack_is_told_no_more_than_it_takes() {
    let message = slack(&large()).await;
    let blocks = message["blocks"].as_array().unwrap();
    for block in blocks {
        let text = block["text"]["text"].as_str().or_else(|| block["elements"][0]["text"].as_str()).unwrap();
        assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
    }
    assert!(message["text"].as_str().unwrap().ends_with("&amp;…"));
    assert!(blocks.len() <= 50);
}

#[tokio::test]
async fn teams_gets_a_card() {
    let (message, _) = teams(&settled()).await;
    assert_eq!(
        message,
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "color": "default", "weight": "bolder",
                            "text": "serving/fraud: fraud 1.1.0 is promoted and has proven itself"}]},
                        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "isSubtle": true, "size": "small",
                            "text": origin(&settled())}]},
                    ],
                },
            }],
        })
    );
    // The types whose text Teams reads as Markdown.
    let (message, _) = teams(&loud()).await;
    let all = message.to_string();
    assert!(!all.contains("\"TextBlock\"") && !all.contains("FactSet"), "{all}");
}

#[tokio::test]
async fn teams_is_told_no_more_than_it_takes() {
    let (_, size) = teams(&large()).await;
    assert!(size < 28 * 1_024, "{size}");
}

/// What Slack says of itself: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>.
#[tokio::test]
async fn what_slack_answers_is_told_apart() {
    let server = Server::new([
        with(400, "invalid_blocks"),
        with(403, "action_prohibited"),
        with(404, "no_service"),
        with(400, "invalid_token"),
        with(410, "channel_is_archived"),
        with(500, "rollup_error"),
    ])
    .await;
    let slack = Slack::new(client(), &server.at("/services/T000/B000/secretsecret")).unwrap();
    let mut kinds = String::new();
    for word in [
        "invalid_blocks",
        "action_prohibited",
        "no_service",
        "invalid_token",
        "channel_is_archived",
        "rollup_error",
    ] {
        let error = slack.deliver(&bad()).await.unwrap_err();
        kinds.push(match error {
            Undelivered::Rejected { .. } => 'j',
            Undelivered::Refused { .. } => 'f',
            Undelivered::Unavailable { .. } => 'u',
            _ => '?',
        });
        let text = chain(&error);
        assert!(text.contains(word) && text.contains(&server.url), "{text}");
    }
    assert_eq!(kinds, "jffffu");
    assert_eq!(route().as_str(), "serving/fraud");
}
