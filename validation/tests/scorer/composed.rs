use serde_json::{Value, json};
use tidegate_validation::{Reply, Run, scorer::Scorer as _};

use super::{assertion, holds, question, score};

fn says(word: &str) -> Value {
    json!({"kind": "contains", "value": word})
}

/// An assertion that cannot be scored: there is no embedder.
fn unknown() -> Value {
    json!({"kind": "similar", "value": "x"})
}

#[tokio::test]
async fn all_any_and_not_are_what_they_say() {
    let all = json!({"kind": "all", "of": [says("a"), says("b")]});
    let any = json!({"kind": "any", "of": [says("a"), says("b")]});
    let not = json!({"kind": "not", "of": says("a")});
    for (said, expected) in
        [("ab", [true, true, false]), ("a", [false, true, false]), ("c", [false, false, true])]
    {
        let found =
            [holds(all.clone(), said).await, holds(any.clone(), said).await, holds(not.clone(), said).await];
        assert_eq!(found, expected, "{said}");
    }
}

#[tokio::test]
async fn a_threshold_is_of_the_weighted_mean() {
    let by = |threshold: f64| {
        let mut heavy = says("a");
        heavy["weight"] = json!(3);
        json!({"kind": "all", "threshold": threshold, "of": [heavy, says("b")]})
    };
    let three_quarters = score(by(0.75), "a", &Run::new(7)).await.unwrap();
    assert_eq!((three_quarters.value, three_quarters.passed), (0.75, true));
    assert!(!holds(by(0.76), "a").await && !holds(by(0.75), "b").await);
}

/// A part without a score spoils only what hangs on it.
#[tokio::test]
async fn an_unknown_part_decides_nothing() {
    let of = |kind: &str, threshold: Option<f64>| {
        let mut settings = json!({"kind": kind, "of": [unknown(), says("a")]});
        if let Some(threshold) = threshold {
            settings["threshold"] = json!(threshold);
        }
        settings
    };
    let outcome = async |settings: Value, said: &str| {
        assertion(settings)
            .score(&question(), &Reply::text(said), &Run::new(7))
            .await
            .ok()
            .map(|score| score.passed)
    };
    assert_eq!(outcome(of("all", None), "a").await, None);
    assert_eq!(outcome(of("all", None), "c").await, Some(false));
    assert_eq!(outcome(of("any", None), "a").await, Some(true));
    assert_eq!(outcome(of("any", None), "c").await, None);
    assert_eq!(outcome(of("all", Some(0.5)), "a").await, Some(true));
    assert_eq!(outcome(of("all", Some(0.6)), "a").await, None);
    assert_eq!(outcome(of("all", Some(0.6)), "c").await, Some(false));
    assert_eq!(outcome(json!({"kind": "not", "of": unknown()}), "a").await, None);
}

#[tokio::test]
async fn what_is_missing_is_said_with_its_remedy() {
    let error = score(unknown(), "a", &Run::new(7)).await.unwrap_err();
    assert!(error.to_string().contains("Run::embedder"), "{error}");
}

#[test]
fn an_assertion_is_written_as_it_is_read() {
    for settings in [
        json!({"kind": "all", "of": [{"kind": "exact", "value": [], "weight": 2.0}], "threshold": 0.5}),
        json!({"kind": "regex", "pattern": "^a"}),
        json!({"kind": "refusal"}),
        json!({"kind": "choice"}),
        json!({"kind": "number", "value": ["3"], "absolute": 0.5, "relative": 0.0, "which": "last"}),
        json!({"kind": "json", "schema": {"type": "object"}, "fenced": false}),
    ] {
        assert_eq!(serde_json::to_value(assertion(settings.clone())).unwrap(), settings);
    }
}
