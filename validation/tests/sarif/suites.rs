//! The check in suite files.

use tidegate_validation::{Run, Suite, Verdict};

use super::{data, noon, report};

const SUITE: &str = r#"
[request]
max_tokens = 16

[[checks]]
kind = "sarif"
name = "source"
files = ["scans/bandit.sarif"]
fail_at = "high"
[[checks.exceptions]]
rule = "B602"
path = "app.py"
reason = "the command is a constant"
by = "ada"
expires = "2026-12-31"
"#;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("scans")).expect("a writable directory");
    std::fs::copy(data("bandit.sarif"), directory.path().join("scans/bandit.sarif")).expect("a copy");
    directory
}

#[tokio::test]
async fn files_stand_beside_the_suite_and_are_read_when_it_runs() {
    let directory = directory();
    let path = directory.path().join("suite.toml");
    std::fs::write(&path, SUITE).unwrap();
    let suite = Suite::open(&path).unwrap();
    assert_eq!(report(&suite, &Run::new(1).at(noon())).await.verdict(), Verdict::Pass);
    std::fs::remove_file(directory.path().join("scans/bandit.sarif")).unwrap();
    let report = report(&suite, &Run::new(1).at(noon())).await;
    assert!(matches!(report.verdict(), Verdict::Inconclusive(_)), "{report}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let directory = directory();
    let wrong = [
        (
            "files = [\"scans/bandit.sarif\"]",
            "files = [\"../bandit.sarif\"]",
            "checks[0].files[0]",
            "without `..`",
        ),
        ("files = [\"scans/bandit.sarif\"]", "files = [\"/etc/passwd\"]", "checks[0].files[0]", "below"),
        ("files = [\"scans/bandit.sarif\"]", "files = []", "checks[0].files", "name one"),
        ("files = [\"scans/bandit.sarif\"]", "", "checks[0].files", "name one"),
        ("fail_at = \"high\"", "fail_at = \"hihg\"", "checks[0].fail_at", "did you mean `high`"),
        ("expires = \"2026-12-31\"", "", "checks[0].exceptions", "expires"),
        ("expires = \"2026-12-31\"", "expires = \"soon\"", "checks[0].exceptions[0].expires", "is no day"),
        ("by = \"ada\"", "", "checks[0].exceptions", "has no `by`"),
        (
            "reason = \"the command is a constant\"",
            "reason = \" \"",
            "checks[0].exceptions",
            "has no `reason`",
        ),
        ("rule = \"B602\"\npath = \"app.py\"", "", "checks[0].exceptions", "would except everything"),
        ("by = \"ada\"", "by = \"ada\"\nuntil = 1", "checks[0].exceptions[0].until", "no field"),
    ];
    for (right, mistake, path, why) in wrong {
        let file = directory.path().join("suite.toml");
        std::fs::write(&file, SUITE.replace(right, mistake)).unwrap();
        let error = Suite::open(&file).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    // Text has no place beside which a file could stand.
    assert!(Suite::from_toml(SUITE).unwrap_err().to_string().contains("Suite::open"));
}
