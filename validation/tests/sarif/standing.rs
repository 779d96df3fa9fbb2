//! Which results count.

use serde_json::json;
use tidegate_validation::{Finding, Reason, Run, Standing, Suite, Verdict, checks::Sarif, sarif::Exception};

use super::{found_in, log, noon, report};

async fn of(check: Sarif, result: serde_json::Value) -> Finding {
    let mut whole = json!({ "ruleId": "r", "level": "error", "message": { "text": "m" }, "locations": [{
        "physicalLocation": { "artifactLocation": { "uri": "src/deep/a.py" } },
    }] });
    for (name, value) in result.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    found_in(check, log(&json!([]), &json!([whole]))).await
}

fn exception(expires: &str) -> Exception {
    Exception {
        rule: Some("r".to_owned()),
        reason: "reviewed in #412".to_owned(),
        by: "ada".to_owned(),
        expires: expires.to_owned().try_into().expect("a day"),
        ..Exception::default()
    }
}

fn with(exceptions: Vec<Exception>) -> Sarif {
    Sarif { exceptions, ..Sarif::default() }
}

#[tokio::test]
async fn a_suppression_counts_unless_it_is_under_review_or_rejected() {
    let cases = [
        (json!([]), Verdict::Fail),
        (json!(null), Verdict::Fail),
        (json!([{ "kind": "inSource" }]), Verdict::Pass),
        (json!([{ "kind": "external", "status": "accepted", "justification": "why" }]), Verdict::Pass),
        (json!([{ "kind": "external", "status": "underReview" }]), Verdict::Fail),
        (json!([{ "kind": "external", "status": "rejected" }]), Verdict::Fail),
        (json!([{ "kind": "external" }, { "kind": "external", "status": "rejected" }]), Verdict::Fail),
    ];
    for (suppressions, expected) in cases {
        let finding = of(Sarif::default(), json!({ "suppressions": suppressions })).await;
        assert_eq!(finding.verdict, expected, "{suppressions}");
    }
}

#[tokio::test]
async fn what_is_gone_since_the_baseline_is_nothing_and_what_is_unchanged_counts_unless_said() {
    let state =
        |state: &str, new_only| of(Sarif { new_only, ..Sarif::default() }, json!({ "baselineState": state }));
    assert_eq!(state("absent", false).await.verdict, Verdict::Pass);
    assert!(state("absent", false).await.issues.is_empty());
    assert_eq!(state("unchanged", false).await.verdict, Verdict::Fail);
    let unchanged = state("unchanged", true).await;
    assert_eq!(unchanged.verdict, Verdict::Pass);
    assert_eq!(unchanged.issues[0].standing, Standing::Waived("it is in the baseline".to_owned()));
    for other in ["new", "updated"] {
        assert_eq!(state(other, true).await.verdict, Verdict::Fail, "{other}");
    }
    assert_eq!(of(Sarif { new_only: true, ..Sarif::default() }, json!({})).await.verdict, Verdict::Fail);
}

#[tokio::test]
async fn what_passed_is_nothing_and_what_waits_for_a_person_is_inconclusive() {
    for kind in ["pass", "informational", "notApplicable"] {
        let finding = of(Sarif::default(), json!({ "kind": kind })).await;
        assert_eq!((finding.verdict, finding.issues.len()), (Verdict::Pass, 0), "{kind}");
    }
    for kind in ["review", "open"] {
        let finding = of(Sarif::default(), json!({ "kind": kind })).await;
        let expected = Verdict::Inconclusive(Reason::Undecided { findings: 1 });
        assert_eq!(finding.verdict, expected, "{kind}");
    }
    assert_eq!(of(Sarif::default(), json!({ "kind": "fail" })).await.verdict, Verdict::Fail);
}

#[tokio::test]
async fn an_exception_has_to_hold_in_all_that_it_says() {
    let path = |path: &str| Exception { path: Some(path.to_owned()), ..exception("2026-11-29") };
    let package = Exception { package: Some("xz".to_owned()), ..exception("2026-11-29") };
    let cases = [
        (exception("2026-11-29"), Verdict::Pass),
        (path("src/deep/a.py"), Verdict::Pass),
        (path("src/"), Verdict::Pass),
        (path("src"), Verdict::Fail),
        (path("a.py"), Verdict::Fail),
        (Exception { rule: Some("R".to_owned()), ..exception("2026-11-29") }, Verdict::Fail),
        (package, Verdict::Fail),
    ];
    for (exception, expected) in cases {
        let finding = of(with(vec![exception.clone()]), json!({})).await;
        assert_eq!(finding.verdict, expected, "{exception:?}");
        let why = "excepted by ada until 2026-11-29: reviewed in #412".to_owned();
        let waived = finding.issues[0].standing == Standing::Waived(why);
        assert_eq!(waived, expected == Verdict::Pass);
        // One that was not needed is told.
        assert_eq!(finding.notes.iter().any(|note| note.contains("is not needed; take it out")), !waived);
    }
}

#[tokio::test]
async fn an_exception_ends_and_its_end_is_told() {
    let finding = of(with(vec![exception("2026-11-28")]), json!({})).await;
    assert_eq!(finding.verdict, Verdict::Fail);
    let note = "the exception of r by ada expired on 2026-11-28; mend what counts again, or decide anew: 1";
    assert_eq!(finding.notes, [note]);
    // One that holds is enough.
    let finding = of(with(vec![exception("2026-11-28"), exception("2026-11-29")]), json!({})).await;
    assert_eq!(finding.verdict, Verdict::Pass);
}

/// The day is the run's, not the machine's.
#[tokio::test]
async fn without_a_day_nothing_that_expires_is_decided() {
    let check = Sarif { files: vec!["none.sarif".into()], ..with(vec![exception("9999-12-31")]) };
    let report = report(&Suite::new("s").with(check), &Run::new(1)).await;
    let Verdict::Inconclusive(Reason::Infra { what }) = &report.findings[0].verdict else {
        panic!("{report}");
    };
    assert!(what.contains("`Run::at`"), "{what}");
    let later = noon() + std::time::Duration::from_secs(48 * 60 * 60);
    let (directory, run) = (tempfile::tempdir().unwrap(), Run::new(1).at(later));
    let file = directory.path().join("x.sarif");
    std::fs::write(&file, log(&json!([]), &json!([{ "ruleId": "r", "level": "error" }]))).unwrap();
    let check = Sarif { files: vec![file], ..with(vec![exception("2026-11-30")]) };
    let report = super::report(&Suite::new("s").with(check), &run).await;
    assert_eq!(report.verdict(), Verdict::Fail);
}
