//! The OpenAPI document says what is served, and what is served is as it says.

use jsonschema::Validator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::service::{Service, start};

/// What checks documents against one of the schemas.
fn schema(document: &Value, pointer: &str) -> Validator {
    let place = document.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}"));
    let mut schema = place.clone();
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).expect("a schema")
}

fn check(document: &Value, pointer: &str, instance: &Value) {
    let errors: Vec<_> =
        schema(document, pointer).iter_errors(instance).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{pointer}: {errors:?}: {instance}");
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn every_route_is_in_it_and_nothing_else() {
    let service = Service::start();
    let document = service.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().expect("paths") {
        for name in METHODS {
            let method: Method = name.to_uppercase().parse().expect("a method");
            let request = service.request(method, &path.replace("{id}", "nothing"));
            let answer = request.json(&json!({})).send().await.expect("an answer");
            let is_there = answer.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_there, item.get(name).is_some(), "{name} {path}: {}", answer.status());
            if !is_there {
                // What the router has beside is in the header.
                let allow = answer.headers()["allow"].to_str().expect("ASCII").to_lowercase();
                let allowed: Vec<_> = allow.split(',').filter(|name| *name != "head").collect();
                assert!(allowed.iter().all(|name| item.get(name).is_some()), "{allow} of {path}");
            }
        }
    }
    let ids = document["paths"].as_object().expect("paths").values().flat_map(|item| {
        METHODS.iter().filter_map(|method| item.get(*method)?["operationId"].as_str()).collect::<Vec<_>>()
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    assert_eq!(ids, ["askRollout", "getDocument", "getHealth", "getRollout", "listRollouts", "startRollout"]);
}

/// No reference leads nowhere.
#[tokio::test]
async fn it_is_whole() {
    let service = Service::start();
    let document = service.get("/openapi.json").await;
    fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("all of it is in one document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn what_is_sent_and_answered_is_as_it_says() {
    let service = Service::start();
    let document = service.get("/openapi.json").await;
    let rollouts = "/paths/~1rollouts";
    let one = "/paths/~1rollouts~1{id}";
    let commands = "/paths/~1rollouts~1{id}~1commands";
    let body = "requestBody/content/application~1json/schema";
    let answer = |status: &str| format!("responses/{status}/content/application~1json/schema");

    let plan = start("ci-1", "serving/fraud", "fraud@1.1.0");
    check(&document, &format!("{rollouts}/post/{body}"), &plan);
    for status in ["201", "200"] {
        let answered = service.post("/rollouts", &plan).await;
        assert_eq!(answered.status().as_str(), status);
        let rollout: Value = answered.json().await.expect("JSON");
        check(&document, &format!("{rollouts}/post/{}", answer(status)), &rollout);
    }
    let waiting = service.until("ci-1", |rollout| rollout["status"] == "waiting").await;
    check(&document, &format!("{one}/get/{}", answer("200")), &waiting);
    check(&document, &format!("{rollouts}/get/{}", answer("200")), &service.get("/rollouts").await);

    let refused = service.post("/rollouts/ci-1/commands", &json!({ "command": "resume" })).await;
    let problem: Value = refused.json().await.expect("JSON");
    let of_problems = "/components/responses/Problem/content/application~1problem+json/schema";
    check(&document, of_problems, &problem);

    for command in [json!({ "command": "pause" }), json!({ "command": "abort", "reason": "over" })] {
        check(&document, &format!("{commands}/post/{body}"), &command);
        let asked = service.ask("ci-1", &command).await;
        check(&document, &format!("{commands}/post/{}", answer("200")), &asked);
    }
    let over = service.until("ci-1", |rollout| rollout["status"] == "rolledBack").await;
    check(&document, &format!("{one}/get/{}", answer("200")), &over);
    let health = service.get("/health").await;
    check(&document, &format!("/paths/~1health/get/{}", answer("200")), &health);
    check(&document, "/paths/~1openapi.json/get/responses/200/content/application~1json/schema", &document);

    // It is no schema that admits everything.
    let commands = schema(&document, &format!("{commands}/post/{body}"));
    for wrong in [json!({}), json!({ "command": "abort" }), json!({ "command": "explode" })] {
        assert!(!commands.is_valid(&wrong), "{wrong}");
    }
    let starts = schema(&document, &format!("{rollouts}/post/{body}"));
    assert!(!starts.is_valid(&json!({ "id": "../x", "plan": plan["plan"] })));
    assert!(!starts.is_valid(&json!({ "id": "ci-1", "plan": { "route": "a" } })));
}
