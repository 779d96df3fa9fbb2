//! A file that does not say that it is complete is not clean.

use serde_json::{Value, json};
use tidegate_validation::{Reason, Verdict, checks::Sarif};

use super::{data, found, found_in, log};

fn run(more: &Value) -> String {
    let mut run = json!({ "tool": { "driver": { "name": "T" } }, "results": [] });
    for (name, value) in more.as_object().expect("an object") {
        run[name] = value.clone();
    }
    json!({ "version": "2.1.0", "runs": [run] }).to_string()
}

#[tokio::test]
async fn what_is_whole_and_empty_is_clean() {
    assert_eq!(found_in(Sarif::default(), run(&json!({}))).await.verdict, Verdict::Pass);
    let with_mark = [b"\xef\xbb\xbf".as_slice(), run(&json!({})).as_bytes()].concat();
    assert_eq!(found_in(Sarif::default(), with_mark).await.verdict, Verdict::Pass);
    let succeeded = json!({ "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": [
        { "level": "warning", "message": { "text": "slow" } }, { "message": { "text": "read" } },
    ] }] });
    assert_eq!(found_in(Sarif::default(), run(&succeeded)).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn what_is_not_whole_is_inconclusive_and_says_why() {
    let whole = run(&json!({}));
    let failed =
        run(&json!({ "invocations": [{ "executionSuccessful": true }, { "executionSuccessful": false }] }));
    let noted = json!({ "level": "error", "message": { "text": "out of memory" } });
    let noted = run(
        &json!({ "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": [noted] }] }),
    );
    let cases: [(String, &str); 19] = [
        (String::new(), "no whole SARIF"),
        ("null".to_owned(), "no whole SARIF"),
        ("[]".to_owned(), "no whole SARIF"),
        ("{}".to_owned(), "does not say that it is SARIF"),
        (r#"{"version": "2.1.0"}"#.to_owned(), "no runs"),
        (r#"{"version": "2.1.0", "runs": null}"#.to_owned(), "no runs"),
        (r#"{"version": "2.1.0", "runs": []}"#.to_owned(), "no runs"),
        (whole.replace("2.1.0", "2.0.0"), "SARIF 2.0.0"),
        (whole.replace("\"results\":[]", "\"results\":null"), "no results"),
        (run(&json!({ "results": Value::Null })), "no results"),
        (failed, "did not succeed"),
        (noted, "out of memory"),
        (run(&json!({ "invocations": [{ "commandLine": "scan" }] })), "whether it succeeded"),
        (
            whole.replacen('{', r#"{"inlineExternalProperties": [{"results": []}],"#, 1),
            "inlineExternalProperties",
        ),
        (
            run(&json!({ "externalPropertyFileReferences": { "results": [{ "itemCount": 1 }] } })),
            "other files",
        ),
        (run(&json!({ "results": [{ "locations": "nowhere" }] })), "results[0]"),
        (run(&json!({ "tool": {} })), "runs[0]"),
        // Readers differ in which they take.
        (
            whole.replace("\"results\":[]", "\"results\":[{\"level\":\"error\"}],\"results\":[]"),
            "duplicate field",
        ),
        (format!("{whole}{whole}"), "no whole SARIF"),
    ];
    for (text, why) in cases {
        let finding = found_in(Sarif::default(), &text).await;
        let Verdict::Inconclusive(Reason::ParseLimit { what }) = &finding.verdict else {
            panic!("{text}: {finding:?}");
        };
        assert!(what.contains(why), "{text}: {what}");
    }
}

#[tokio::test]
async fn a_file_cut_short_anywhere_is_never_clean() {
    let whole = std::fs::read(data("semgrep.sarif")).unwrap();
    let end = whole.trim_ascii_end().len();
    for length in (0..end).step_by(7) {
        let finding = found_in(Sarif::default(), &whole[..length]).await;
        assert!(matches!(finding.verdict, Verdict::Inconclusive(_)), "{length}: {finding:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_clean_and_no_device_is_waited_for() {
    for path in ["/nonexistent/x.sarif", "/dev/zero", "/"] {
        let finding = found(Sarif { files: vec![path.into()], ..Sarif::default() }).await;
        assert!(matches!(finding.verdict, Verdict::Inconclusive(_)), "{path}: {finding:?}");
    }
    let check = Sarif { largest: 10, ..Sarif::default() };
    let finding = found_in(check, run(&json!({}))).await;
    let Verdict::Inconclusive(reason) = &finding.verdict else { panic!("{finding:?}") };
    assert!(reason.to_string().contains("raise `largest`"), "{reason}");
}

/// What was found stands, though something else is missing.
#[tokio::test]
async fn a_failure_outweighs_a_gap() {
    let results = json!([{ "level": "error", "message": { "text": "m" } }, { "locations": "nowhere" }]);
    assert_eq!(found_in(Sarif::default(), log(&json!([]), &results)).await.verdict, Verdict::Fail);
    let finding =
        found(Sarif { files: vec![data("bandit.sarif"), "none.sarif".into()], ..Sarif::default() }).await;
    assert_eq!(finding.verdict, Verdict::Fail);
    let finding =
        found(Sarif { files: vec![data("clippy.sarif"), "none.sarif".into()], ..Sarif::default() }).await;
    assert!(matches!(finding.verdict, Verdict::Inconclusive(_)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_to_which_nobody_writes_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe.sarif");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = found(Sarif { files: vec![pipe.clone()], ..Sarif::default() });
    let finding = tokio::time::timeout(std::time::Duration::from_secs(20), read).await;
    // Whoever waits for a writer has one now, and the runtime can end.
    let _ = std::fs::OpenOptions::new().read(true).write(true).open(&pipe);
    let finding = finding.unwrap();
    assert!(matches!(finding.verdict, Verdict::Inconclusive(_)), "{finding:?}");
}
