//! JUnit, read back by the library that other tools read it with.

use quick_junit::{NonSuccessKind, TestCaseStatus};
use serde_json::json;

use super::{hostile, hostile_texts, is_tame, issues, rate, report, too_few};

fn read(xml: &str) -> quick_junit::Report {
    quick_junit::Report::deserialize_from_str(xml).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn kind(status: &TestCaseStatus) -> &'static str {
    match status {
        TestCaseStatus::Success { .. } => "success",
        TestCaseStatus::Skipped { .. } => "skipped",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
    }
}

/// The status of the check and of its three cases.
fn kinds(xml: &str) -> Vec<Vec<&'static str>> {
    let report = read(xml);
    let suites = report.test_suites.iter();
    suites.map(|suite| suite.test_cases.iter().map(|case| kind(&case.status)).collect()).collect()
}

#[test]
fn a_failure_is_about_the_model_and_an_error_about_what_is_not_known() {
    let report = report(&[
        rate("good", &"pass".into()),
        rate("bad", &"fail".into()),
        rate("unknown", &too_few()),
        rate("allowed", &too_few()),
    ]);
    assert_eq!(
        kinds(&report.projection().junit()),
        [
            // A rate passes its floor with misses.
            ["success", "success", "skipped", "skipped"],
            ["failure", "success", "failure", "skipped"],
            ["error", "success", "skipped", "error"],
            ["skipped", "success", "skipped", "skipped"],
        ]
    );
}

#[test]
fn there_is_a_failure_or_an_error_exactly_if_it_is_not_accepted() {
    let verdicts = [json!("pass"), json!("fail"), too_few()];
    let names = ["one", "allowed"];
    let mut reports = vec![report(&[])];
    for first in &verdicts {
        reports.extend(names.map(|name| report(&[rate(name, first)])));
        reports.extend(verdicts.iter().map(|second| report(&[rate("one", first), rate("allowed", second)])));
    }
    for report in reports {
        let read = read(&report.projection().junit());
        assert_eq!(read.failures + read.errors == 0, report.accepted(), "{report}");
    }
}

#[test]
fn numbers_are_properties() {
    let read = read(&report(&[rate("a", &"pass".into())]).projection().junit());
    let suite = &read.test_suites[0];
    let of = |list: &[quick_junit::Property], name: &str| {
        let found = list.iter().find(|property| property.name.as_str() == name);
        found.map(|property| property.value.as_str().to_owned())
    };
    let numbers = ["estimate", "lower", "upper", "confidence", "threshold", "n", "unknown", "method"];
    let values = numbers.map(|name| of(&suite.test_cases[0].properties, name).unwrap_or_default());
    assert_eq!(values, ["0.9", "0.805", "0.96", "0.95", "0.85", "100", "1", "clopper-pearson"]);
    let facts: Vec<_> = suite.properties.iter().map(|property| property.name.as_str()).collect();
    assert!(facts.contains(&"seed") && facts.contains(&"content"), "{facts:?}");
}

#[test]
fn a_failure_lists_what_is_open() {
    let xml = report(&[issues("fail")]).projection().junit();
    assert!(xml.contains("critical pickle-dangerous-import in weights/a b.bin at 11: os.system"), "{xml}");
    assert!(!xml.contains("CVE-2024-0001"), "{xml}");
}

#[test]
fn hostile_text_is_text() {
    for text in hostile_texts() {
        let xml = hostile(&text).projection().junit();
        assert!(is_tame(&xml) && xml.len() < 500_000, "{}", xml.len());
        // Three checks, with as many tests as without.
        assert_eq!(
            read(&xml).test_suites.iter().map(|suite| suite.test_cases.len()).collect::<Vec<_>>(),
            [4, 1, 4]
        );
    }
}
