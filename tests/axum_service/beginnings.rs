//! The service is started while something that it needs is away.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::service::{Service, problem, start};

/// Takes a file of the registry away for a while. To open a link that leads to itself fails, and not because there is
/// nothing: so it is with a file system whose server does not answer.
struct Away<'a> {
    file: &'a Path,
    aside: &'a Path,
}

impl<'a> Away<'a> {
    fn take(file: &'a Path, aside: &'a Path) -> Self {
        fs::rename(file, aside).expect("it is there");
        symlink(file, file).expect("a writable directory");
        Self { file, aside }
    }

    fn bring_back(self) {
        fs::rename(self.aside, self.file).expect("it is put back");
    }
}

/// Until the service says that it is ready.
async fn ready(service: &Service) {
    let ready = async {
        while service.client.get(service.url("/health")).send().await.expect("an answer").status()
            != StatusCode::OK
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.expect("it is ready at last");
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for() {
    let mut service = Service::start();
    assert_eq!(service.get("/health").await, json!({ "ready": true }));
    service.post("/rollouts", &start("ci", "serving/fraud", "fraud@1.1.0")).await;
    service.until("ci", |rollout| rollout["status"] == "waiting").await;
    service.kill();
    let registry = service.root.path().join("registry");
    let (marker, aside) = (registry.join("tidegate.json"), service.root.path().join("aside"));
    let away = Away::take(&marker, &aside);
    service.again();

    let place = registry.to_str().expect("UTF-8").to_owned();
    let says_why = |problem: &Value| problem["detail"].as_str().expect("text").contains(&place);
    let asked = service.client.get(service.url("/health")).send().await.expect("an answer");
    assert_eq!(asked.headers()["retry-after"], "5");
    let stranger = problem(asked, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(!says_why(&stranger), "{stranger}");
    for path in ["/health", "/rollouts", "/rollouts/ci"] {
        let asked = service.request(Method::GET, path).send().await.expect("an answer");
        let told = problem(asked, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(says_why(&told), "{path}: {told}");
    }
    let begun = service.post("/rollouts", &start("other", "other", "fraud@1.1.0")).await;
    problem(begun, StatusCode::SERVICE_UNAVAILABLE).await;
    // What needs no registry is there; who has no token is sent away all the same.
    service.get("/openapi.json").await;
    let stranger = service.client.get(service.url("/rollouts")).send().await.expect("an answer");
    problem(stranger, StatusCode::UNAUTHORIZED).await;

    away.bring_back();
    ready(&service).await;
    service.ask("ci", &json!({ "command": "abort", "reason": "enough" })).await;
    service.until("ci", |rollout| rollout["status"] == "rolledBack").await;
}

/// What is wrong for good is no reason to wait.
#[tokio::test]
async fn a_registry_that_is_none_ends_the_start() {
    let mut service = Service::start();
    service.kill();
    fs::write(service.root.path().join("registry/tidegate.json"), "nonsense").expect("a writable directory");
    let output = service.command().output().expect("the program runs");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("tidegate.json"), "{said}");
}
