use serde_json::{Value, json};
use tidegate_validation::{Reply, Run, ToolCall, scorer::Scorer as _};

use super::{assertion, question};

fn reply(calls: &[(&str, &str)]) -> Reply {
    Reply::default()
        .with_tool_calls(calls.iter().map(|(name, arguments)| ToolCall::new("", *name, *arguments)))
}

async fn score(settings: Value, calls: &[(&str, &str)]) -> (bool, f64) {
    let score = assertion(settings).score(&question(), &reply(calls), &Run::new(7)).await.unwrap();
    (score.passed, score.value)
}

const SEARCH: (&str, &str) = ("search", r#"{"q": "rust", "limit": 5}"#);
const OPEN: (&str, &str) = ("open", r#"{"url": "a"}"#);
const CLOSE: (&str, &str) = ("close", "");

#[tokio::test]
async fn orders_differ_in_what_they_allow() {
    let passes = async |order: &str, calls: &[(&str, &str)]| {
        let expected = json!([{"name": "search"}, {"name": "open"}]);
        score(json!({"kind": "tool-calls", "expected": expected, "order": order}), calls).await.0
    };
    // strict, unordered, subset, superset, in-order
    for (calls, expected) in [
        (&[SEARCH, OPEN][..], [true, true, true, true, true]),
        (&[OPEN, SEARCH], [false, true, true, true, false]),
        (&[SEARCH], [false, false, true, false, false]),
        (&[], [false, false, true, false, false]),
        (&[SEARCH, CLOSE, OPEN], [false, false, false, true, true]),
        (&[SEARCH, SEARCH, OPEN], [false, false, false, true, true]),
        (&[OPEN, SEARCH, CLOSE], [false, false, false, true, false]),
        (&[CLOSE], [false, false, false, false, false]),
    ] {
        let mut found = Vec::new();
        for order in ["strict", "unordered", "subset", "superset", "in-order"] {
            found.push(passes(order, calls).await);
        }
        assert_eq!(found, expected, "{calls:?}");
    }
}

#[tokio::test]
async fn arguments_are_compared_as_is_wanted() {
    let passes = async |extra: Value, expected: Value, arguments: &str| {
        let mut settings = json!({"kind": "tool-calls", "expected": [expected]});
        settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        score(settings, &[("search", arguments)]).await.0
    };
    let call = json!({"name": "search", "arguments": {"q": "rust", "limit": 5, "in": {"a": [1]}}});
    let same = r#"{"limit": 5.0, "in": {"a": [1.0]}, "q": "rust"}"#;
    let more = r#"{"limit": 5, "in": {"a": [1], "b": 2}, "q": "rust", "id": "x"}"#;
    assert!(passes(json!({}), call.clone(), same).await && !passes(json!({}), call.clone(), more).await);
    assert!(passes(json!({"ignore_keys": ["id", "b"]}), call.clone(), more).await);
    assert!(passes(json!({"arguments": "subset"}), call.clone(), more).await);
    assert!(!passes(json!({"arguments": "subset"}), call.clone(), r#"{"q": "rust"}"#).await);
    assert!(
        !passes(
            json!({"arguments": "subset"}),
            call.clone(),
            r#"{"limit": 5, "in": {"a": [1, 2]}, "q": "rust"}"#
        )
        .await
    );
    assert!(passes(json!({"arguments": "ignore"}), call.clone(), "no JSON").await);
    assert!(!passes(json!({}), call, "no JSON").await);
    let schema = json!({"name": "search", "schema": {"type": "object", "required": ["q"]}});
    assert!(passes(json!({}), schema.clone(), same).await && !passes(json!({}), schema, "{}").await);
    let none = json!({"name": "search", "arguments": {}});
    assert!(passes(json!({}), none.clone(), "").await && passes(json!({}), none, " {} ").await);
}

#[tokio::test]
async fn the_score_is_the_f1_of_calls() {
    let expected = json!([{"name": "search"}, {"name": "open"}, {"name": "close"}]);
    let settings = json!({"kind": "tool-calls", "expected": expected, "order": "unordered"});
    // Two of two calls are among three expected: 2·2/(2 + 3).
    assert_eq!(score(settings.clone(), &[OPEN, SEARCH]).await, (false, 0.8));
    assert_eq!(score(settings, &[CLOSE, OPEN, SEARCH]).await, (true, 1.0));
    assert_eq!(score(json!({"kind": "tool-calls"}), &[]).await, (true, 1.0));
    assert_eq!(score(json!({"kind": "tool-calls"}), &[OPEN]).await, (false, 0.0));
}

#[tokio::test]
async fn tools_have_an_f1_of_their_names() {
    let settings = |threshold: f64| json!({"kind": "tool-call-f1", "expected": ["search", "open"], "threshold": threshold});
    assert_eq!(score(settings(1.0), &[OPEN, SEARCH, SEARCH]).await, (true, 1.0));
    // One of two called is among two expected: 2·1/(2 + 2).
    assert_eq!(score(settings(0.5), &[OPEN, CLOSE]).await, (true, 0.5));
    assert_eq!(score(settings(0.6), &[OPEN, CLOSE]).await, (false, 0.5));
    assert_eq!(score(settings(0.1), &[]).await, (false, 0.0));
}

#[tokio::test]
async fn limits_stop_loops_and_what_is_forbidden() {
    let limits = json!({"kind": "tool-limits", "most_calls": 3, "most_repeats": 2, "forbidden": ["delete"]});
    let passes = async |calls: &[(&str, &str)]| score(limits.clone(), calls).await.0;
    assert!(passes(&[]).await && passes(&[SEARCH, SEARCH, OPEN]).await);
    assert!(!passes(&[SEARCH, OPEN, CLOSE, CLOSE]).await, "four calls");
    assert!(
        !passes(&[SEARCH, SEARCH, ("search", r#"{"q":"rust","limit":5}"#)]).await,
        "the same three times"
    );
    assert!(passes(&[SEARCH, SEARCH, ("search", r#"{"q": "go"}"#)]).await);
    assert!(!passes(&[("delete", "{}")]).await);
}

#[tokio::test]
async fn a_flood_of_calls_is_bounded() {
    let flood = vec![SEARCH; 100_000];
    let settings = json!({"kind": "tool-calls", "expected": [{"name": "search"}]});
    let error = assertion(settings).score(&question(), &reply(&flood), &Run::new(7)).await.unwrap_err();
    assert!(error.to_string().contains("tool calls"), "{error}");
    assert!(!score(json!({"kind": "tool-limits", "most_repeats": 1}), &flood).await.0);
}
