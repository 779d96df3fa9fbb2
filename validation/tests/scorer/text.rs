use std::time::Duration;

use serde_json::json;
use tidegate_validation::{Reply, Run, dataset::Question, scorer::Scorer as _};

use super::{against, assertion, holds, kind, question, score};

/// Target, answer; ROUGE-L of rouge-score 0.1.2, F1 of inspect-ai 0.3.285, distance and normalised similarity of
/// RapidFuzz 3.14.6.
const GOLDEN: &[(&str, &str, f64, f64, u32, f64)] = &[
    (
        "The quick brown fox jumps over the lazy dog",
        "The quick brown dog jumps on the log.",
        0.588_235_294_118,
        0.615_384_615_385,
        11,
        0.744_186_046_512,
    ),
    ("police killed the gunman", "police kill the gunman", 0.75, 0.666_666_666_667, 2, 0.916_666_666_667),
    ("police killed the gunman", "the gunman kill police", 0.5, 0.666_666_666_667, 21, 0.125),
    ("the cat sat on the mat", "the the the the", 0.4, 0.0, 12, 0.454_545_454_545),
    ("a b c d e", "e d c b a", 0.2, 1.0, 4, 0.555_555_555_556),
    (
        "Paris is the capital of France.",
        "The capital of France is Paris, of course!",
        0.571_428_571_429,
        0.833_333_333_333,
        30,
        0.285_714_285_714,
    ),
    ("x", "y", 0.0, 0.0, 1, 0.0),
];

#[tokio::test]
async fn measures_of_wording_are_those_of_other_programs() {
    for &(target, said, rouge, f1, edits, similarity) in GOLDEN {
        for (name, expected) in [("rouge-l", rouge), ("f1", f1), ("levenshtein", similarity)] {
            let value = against(kind(name), target, said).await.value;
            assert!((value - expected).abs() < 1e-9, "{name} of `{said}`: {value}, not {expected}");
        }
        let within = |most| against(json!({"kind": "levenshtein", "most_edits": most}), target, said);
        assert!(within(edits).await.passed && (edits == 0 || !within(edits - 1).await.passed), "{said}");
    }
    assert!((against(kind("levenshtein"), "東京都", "京都府").await.value - 1.0 / 3.0).abs() < 1e-12);
    assert!((against(kind("levenshtein"), "kitten", "sitting").await.value - 0.571_428_571_429).abs() < 1e-9);
}

#[tokio::test]
async fn the_best_of_several_targets_counts() {
    let question = question().with_target("nothing like it").with_target("Paris");
    for name in ["exact", "normalised", "contains", "starts-with", "rouge-l", "f1", "levenshtein"] {
        let score =
            assertion(kind(name)).score(&question, &Reply::text("Paris"), &Run::new(7)).await.unwrap();
        assert_eq!((score.value, score.passed), (1.0, true), "{name}");
    }
}

#[tokio::test]
async fn comparisons_differ_in_what_they_forgive() {
    let forgiven = async |name: &str| {
        let mut forgiven = Vec::new();
        for said in ["Paris", "paris", " **PARIS**.", "Paris, of course", "It is Paris"] {
            forgiven.push(against(kind(name), "Paris", said).await.passed);
        }
        forgiven
    };
    assert_eq!(forgiven("exact").await, [true, false, false, false, false]);
    assert_eq!(forgiven("normalised").await, [true, true, true, false, false]);
    assert_eq!(forgiven("starts-with").await, [true, false, false, true, false]);
    assert_eq!(forgiven("contains").await, [true, false, false, true, true]);
}

#[tokio::test]
async fn texts_are_all_or_any_of_them() {
    let contains = |require: &str, ignore: bool| json!({"kind": "contains", "value": ["a1", "B2"], "require": require, "ignore_case": ignore});
    assert!(
        holds(contains("all", false), "a1 and B2").await && !holds(contains("all", false), "a1 and b2").await
    );
    assert!(holds(contains("all", true), "A1 and b2").await && !holds(contains("all", true), "a1").await);
    assert!(holds(contains("any", false), "a1").await && !holds(contains("any", false), "b2").await);
    let half = score(contains("all", false), "only a1", &Run::new(7)).await.unwrap();
    assert!(half.value == 0.5 && half.why.contains("`B2`"), "{half:?}");
    assert!(holds(json!({"kind": "contains", "value": 42}), "it is 42").await);
}

