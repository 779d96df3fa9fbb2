//! Rollouts from their start to their end.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_canary::{Event, Record, Request, RouteJournal};
use tidegate_registry::{Journal, LogKey, ObjectBacked};

use crate::service::{Service, problem, start};

#[tokio::test]
async fn approved_and_promoted_in_the_name_of_the_token() {
    let service = Service::start();
    let answer = service.post("/rollouts", &start("ci-1", "serving/fraud", "fraud@^1.1, <1.2")).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["location"], "/rollouts/ci-1");

    let waiting = service.until("ci-1", |rollout| rollout["status"] == "waiting").await;
    assert_eq!(waiting["candidate"]["model"], "fraud@1.1.0");
    assert_eq!((&waiting["step"], &waiting["weight"]), (&json!(1), &json!("50%")), "{waiting}");
    let possible = waiting["possible"].as_array().expect("a list");
    assert!(possible.contains(&json!("approve")) && !possible.contains(&json!("resume")), "{waiting}");

    let other = json!({ "command": "approve", "digest": waiting["stable"]["digest"] });
    let refused = problem(service.post("/rollouts/ci-1/commands", &other).await, StatusCode::CONFLICT).await;
    assert!(refused["detail"].as_str().expect("text").contains("another digest"), "{refused}");

    service.ask("ci-1", &json!({ "command": "approve", "digest": waiting["candidate"]["digest"] })).await;
    let over = service.until("ci-1", |rollout| rollout["status"] == "promoted").await;
    assert_eq!(over["possible"], json!([]));
    let late = service.post("/rollouts/ci-1/commands", &json!({ "command": "pause" })).await;
    problem(late, StatusCode::CONFLICT).await;

    let registry = ObjectBacked::directory(service.root.path().join("registry")).await.expect("a registry");
    let route = "serving/fraud".parse().expect("a route");
    let journal = RouteJournal::open(std::sync::Arc::new(registry), &route).await.expect("it replays");
    let asked = journal.entries().iter().find_map(|entry| match &entry.record {
        Record::Happen(Event::Ask(Request::Approve { by, .. })) => Some(by.clone()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_worse_version_is_taken_back() {
    let service = Service::start();
    service.post("/rollouts", &start("ci-2", "serving/fraud", "fraud@1.2.0")).await;
    let over = service.until("ci-2", |rollout| rollout["status"] == "rolledBack").await;
    assert!(over["said"].as_str().expect("text").contains("errors"), "{over}");
}

#[tokio::test]
async fn every_command_does_what_it_says() {
    let service = Service::start();
    let promoted = |rollout: &Value| rollout["status"] == "promoted";
    let begin = async |id: &str, route: &str| {
        service.post("/rollouts", &start(id, route, "fraud@1.1.0")).await;
        service.until(id, |rollout| rollout["status"] == "waiting").await
    };
    // The channel is one for all routes: these are taken back, and only the last one is promoted.
    begin("rejected", "a").await;
    service.ask("rejected", &json!({ "command": "reject", "reason": "not today" })).await;
    let over = service.until("rejected", |rollout| rollout["status"] == "rolledBack").await;
    assert!(over["said"].as_str().expect("text").ends_with("ada rejected it: not today"), "{over}");

    begin("aborted", "b").await;
    let paused = service.ask("aborted", &json!({ "command": "pause" })).await;
    assert!(paused["waitsFor"].as_array().expect("a list").contains(&json!("somebody holds it")), "{paused}");
    let resumed = service.ask("aborted", &json!({ "command": "resume" })).await;
    assert_eq!(resumed["waitsFor"], json!(["approval"]));
    service.ask("aborted", &json!({ "command": "abort", "reason": "alerts fire" })).await;
    let over = service.until("aborted", |rollout| rollout["status"] == "rolledBack").await;
    assert!(over["said"].as_str().expect("text").ends_with("ada asked for it: alerts fire"), "{over}");

    begin("skipped", "c").await;
    service.ask("skipped", &json!({ "command": "skip", "reason": "seen enough" })).await;
    service.until("skipped", promoted).await;

    let list = service.get("/rollouts").await;
    let ids: Vec<_> = list.as_array().expect("a list").iter().map(|rollout| rollout["id"].clone()).collect();
    assert_eq!(ids, ["skipped", "aborted", "rejected"]);
}

#[tokio::test]
async fn promoted_at_once() {
    let service = Service::start();
    service.post("/rollouts", &start("now", "serving/fraud", "fraud@1.1.0")).await;
    service.until("now", |rollout| rollout["status"] == "waiting").await;
    service.ask("now", &json!({ "command": "promote", "reason": "an emergency" })).await;
    service.until("now", |rollout| rollout["status"] == "promoted").await;
}

#[tokio::test]
async fn the_same_start_twice_is_one_rollout() {
    let service = Service::start();
    let body = start("ci-3", "serving/fraud", "fraud@^1.1, <1.2");
    let all = futures::future::join_all((0..8).map(|_| service.post("/rollouts", &body))).await;
    let created = all.iter().filter(|answer| answer.status() == StatusCode::CREATED).count();
    let known = all.iter().filter(|answer| answer.status() == StatusCode::OK).count();
    assert_eq!((created, known), (1, 7));
    assert_eq!(service.get("/rollouts").await.as_array().map(Vec::len), Some(1));

    let mut changed = body.clone();
    changed["plan"]["steps"][0]["weight"] = json!("40%");
    let refused = problem(service.post("/rollouts", &changed).await, StatusCode::CONFLICT).await;
    assert_eq!(refused["remedy"], "Start it under another id.");

    // So it is with other versions, whether there are such or not, and however exactly the first was named.
    for (side, version) in
        [("candidate", "fraud@1.2.0"), ("candidate", "fraud@9.9.9"), ("stable", "fraud@1.0.0")]
    {
        let mut changed = body.clone();
        changed["plan"][side] = json!(version);
        let refused = problem(service.post("/rollouts", &changed).await, StatusCode::CONFLICT).await;
        assert!(refused["detail"].as_str().expect("text").contains("another plan"), "{refused}");
    }

    let mut other = body.clone();
    other["id"] = json!("ci-4");
    let refused = problem(service.post("/rollouts", &other).await, StatusCode::CONFLICT).await;
    assert!(refused["detail"].as_str().expect("text").contains("rollout ci-3 is under way"), "{refused}");
    let missing = service.request(Method::GET, "/rollouts/ci-4").send().await.expect("an answer");
    problem(missing, StatusCode::NOT_FOUND).await;
    // Nor was it written down: it must not begin one day by itself.
    let registry = ObjectBacked::directory(service.root.path().join("registry")).await.expect("a registry");
    let key = LogKey::new("release-service", "rollouts").expect("a key");
    let (_, started) = Journal::<Value>::open(std::sync::Arc::new(registry), key).await.expect("it is read");
    assert_eq!(started.len(), 1, "{started:?}");

    // Once the first is over, the same start is still that one, and others have their turn.
    service.until("ci-3", |rollout| rollout["status"] == "waiting").await;
    service.ask("ci-3", &json!({ "command": "abort", "reason": "for the next" })).await;
    service.until("ci-3", |rollout| rollout["status"] == "rolledBack").await;
    assert_eq!(service.post("/rollouts", &other).await.status(), StatusCode::CREATED);
    assert_eq!(service.post("/rollouts", &body).await.status(), StatusCode::OK);
}
