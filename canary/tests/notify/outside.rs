//! What every recipient keeps when the server at the other end is no friend.

use std::time::Duration;

use tidegate_canary::notify::{self, Recipient, Secret, Slack, Teams, Undelivered, Webhook};

use crate::{
    bad, chain, client,
    server::{Reply, Server, headed, says},
    webhook::{SECRET, clock},
};

const PATH: &str = "/services/T0123456789/B0123456789/XyZsecretsecretsecret";

fn slack(server: &Server) -> Slack {
    Slack::new(client(), &server.at(PATH)).unwrap().with_timeout(Duration::from_millis(300))
}

fn after(error: &Undelivered) -> Option<Duration> {
    match error {
        Undelivered::Unavailable { retry_after, .. } => *retry_after,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_is_asked_to_be_sent_later_says_when() {
    let date = vec![
        ("retry-after", "Thu, 01 Jan 2026 00:01:30 GMT".to_owned()),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
    ];
    let past = vec![
        ("retry-after", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
        ("date", "Thu, 01 Jan 2026 00:01:00 GMT".to_owned()),
    ];
    let server = Server::new([
        headed(429, "retry-after", "30"),
        headed(503, "retry-after", "7"),
        Reply::Says(429, date, String::new()),
        Reply::Says(429, past, String::new()),
        headed(429, "retry-after", "soon"),
        headed(429, "retry-after", "-1"),
        says(500),
        says(408),
    ])
    .await;
    let slack = slack(&server);
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(after(&slack.deliver(&bad()).await.unwrap_err()).map(|wait| wait.as_secs()));
    }
    assert_eq!(waits, [Some(30), Some(7), Some(90), Some(0), None, None, None, None]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::new([Reply::Hangs, Reply::HangsAfter(200), Reply::HangsAfter(500)]).await;
    let slack = slack(&server);
    for _ in 0..3 {
        let error = slack.deliver(&bad()).await.unwrap_err();
        assert!(error.is_transient() && chain(&error).contains("within 300ms"), "{error:?}");
    }
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}{PATH}", listener.local_addr().unwrap())
    };
    let error = Slack::new(client(), &nobody).unwrap().deliver(&bad()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(!chain(&error).contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_read_no_further() {
    let server = Server::new([Reply::Floods(200), Reply::Floods(500)]).await;
    let slack = slack(&server).with_timeout(Duration::from_secs(20));
    slack.deliver(&bad()).await.unwrap();
    let text = chain(&slack.deliver(&bad()).await.unwrap_err());
    assert!(text.contains("no end") && text.len() < 600, "{text}");
}

#[tokio::test]
async fn nothing_is_taken_where_a_server_sends_it() {
    let elsewhere = Server::new([]).await;
    for status in [301, 302, 303, 307, 308] {
        let server = Server::new([headed(status, "location", elsewhere.at("/stolen"))]).await;
        let webhook = Webhook::new(client(), &server.at(PATH), clock()).unwrap();
        let error = webhook.signed(SECRET.parse().unwrap()).deliver(&bad()).await.unwrap_err();
        let text = chain(&error);
        assert!(matches!(error, Undelivered::Refused { .. }) && text.contains("redirects"), "{text}");
        assert!(!text.contains("stolen"), "{text}");
    }
    assert_eq!(elsewhere.received().len(), 0);
}

/// A client that follows redirects is no good choice; what is sent by it still stays where it was meant to go.
#[tokio::test]
async fn a_client_that_follows_takes_no_message_along_and_is_told_of() {
    let lax = reqwest::Client::builder().no_proxy().build().unwrap();
    for status in [302, 307, 308] {
        let elsewhere = Server::new([]).await;
        let server = Server::new([headed(status, "location", elsewhere.at("/stolen"))]).await;
        let webhook = Webhook::new(lax.clone(), &server.at(PATH), clock()).unwrap();
        let error = webhook.deliver(&bad()).await.unwrap_err();
        let text = chain(&error);
        assert!(matches!(error, Undelivered::Refused { .. }) && text.contains("redirects"), "{text}");
        assert!(elsewhere.received().iter().all(|received| received.body.is_empty()), "{status}");
        assert_eq!(elsewhere.received().is_empty(), status != 302);
        assert_eq!(text.contains("notify::client"), status == 302, "{text}");
    }
    drop(notify::client(reqwest::Client::builder()).unwrap());
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_secret() {
    let server = Server::new([
        Reply::Echoes(400),
        Reply::Echoes(404),
        Reply::Echoes(500),
        Reply::Says(400, Vec::new(), format!("{}{}", "x ".repeat(32_740), PATH.repeat(9))),
        Reply::Says(400, Vec::new(), "XyZsecretsecretsecret ".repeat(4_000)),
    ])
    .await;
    let url = server.url.replace("http://", "http://user:passwordpassword@");
    let url = format!("{url}{PATH}?sig=querysecretquery%2Bsecret&x=1");
    let secret: Secret = SECRET.parse().unwrap();
    let webhook = Webhook::new(client(), &url, clock()).unwrap().signed(secret);
    let slack = Slack::new(client(), &url).unwrap();
    let teams = Teams::new(client(), &url).unwrap();
    let secrets = ["passwordpassword", "T0123456789", "XyZsec", "querysecret", "MfKQ9r8GKY"];
    let shown = |text: &str| secrets.iter().find(|secret| text.contains(**secret)).copied();
    for text in [format!("{webhook:?}"), format!("{slack:?}"), format!("{teams:?}")] {
        assert_eq!(shown(&text), None, "{text}");
        assert!(text.contains("127.0.0.1"), "{text}");
    }
    for _ in 0..5 {
        let error = webhook.deliver(&bad()).await.unwrap_err();
        let text = format!("{} {error:?}", chain(&error));
        assert_eq!(shown(&text), None, "{text}");
    }
    for wrong in ["", "ftp://host/secretsecret", "/services/secretsecret", "http://secretsecret:x:y"] {
        let error = Slack::new(client(), wrong).unwrap_err().to_string();
        assert!(error.contains("Slack cannot be used: its URL must be absolute"), "{error}");
        assert!(!error.contains("secretsecret"), "{error}");
    }
}
