//! What scanners really write; see `data/README.md`.

use tidegate_validation::{Finding, Severity, Verdict, checks::Sarif, sarif::Exception};

use super::{data, found};

async fn of(name: &str, fail_at: Severity) -> Finding {
    found(Sarif { files: vec![data(name)], fail_at, ..Sarif::default() }).await
}

/// Rule, severity, line.
fn told(finding: &Finding) -> Vec<(&str, Severity, Option<u64>)> {
    finding.issues.iter().map(|issue| (&*issue.rule, issue.severity, issue.line)).collect()
}

#[tokio::test]
async fn bandit_fails_on_what_it_calls_an_error() {
    let finding = of("bandit.sarif", Severity::High).await;
    assert_eq!(finding.verdict, Verdict::Fail);
    assert_eq!(
        told(&finding),
        [
            ("B602", Severity::High, Some(8)),
            // It says no level, which is that of a warning.
            ("B301", Severity::Medium, Some(12)),
            ("B403", Severity::Low, Some(1)),
            ("B404", Severity::Low, Some(2)),
            ("B105", Severity::Low, Some(4)),
        ]
    );
    assert_eq!(finding.issues[0].path.as_deref(), Some("app.py"));
    assert!(finding.issues[0].tool.as_deref().is_some_and(|tool| tool.starts_with("Bandit 1.9")));
    assert_eq!(of("bandit.sarif", Severity::Critical).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn semgrep_is_judged_by_the_score_of_its_rule() {
    let finding = of("semgrep.sarif", Severity::High).await;
    assert_eq!(
        told(&finding),
        [("shell-true", Severity::High, Some(8)), ("eval", Severity::Medium, Some(16))]
    );
    assert_eq!(finding.verdict, Verdict::Fail);
}

#[tokio::test]
async fn clippy_only_warns() {
    let finding = of("clippy.sarif", Severity::High).await;
    assert_eq!(
        told(&finding),
        [
            ("clippy::bool_comparison", Severity::Medium, Some(3)),
            ("clippy::get_first", Severity::Medium, Some(4))
        ]
    );
    assert_eq!(finding.verdict, Verdict::Pass);
    assert_eq!(finding.notes, ["findings of lesser severity, which decide nothing: 2"]);
}

/// Its rules score 5.3, and its exceptions go by package.
#[tokio::test]
async fn trivy_names_packages_that_can_be_excepted() {
    let finding = of("trivy.sarif", Severity::Medium).await;
    assert_eq!((&finding.verdict, finding.evidence[0].estimate), (&Verdict::Fail, 4.0));
    assert_eq!(finding.issues[0].package.as_deref(), Some("libcrypto1.1"));
    assert!(finding.issues.iter().all(|issue| issue.severity == Severity::Medium), "{finding:?}");

    let exception = |package: &str| Exception {
        package: Some(package.to_owned()),
        reason: "not reachable".to_owned(),
        by: "ada".to_owned(),
        expires: "2026-12-31".to_owned().try_into().expect("a day"),
        ..Exception::default()
    };
    let of = |exceptions: Vec<Exception>| {
        let fail_at = Severity::Medium;
        found(Sarif { files: vec![data("trivy.sarif")], fail_at, exceptions, ..Sarif::default() })
    };
    assert_eq!(of(vec![exception("libcrypto1.1")]).await.evidence[0].estimate, 2.0);
    let all = of(vec![exception("libcrypto1.1"), exception("libssl1.1")]).await;
    assert_eq!((&all.verdict, all.notes), (&Verdict::Pass, vec![]));
}

/// The one that is installed now, about a file that it is given now.
#[tokio::test]
#[ignore = "needs bandit[sarif] (the Python that has it in TIDEGATE_TEST_PYTHON); tests/run installs it"]
#[expect(clippy::disallowed_methods, reason = "a test is told where its Python is")]
async fn bandit_is_read_as_it_writes_today() {
    let python = std::env::var_os("TIDEGATE_TEST_PYTHON")
        .expect("TIDEGATE_TEST_PYTHON is a Python that has bandit[sarif]");
    let directory = tempfile::tempdir().unwrap();
    for (source, expected) in [
        ("import subprocess\nsubprocess.call(input(), shell=True)\n", Verdict::Fail),
        ("print('harmless')\n", Verdict::Pass),
    ] {
        std::fs::write(directory.path().join("app.py"), source).unwrap();
        let written = std::process::Command::new(&python)
            .args(["-m", "bandit", "-q", "-f", "sarif", "-o", "bandit.sarif", "app.py"])
            .current_dir(directory.path())
            .status();
        assert!(written.unwrap().code().is_some_and(|code| code <= 1));
        let files = vec![directory.path().join("bandit.sarif")];
        let finding = found(Sarif { files, ..Sarif::default() }).await;
        assert_eq!(finding.verdict, expected, "{finding:?}");
    }
}
