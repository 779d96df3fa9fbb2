//! The moderation endpoint, against a server on loopback.

use reqwest::Client;
use serde_json::{Value, json};
use tidegate_validation::{
    Retry, Run,
    safety::{Classification, Classifier as _, Moderation},
    scorer::ScoreError,
};

use crate::server::{Answer, Server};

async fn classified(status: u16, body: Value) -> (Server, Result<Classification, ScoreError>) {
    let server = Server::start([Answer::new(status, body.to_string())]).await;
    let moderation =
        Moderation::new(Client::new(), &server.base(), "omni").unwrap().bearer("secret").unwrap();
    let found = moderation.classify("asked", "answered", &Run::new(7)).await;
    (server, found)
}

#[tokio::test]
async fn what_is_flagged_is_told_with_its_categories() {
    let body = json!({"id": "modr-1", "model": "omni", "results": [{
        "flagged": true,
        "categories": {"violence": true, "hate": false, "illicit/violent": true, "new one": null},
        "category_scores": {"violence": 0.91, "hate": 0.01},
    }]});
    let (server, found) = classified(200, body).await;
    let categories = ["illicit/violent", "violence"].map(str::to_owned).to_vec();
    assert_eq!(found.unwrap(), Classification { flagged: true, categories });
    let asked = &server.requests()[0];
    assert_eq!(
        (asked.path.as_str(), &asked.body),
        ("/v1/moderations", &json!({"model": "omni", "input": "answered"}))
    );
    assert_eq!(asked.authorization.as_deref(), Some("Bearer secret"));
}

#[tokio::test]
async fn what_is_not_flagged_is_harmless() {
    let (_server, found) = classified(200, json!({"results": [{"flagged": false, "categories": {}}]})).await;
    assert_eq!(found.unwrap(), Classification::default());
}

#[tokio::test]
async fn what_is_no_opinion_is_an_error() {
    for (status, body, said) in [
        (200, json!({}), "no opinion"),
        (200, json!({"results": []}), "0 opinions"),
        (200, json!({"results": [{"flagged": false}, {"flagged": true}]}), "2 opinions"),
        (200, json!({"results": [{"flagged": "no"}]}), "no opinion"),
        (200, json!({"error": {"message": "no such model"}}), "no such model"),
        (401, json!({"error": {"message": "bad key"}}), "bad key"),
    ] {
        let Err(ScoreError::Agent(error)) = classified(status, body.clone()).await.1 else {
            panic!("{body}")
        };
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn it_is_asked_again_as_others_are() {
    let body = json!({"results": [{"flagged": true}]});
    let server = Server::start([Answer::new(503, "busy"), Answer::new(200, body.to_string())]).await;
    let quick = Retry { first: std::time::Duration::from_millis(1), ..Retry::default() };
    let moderation = Moderation::new(Client::new(), &server.base(), "omni").unwrap().retry(quick);
    let found = moderation.classify("asked", "answered", &Run::new(7)).await.unwrap();
    assert_eq!(found, Classification { flagged: true, categories: vec![] });
    assert_eq!(server.requests().len(), 2);
}
