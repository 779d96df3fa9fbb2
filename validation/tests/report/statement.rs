//! The statement of in-toto.

use serde_json::json;
use tidegate_registry::{Stamp, TestOutcome, TestResult};

use super::{rate, report, too_few};

#[test]
fn it_passes_warns_or_fails_as_the_report_accepts() {
    let cases = [
        (vec![rate("a", &"pass".into())], TestOutcome::Passed),
        (vec![rate("a", &"pass".into()), rate("allowed", &too_few())], TestOutcome::Warned),
        (vec![rate("a", &"pass".into()), rate("b", &too_few())], TestOutcome::Failed),
        (vec![rate("a", &"pass".into()), rate("b", &"fail".into())], TestOutcome::Failed),
        // Nothing passed.
        (vec![rate("allowed", &too_few())], TestOutcome::Failed),
        (vec![], TestOutcome::Failed),
    ];
    for (findings, expected) in cases {
        let report = report(&findings);
        let result = report.test_result();
        assert_eq!(result.result, expected, "{report}");
        assert_eq!(result.result == TestOutcome::Failed, !report.accepted());
    }
}

#[test]
fn it_names_the_checks_and_the_suite_by_its_digest() {
    let report = report(&[rate("a", &"pass".into()), rate("allowed", &too_few()), rate("b", &"fail".into())]);
    let attestation = report.test_result().attestation(Stamp { by: "ci".into(), at: std::time::UNIX_EPOCH });
    assert_eq!(attestation.predicate_type, "https://in-toto.io/attestation/test-result/v0.1");
    assert_eq!(
        attestation.predicate,
        json!({
            "result": "FAILED",
            "configuration": [{ "name": "before release", "digest": { "sha256": "cd".repeat(32) } }],
            "passedTests": ["a"], "warnedTests": ["allowed"], "failedTests": ["b"],
        })
    );
    assert_eq!(TestResult::try_from(&attestation).unwrap(), report.test_result());
}
