//! Which rule a result is about, and how bad that makes it.

use serde_json::{Value, json};
use tidegate_validation::{Severity, checks::Sarif};

use super::{found_in, log};

/// The severity of the one result of a log.
async fn severity(log: String) -> Severity {
    let finding = found_in(Sarif::default(), log).await;
    assert_eq!(finding.issues.len(), 1, "{finding:?}");
    finding.issues[0].severity
}

fn scored(id: &str, score: Value) -> Value {
    json!({ "id": id, "properties": { "security-severity": score } })
}

#[tokio::test]
async fn a_score_counts_before_a_level() {
    let scores = [
        (json!("9.0"), Severity::Critical),
        (json!(9.8), Severity::Critical),
        (json!("7.0"), Severity::High),
        (json!("6.9"), Severity::Medium),
        (json!(4), Severity::Medium),
        (json!("0.1"), Severity::Low),
        // No scores: the level counts.
        (json!("0.0"), Severity::Low),
        (json!(0), Severity::Low),
        (json!("high"), Severity::Low),
        (json!("11"), Severity::Low),
        (json!("NaN"), Severity::Low),
        (json!([9.8]), Severity::Low),
        (json!(null), Severity::Low),
    ];
    for (score, expected) in scores {
        let result = json!([{ "ruleId": "r", "level": "note", "message": { "text": "m" } }]);
        assert_eq!(severity(log(&json!([scored("r", score.clone())]), &result)).await, expected, "{score}");
    }
}

#[tokio::test]
async fn a_level_is_that_of_the_result_then_of_the_rule_then_a_warning() {
    let rules = json!([{ "id": "r", "defaultConfiguration": { "level": "error" } }]);
    let cases = [
        (json!({ "ruleId": "r" }), Severity::High),
        (json!({ "ruleId": "r", "level": "note" }), Severity::Low),
        (json!({ "ruleId": "r", "level": "none" }), Severity::None),
        (json!({ "ruleId": "r", "level": "catastrophe" }), Severity::Medium),
        (json!({ "ruleId": "other" }), Severity::Medium),
        (json!({}), Severity::Medium),
    ];
    for (result, expected) in cases {
        assert_eq!(severity(log(&rules, &json!([result]))).await, expected, "{result}");
    }
}

#[tokio::test]
async fn a_rule_is_found_by_index_by_name_and_by_the_name_above() {
    let rules = json!([scored("a", json!(2)), scored("b", json!(9.5))]);
    for result in [
        json!({ "ruleIndex": 1 }),
        json!({ "rule": { "index": 1 } }),
        json!({ "rule": { "id": "b" } }),
        json!({ "ruleId": "b", "ruleIndex": -1 }),
        json!({ "ruleId": "b", "ruleIndex": 77 }),
        json!({ "ruleId": "b/variant/2" }),
        // It contradicts itself, and the worst is taken.
        json!({ "ruleId": "a", "ruleIndex": 1 }),
    ] {
        assert_eq!(severity(log(&rules, &json!([result]))).await, Severity::Critical, "{result}");
    }
}

/// As CodeQL writes them.
#[tokio::test]
async fn rules_of_extensions_are_found() {
    let extensions = json!([
        { "name": "codeql/other", "rules": [scored("py/x", json!(1))] },
        { "name": "codeql/python-queries", "guid": "g", "rules": [scored("py/y", json!(1)), scored("py/x", json!(9.1))] },
    ]);
    for result in [
        json!({ "ruleId": "py/x", "rule": { "id": "py/x", "index": 1, "toolComponent": { "index": 1 } } }),
        json!({ "rule": { "index": 1, "toolComponent": { "name": "codeql/python-queries" } } }),
        json!({ "rule": { "id": "py/x", "toolComponent": { "guid": "g" } } }),
        // In both: the worst.
        json!({ "ruleId": "py/x" }),
    ] {
        let run = json!({ "tool": { "driver": { "name": "CodeQL" }, "extensions": extensions }, "results": [result] });
        let log = json!({ "version": "2.1.0", "runs": [run] }).to_string();
        assert_eq!(severity(log).await, Severity::Critical, "{result}");
    }
}

#[tokio::test]
async fn a_place_is_found_by_index_and_decoded() {
    let run = json!({
        "tool": { "driver": { "name": "T" } },
        "artifacts": [{}, { "location": { "uri": "src/a%20b.py" } }],
        "results": [{ "ruleId": "r", "locations": [{
            "physicalLocation": { "artifactLocation": { "index": 1 }, "region": { "startLine": 3 } },
            "logicalLocations": [{ "fullyQualifiedName": "pkg:pypi/django@4.2.1", "kind": "package" }],
        }] }],
    });
    let finding = found_in(Sarif::default(), json!({ "version": "2.1.0", "runs": [run] }).to_string()).await;
    assert_eq!(finding.issues[0].to_string(), "medium r in src/a b.py:3 (django): without a message");
}