#[tokio::test]
async fn patterns_take_linear_time() {
    let evil = json!({"kind": "regex", "pattern": "^(a+)+$"});
    assert!(!holds(evil, &format!("{}b", "a".repeat(100_000))).await);
    let yes = json!({"kind": "regex", "pattern": r"(?i)^\s*yes\b"});
    assert!(holds(yes.clone(), " Yes, surely").await && !holds(yes, "yesterday").await);
}

#[tokio::test]
async fn json_is_the_whole_answer_or_a_block_of_it() {
    assert!(holds(kind("json"), " {\"a\": [1]} ").await && holds(kind("json"), "3").await);
    for said in ["", "{\"a\": 1", "{} and more", "```json\n{}\n```", &"[".repeat(100_000)] {
        assert!(!holds(kind("json"), said).await, "{said:.20}");
    }
    let fenced = json!({"kind": "json", "fenced": true});
    assert!(
        holds(fenced.clone(), "Here:\n```json\n{\"a\": 1}\n```\nDone.").await && holds(fenced, "{}").await
    );
}

#[tokio::test]
async fn a_schema_says_where_json_is_not_valid() {
    let schema = json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}}});
    let by = json!({"kind": "json", "schema": schema});
    assert!(holds(by.clone(), r#"{"city": "Paris"}"#).await);
    let told = score(by.clone(), r#"{"city": 3}"#, &Run::new(7)).await.unwrap();
    assert!(!told.passed && told.why.contains("/city"), "{told:?}");
    assert!(!holds(by.clone(), "{}").await && !holds(by, r#"{"city": "paris"}"#).await);
}

#[tokio::test]
async fn limits_and_refusals_are_of_the_reply() {
    let reply = |text: &str, latency| {
        let mut reply = Reply::text(text).with_usage(1_000, 500);
        reply.latency = Duration::from_millis(latency);
        reply
    };
    let passes = async |settings, reply: &Reply| {
        assertion(settings).score(&question(), reply, &Run::new(7)).await.unwrap().passed
    };
    let latency = json!({"kind": "latency", "max": "1s 500ms"});
    assert!(passes(latency.clone(), &reply("x", 1_500)).await && !passes(latency, &reply("x", 1_501)).await);
    // 1 000 of 1 000 000 × 0.15 and 500 × 0.60: 0.00045.
    let cost = |max: &str| json!({"kind": "cost", "max": max, "price": {"input": "0.15", "output": "0.60"}});
    assert!(passes(cost("0.00045"), &reply("x", 1)).await && !passes(cost("0.000449"), &reply("x", 1)).await);
    let uncounted = assertion(cost("1")).score(&question(), &Reply::text("x"), &Run::new(7)).await;
    assert!(uncounted.unwrap_err().to_string().contains("`usage`"));
    assert!(passes(kind("refusal"), &reply("I'm sorry, I can't help with that.", 1)).await);
    assert!(!passes(kind("refusal"), &reply("Paris", 1)).await);
}

#[tokio::test]
async fn an_answer_as_long_as_it_likes_is_unknown_where_it_cannot_be_compared() {
    let question = Question::new("q", "?").with_target("a b ".repeat(10_000));
    let long = Reply::text("a c ".repeat(10_000));
    for name in ["rouge-l", "levenshtein"] {
        let error = assertion(kind(name)).score(&question, &long, &Run::new(7)).await.unwrap_err();
        assert!(error.to_string().contains("too long to compare"), "{name}: {error}");
    }
}

#[tokio::test]
async fn topics_are_mentioned_or_not() {
    let topics =
        json!({"kind": "topics", "topics": ["algorithm", "training|learning", "data"], "threshold": 0.6});
    let told = score(topics, "An algorithm for learning.", &Run::new(7)).await.unwrap();
    assert!(
        told.passed && (told.value - 2.0 / 3.0).abs() < 1e-12 && told.why.contains("not data"),
        "{told:?}"
    );
}
