//! PagerDuty.

use serde_json::json;
use tidegate_canary::notify::{Kind, PagerDuty, Recipient};

use crate::{
    bad, chain, client, rolled_back,
    server::{Server, says, with},
};

const KEY: &str = "0123456789abcdef0123456789ABCDEF";

fn pagerduty(server: &Server) -> PagerDuty {
    PagerDuty::new(client(), KEY).unwrap().at(client(), &server.at("/v2/enqueue")).unwrap()
}

#[tokio::test]
async fn an_incident_is_triggered_and_resolved_under_one_key() {
    let server = Server::new([says(202), says(202)]).await;
    let pagerduty = pagerduty(&server);
    let notices = rolled_back();
    for notice in &notices {
        pagerduty.deliver(notice).await.unwrap();
    }
    let [trigger, resolve] = &server.received()[..] else { panic!("{:?}", server.received()) };
    let bad = bad();
    assert_eq!(
        trigger.json(),
        json!({
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": "tidegate/serving/fraud/ci-8841",
            "client": "tidegate",
            "payload": {
                "summary": bad.summary,
                "source": "serving/fraud",
                "severity": "error",
                "timestamp": humantime::format_rfc3339_millis(bad.at).to_string(),
                "component": "fraud@1.1.0",
                "group": "serving/fraud",
                "class": "returning",
                "custom_details": serde_json::to_value(&bad).unwrap(),
            },
        })
    );
    assert_eq!(
        resolve.json(),
        json!({
            "routing_key": KEY,
            "event_action": "resolve",
            "dedup_key": "tidegate/serving/fraud/ci-8841",
        })
    );
    assert_eq!(notices.last().unwrap().kind, Kind::RolledBack);
}

#[tokio::test]
async fn what_is_too_long_for_it_is_cut_and_keys_stay_apart() {
    let server = Server::new([]).await;
    let pagerduty = pagerduty(&server);
    let mut notice = bad();
    notice.summary = "ü".repeat(3_000);
    for last in ["a", "b"] {
        notice.rollout = Some((("x".repeat(199)) + last).parse().unwrap());
        notice.route = "r".repeat(200).parse().unwrap();
        pagerduty.deliver(&notice).await.unwrap();
    }
    let [a, b] = &server.received()[..] else { panic!() };
    let key = |body: serde_json::Value| body["dedup_key"].as_str().unwrap().to_owned();
    assert!(key(a.json()).len() <= 255 && key(a.json()).starts_with("tidegate/"));
    assert_ne!(key(a.json()), key(b.json()));
    assert_eq!(a.json()["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
}

#[tokio::test]
async fn its_key_is_shown_to_nobody() {
    let server = Server::new([with(400, &format!("Invalid routing key {KEY}, key={KEY}"))]).await;
    let pagerduty = pagerduty(&server);
    let text = chain(&pagerduty.deliver(&bad()).await.unwrap_err());
    assert!(text.contains("takes nothing from here"), "{text}");
    assert!(text.contains("(secret)") && !text.contains("0123456789"), "{text}");
    assert!(!format!("{pagerduty:?}").contains("0123"), "{pagerduty:?}");
    for wrong in ["", "0123", "0123456789abcdef0123456789ABCDE/"] {
        let error = PagerDuty::new(client(), wrong).unwrap_err().to_string();
        assert!(
            error.contains("32 letters and digits") && (wrong.is_empty() || !error.contains(wrong)),
            "{error}"
        );
    }
}
