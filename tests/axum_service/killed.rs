//! The service is killed, and started again.

use std::{sync::Arc, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_canary::{RouteId, RouteJournal};
use tidegate_registry::{Journal, ObjectBacked};

use crate::service::{Service, start};

#[tokio::test]
async fn it_goes_on_with_all_that_are_not_over() {
    let mut service = Service::start();
    let routes = ["a", "b", "c"];
    for route in routes {
        service.post("/rollouts", &start(route, route, "fraud@1.1.0")).await;
    }
    service.until("a", |rollout| rollout["status"] == "waiting").await;
    service.ask("a", &json!({ "command": "abort", "reason": "enough" })).await;
    service.until("a", |rollout| rollout["status"] == "rolledBack").await;
    let before = service.until("b", |rollout| rollout["status"] == "waiting").await;
    service.ask("b", &json!({ "command": "pause" })).await;
    // Wherever `c` is at this moment.
    service.kill();
    service.again();

    let over = service.get("/rollouts/a").await;
    assert_eq!((&over["status"], &over["by"]), (&json!("rolledBack"), &json!("ada")), "{over}");
    // Whoever is let in can ask things of it: it is driven already.
    let after = service.get("/rollouts/b").await;
    assert_eq!(after["waitsFor"], json!(["somebody holds it", "approval"]), "{after}");
    assert_eq!(after["stable"], before["stable"]);
    let again = service.post("/rollouts", &start("b", "b", "fraud@1.1.0")).await;
    assert_eq!(again.status(), StatusCode::OK);

    service.ask("b", &json!({ "command": "abort", "reason": "for c" })).await;
    service.until("b", |rollout| rollout["status"] == "rolledBack").await;
    let digest = before["candidate"]["digest"].clone();
    service.until("c", |rollout| rollout["status"] == "waiting").await;
    service.ask("c", &json!({ "command": "approve", "digest": digest })).await;
    service.until("c", |rollout| rollout["status"] == "promoted").await;
}

/// One damaged route is said, and the others go on.
#[tokio::test]
async fn a_damaged_journal_holds_up_only_its_route() {
    let mut service = Service::start();
    for route in ["a", "b"] {
        service.post("/rollouts", &start(route, route, "fraud@1.1.0")).await;
        service.until(route, |rollout| rollout["status"] == "waiting").await;
    }
    service.kill();
    let registry = ObjectBacked::directory(service.root.path().join("registry")).await.expect("a registry");
    let damaged: RouteId = "a".parse().expect("a route");
    let journal = Journal::<Value>::at_end(Arc::new(registry), damaged.log_key()).await;
    journal.expect("it is there").append(&json!("nonsense")).await.expect("it is written");
    service.again();

    let unread = service.get("/rollouts/a").await;
    assert!(unread["trouble"].as_str().is_some_and(|why| why.contains("journal")), "{unread}");
    service.ask("b", &json!({ "command": "abort", "reason": "enough" })).await;
    service.until("b", |rollout| rollout["status"] == "rolledBack").await;
}

/// Killed after each few records, it comes to the same end.
#[tokio::test]
async fn killed_again_and_again() {
    let mut service = Service::start();
    let mut plan = start("ci", "serving/fraud", "fraud@1.1.0");
    // So long that it does not end by itself meanwhile.
    plan["plan"]["steps"][0] = json!({ "weight": "50%", "soak": "10m", "require": "pass" });
    service.post("/rollouts", &plan).await;
    let registry = ObjectBacked::directory(service.root.path().join("registry")).await.expect("a registry");
    let (log, route) = (Arc::new(registry), "serving/fraud".parse().expect("a route"));
    let records = async || {
        let journal = RouteJournal::open(Arc::clone(&log) as _, &route).await.expect("it replays");
        (journal.entries().len(), journal.latest().is_some_and(|(_, rollout)| rollout.state().is_end()))
    };
    let mut kills = 0;
    loop {
        let (before, _) = records().await;
        let over = loop {
            match records().await {
                (_, true) => break true,
                (now, false) if now > before + 2 => break false,
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        };
        if over {
            break;
        }
        service.kill();
        service.again();
        kills += 1;
        if kills == 3 {
            let soaks = |rollout: &Value| {
                let possible = rollout["possible"].as_array();
                rollout["step"] == 1 && possible.is_some_and(|possible| possible.contains(&json!("skip")))
            };
            service.until("ci", soaks).await;
            service.ask("ci", &json!({ "command": "skip", "reason": "the rest" })).await;
        }
    }
    assert!(kills > 2, "killed {kills} times");
    service.until("ci", |rollout| rollout["status"] == "promoted").await;
    assert_eq!(service.get("/rollouts").await.as_array().map(Vec::len), Some(1));
}

#[cfg(unix)]
#[tokio::test]
async fn asked_to_end_it_ends_well() {
    let mut service = Service::start();
    service.post("/rollouts", &start("ci", "serving/fraud", "fraud@1.1.0")).await;
    service.until("ci", |rollout| rollout["status"] == "waiting").await;
    assert!(service.end().success());
    service.again();
    let rollout = service.until("ci", |rollout| rollout["status"] == "waiting").await;
    assert_eq!(rollout["waitsFor"], json!(["approval"]));
}
