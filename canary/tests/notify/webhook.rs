//! Webhooks: signatures, formats.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tidegate_canary::{
    WallClock,
    notify::{Format, Recipient, Secret, Webhook},
};

use crate::{
    bad, client,
    server::{Received, Server},
};

/// The example of Standard Webhooks' own documentation and tests.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn clock() -> WallClock {
    WallClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330))
}

async fn sent(make: impl FnOnce(Webhook) -> Webhook) -> Received {
    let server = Server::new([]).await;
    let webhook = make(Webhook::new(client(), &server.at("/hook"), clock()).unwrap());
    webhook.deliver(&bad()).await.unwrap();
    server.one()
}

/// Values of standardwebhooks 1.1.0 for Python; the first is also in the documentation of Standard Webhooks.
#[test]
fn signatures_are_those_of_standard_webhooks() {
    let secret: Secret = SECRET.parse().unwrap();
    assert_eq!(
        secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    let long =
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    assert_eq!(
        long.parse::<Secret>().unwrap().sign("route/serving/fraud/7", 1_000_000, r#"{"a":"ü"}"#.as_bytes()),
        "v1,5En3jlB2RFj2ZRPLPLgILVgXHMbCXCOrVLnuB3YmDQk="
    );
    assert_eq!(
        SECRET.trim_start_matches("whsec_").parse::<Secret>().unwrap().sign("a", 1, b""),
        secret.sign("a", 1, b"")
    );
    for wrong in [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_not base64 at all, but long enough",
        &format!("whsec_{}", "AAAA".repeat(22)),
    ] {
        let error = wrong.parse::<Secret>().unwrap_err().to_string();
        assert!(error.contains("24 to 64 random bytes") && !error.contains("long enough"), "{error}");
    }
}

#[tokio::test]
async fn a_cloud_event_is_sent_and_signed_as_it_went() {
    let one = sent(|webhook| webhook.signed(SECRET.parse().unwrap())).await;
    assert_eq!(one.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(one.header("webhook-id"), bad().id);
    assert_eq!(one.header("webhook-timestamp"), "1614265330");
    let secret: Secret = SECRET.parse().unwrap();
    let signature = secret.sign(&bad().id, 1_614_265_330, one.body.as_bytes());
    assert_eq!(one.header("webhook-signature"), signature);
    assert_eq!(
        one.json(),
        json!({
            "specversion": "1.0",
            "id": bad().id,
            "source": "/tidegate/route/serving/fraud",
            "type": "dev.tidegate.rollout.returning.v1",
            "subject": "ci-8841",
            "time": humantime::format_rfc3339_millis(bad().at).to_string(),
            "datacontenttype": "application/json",
            "data": serde_json::to_value(bad()).unwrap(),
        })
    );
}

#[tokio::test]
async fn a_notice_is_written_as_documented() {
    let body = sent(|webhook| webhook.with_format(Format::Plain)).await.json();
    assert_eq!(body["type"], "dev.tidegate.rollout.returning.v1");
    assert_eq!(body["timestamp"], humantime::format_rfc3339_millis(bad().at).to_string());
    let mut data = body["data"].clone();
    let reasons = data["reasons"].take();
    let summary = data["summary"].take();
    assert!(reasons[0].as_str().unwrap().contains("of 1000"), "{reasons}");
    assert!(summary.as_str().unwrap().ends_with(reasons[0].as_str().unwrap()), "{summary}");
    assert_eq!(
        data,
        json!({
            "id": bad().id,
            "at": humantime::format_rfc3339_seconds(bad().at).to_string(),
            "kind": "returning",
            "severity": "error",
            "summary": null,
            "route": "serving/fraud",
            "seq": bad().seq.get(),
            "rollout": "ci-8841",
            "stable": {
                "model": "fraud@1.0.0",
                "digest": "sha256:21e2bba999835266d0f612980132f49315071c26f86b57ff4eb8fae542f652c4",
            },
            "candidate": {
                "model": "fraud@1.1.0",
                "digest": "sha256:b742066ba240af0f8c5d10b7770b95082b11f6aed665beec5b9b1e997ee8d536",
            },
            "reasons": null,
            "incident": "opens",
        })
    );
}

#[tokio::test]
async fn in_binary_mode_attributes_are_headers() {
    let server = Server::new([]).await;
    let webhook = Webhook::new(client(), &server.at("/hook"), clock()).unwrap();
    let webhook = webhook.with_format(Format::CloudEventBinary).with_source("https://ops.example/").unwrap();
    let mut notice = bad();
    notice.rollout = Some("build 7 \"ü\" 100%".parse().unwrap());
    webhook.deliver(&notice).await.unwrap();
    let one = server.one();
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("ce-specversion"), "1.0");
    assert_eq!(one.header("ce-id"), bad().id);
    assert_eq!(one.header("ce-source"), "https://ops.example/route/serving/fraud");
    assert_eq!(one.header("ce-type"), "dev.tidegate.rollout.returning.v1");
    assert_eq!(one.header("ce-time"), humantime::format_rfc3339_millis(bad().at).to_string());
    assert_eq!(one.header("ce-subject"), "build%207%20%22%C3%BC%22%20100%25");
    assert_eq!(one.json(), serde_json::to_value(&notice).unwrap());
}

#[tokio::test]
async fn both_secrets_sign_while_one_takes_the_place_of_the_other() {
    let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let one = sent(|webhook| webhook.signed(SECRET.parse().unwrap()).signed(new.parse().unwrap())).await;
    let signed = |secret: &str| {
        let secret: Secret = secret.parse().unwrap();
        secret.sign(&bad().id, 1_614_265_330, one.body.as_bytes())
    };
    assert_eq!(one.header("webhook-signature"), format!("{} {}", signed(SECRET), signed(new)));
    let unsigned = sent(|webhook| webhook).await;
    assert!(unsigned.headers.get("webhook-signature").is_none());
}

#[tokio::test]
async fn ids_are_carried_by_any_header_and_have_no_full_stop() {
    let route: tidegate_canary::RouteId = "serving/v1.5: ünïcode".parse().unwrap();
    let entries = crate::entries("v1-promoted.jsonl");
    let notices = tidegate_canary::notify::notices(&route, &entries[..1]);
    assert_eq!(notices[0].id, "route/serving/v1%2E5%3A%20%C3%BCn%C3%AFcode/1");
    let server = Server::new([]).await;
    let webhook = Webhook::new(client(), &server.at("/hook"), clock()).unwrap();
    webhook.deliver(&notices[0]).await.unwrap();
    assert_eq!(server.one().header("webhook-id"), notices[0].id);
}
