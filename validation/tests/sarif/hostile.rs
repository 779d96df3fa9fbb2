//! Files that are made to hurt.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;
use tidegate_validation::{Finding, Issue, Verdict, checks::Sarif};

use super::{data, found_in, log};

#[tokio::test]
async fn depth_ends_the_reading_and_not_the_program() {
    for nest in ["[", "{\"a\":"] {
        let deep = nest.repeat(1_000_000);
        for text in [
            deep.clone(),
            format!(r#"{{"version": "2.1.0", "runs": [{deep}"#),
            format!(
                r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "T", "properties": {deep}"#
            ),
        ] {
            let finding = found_in(Sarif::default(), text).await;
            assert!(matches!(finding.verdict, Verdict::Inconclusive(_)), "{:?}", finding.verdict);
        }
    }
}

#[tokio::test]
async fn lists_without_end_are_refused() {
    let runs = format!(r#"{{"version": "2.1.0", "runs": [{}{{}}]}}"#, "{},".repeat(200));
    let results = format!(
        r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "T"}}}}, "results": [{}{{}}]}}]}}"#,
        "{},".repeat(600_000)
    );
    for text in [runs, results] {
        let finding = found_in(Sarif::default(), text).await;
        let Verdict::Inconclusive(reason) = &finding.verdict else { panic!("{:?}", finding.verdict) };
        assert!(reason.to_string().contains("longer than"), "{reason}");
    }
}

/// Of many the worst are kept, all are counted, and what is left out is told.
#[tokio::test]
async fn many_findings_are_counted_and_the_worst_are_kept() {
    let mut results = Vec::new();
    for n in 0..20_000 {
        let level = if n % 10_000 == 9_999 { "error" } else { "note" };
        results.push(json!({ "ruleId": format!("r{n}"), "level": level, "message": { "text": "m" } }));
    }
    let finding = found_in(Sarif::default(), log(&json!([]), &json!(results))).await;
    assert_eq!((finding.evidence[0].estimate, finding.evidence[0].n), (2.0, 20_000));
    assert!(finding.issues.len() <= Finding::MOST_ISSUES);
    assert_eq!([&finding.issues[0].rule, &finding.issues[1].rule], ["r9999", "r19999"]);
    assert_eq!(finding.verdict, Verdict::Fail);
}

/// A megabyte of a message, controls and marks of direction.
#[tokio::test]
async fn texts_are_shortened_and_tamed() {
    let mut message = "\u{1b}[2J\u{202e}evil\r\n\u{0}".to_owned();
    for n in 0..100_000 {
        write!(message, "{n},").expect("memory");
    }
    let result = json!({ "ruleId": message, "message": { "text": message }, "level": "error", "locations": [
        { "physicalLocation": { "artifactLocation": { "uri": message } } }
    ] });
    let finding = found_in(Sarif::default(), log(&json!([]), &json!([result]))).await;
    let issue = &finding.issues[0];
    for text in [&issue.rule, &issue.message, issue.path.as_ref().expect("a path")] {
        assert!(text.chars().count() <= 10 * Issue::SHOWN, "{}", text.len());
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\n', '\r', '\0']), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One byte of a real file is another: it may say anything, but it does not panic, and what is not read is not
    /// clean.
    #[test]
    fn a_damaged_file_is_no_crash(at in 0_usize..1720, byte: u8) {
        let mut bytes = std::fs::read(data("semgrep.sarif")).expect("the file is there");
        let at = at % bytes.len();
        bytes[at] = byte;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let whole = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        let finding = runtime.block_on(found_in(Sarif::default(), &bytes));
        prop_assert!(whole || matches!(finding.verdict, Verdict::Inconclusive(_)), "{:?}", finding.verdict);
    }
}
