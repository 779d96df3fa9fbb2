//! SARIF, held against the schema of the standard and against our own reader.

use serde_json::{Value, json};
use tidegate_registry::{Content, Draft, InMemory, ModelStore as _, Stamp};
use tidegate_validation::{Projection, Report, Run, Subject, Suite, Verdict, checks::Sarif, scan::Scanner};

use super::{hostile, hostile_texts, is_tame, issues, rate, report, too_few};

/// What the schema has against `text`, which is JSON.
fn flaws(text: &str) -> Vec<String> {
    let schema = include_str!("../sarif/data/sarif-schema-2.1.0.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let log: Value = serde_json::from_str(text).expect("SARIF is JSON");
    validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn results(text: &str) -> Vec<Value> {
    let log: Value = serde_json::from_str(text).expect("SARIF is JSON");
    log["runs"][0]["results"].as_array().expect("results").clone()
}

#[test]
fn every_report_keeps_to_the_schema() {
    let reports = [
        report(&[]),
        report(&[rate("a", &"pass".into()), rate("b", &"fail".into()), issues("fail")]),
        report(&[rate("allowed", &too_few()), rate("c", &too_few()), issues("pass")]),
    ];
    for report in reports {
        for text in [report.projection().sarif(), report.projection().at("ci/suite.toml").sarif()] {
            assert_eq!(flaws(&text), Vec::<String>::new(), "{text}");
        }
    }
    // It does object to something.
    assert!(!flaws(&json!({ "version": "2.1.0", "runs": [{}] }).to_string()).is_empty());
}

#[test]
fn an_issue_has_its_rule_its_place_and_its_severity() {
    let text = report(&[issues("fail")]).projection().sarif();
    let log: Value = serde_json::from_str(&text).unwrap();
    let (run, results) = (&log["runs"][0], results(&text));
    let rule = |result: &Value| {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        run["tool"]["driver"]["rules"][index].clone()
    };
    assert_eq!(rule(&results[0])["id"], "pickle-dangerous-import");
    assert_eq!(rule(&results[0])["properties"]["security-severity"], "9.5");
    assert_eq!(rule(&results[0])["help"]["text"], "runs code");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"], json!({ "uri": "weights/a%20b.bin", "uriBaseId": "VERSION" }));
    assert_eq!(place["region"], json!({ "byteOffset": 11 }));
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place, &json!({ "artifactLocation": { "uri": "Dockerfile" }, "region": { "startLine": 3 } }));
    assert_eq!(results[2]["suppressions"][0]["justification"], "excepted by ada");
    let levels: Vec<_> = results.iter().map(|result| result["level"].as_str()).collect();
    assert_eq!(levels, [Some("error"), Some("error"), Some("note")]);
}

#[test]
fn a_case_that_missed_is_a_result_only_where_the_check_failed() {
    let text = report(&[rate("good", &"pass".into()), rate("bad", &"fail".into())]).projection().sarif();
    let results = results(&text);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["ruleId"], "check/bad");
    assert_eq!(results[0]["message"]["text"], "I was charged twice → shipping");
}

/// A line more above, another offset, another order: the same finding.
#[test]
fn a_fingerprint_outlives_what_moves() {
    let prints = |finding: Value| {
        let text = report(&[finding]).projection().sarif();
        let prints =
            results(&text).into_iter().map(|result| result["partialFingerprints"]["tidegate/v1"].clone());
        prints.map(|print| print.as_str().expect("a fingerprint").to_owned()).collect::<Vec<_>>()
    };
    let before = prints(issues("fail"));
    let mut moved = issues("fail");
    moved["issues"][0]["offset"] = 12.into();
    moved["issues"][1]["line"] = 4.into();
    moved["issues"].as_array_mut().unwrap().swap(0, 1);
    let after = prints(moved);
    assert_eq!([&after[1], &after[0], &after[2]], [&before[0], &before[1], &before[2]]);
    let mut twice = issues("fail");
    twice["issues"][1] = twice["issues"][0].clone();
    let twice = prints(twice);
    assert!(twice[0].ends_with(":1") && twice[1].ends_with(":2") && twice[0] == before[0], "{twice:?}");
    let mut other = issues("fail");
    other["issues"][0]["message"] = "os.popen".into();
    assert_ne!(prints(other)[0], before[0]);
}

/// Our own reader comes to the verdict that was written.
#[tokio::test]
async fn what_was_written_is_read_back() {
    let cases = [
        (report(&[issues("fail")]), Verdict::Fail),
        (report(&[rate("bad", &"fail".into())]), Verdict::Fail),
        (report(&[rate("good", &"pass".into())]), Verdict::Pass),
        (report(&[rate("allowed", &too_few()), rate("good", &"pass".into())]), Verdict::Pass),
    ];
    for (report, expected) in cases {
        assert_eq!(read_back(&report.projection()).await.verdict(), expected, "{report}");
    }
    // It failed of nothing that a reader minds.
    let mut lesser = issues("fail");
    for n in 0..3 {
        lesser["issues"][n]["severity"] = "low".into();
    }
    for report in [report(&[]), report(&[rate("unknown", &too_few())]), report(&[lesser])] {
        let read = read_back(&report.projection()).await;
        assert!(matches!(read.verdict(), Verdict::Inconclusive(_)), "{read}");
    }
}

async fn read_back(projection: &Projection<'_>) -> Report {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("own.sarif");
    std::fs::write(&path, projection.sarif()).expect("a writable directory");
    let store = InMemory::new();
    let draft = Draft::new("m@1.0.0".parse().expect("a name"), Stamp::now("ada"));
    let files = Content::bytes([("a".parse().expect("a path"), "weights".into())]);
    let manifest = store.publish(draft, files, &()).await.expect("a version");
    let suite = Suite::new("s").with(Sarif { files: vec![path], ..Sarif::default() });
    suite.run(&Subject::new(&manifest, &store), &Run::new(1)).await
}

#[tokio::test]
async fn scans_of_files_are_reported_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("bad.pkl"), b"cos\nsystem\n(S'id'\ntR.").unwrap();
    std::fs::write(path("good.txt"), b"labels").unwrap();
    let scans = ["bad.pkl", "good.txt", "gone.bin"].map(|name| Scanner::new().scan_path(path(name)));
    let projection = Projection::of_scans(&scans);
    let text = projection.sarif();
    assert_eq!(flaws(&text), Vec::<String>::new(), "{text}");
    let results = results(&text);
    assert_eq!(results[0]["ruleId"], "pickle-dangerous-import");
    assert_eq!(read_back(&projection).await.verdict(), Verdict::Fail);
    assert!(projection.annotations()[1].contains("title=critical pickle-dangerous-import::os.system"));
    assert!(projection.html().contains("bad.pkl") && projection.markdown(9_999).contains("3 model files"));
    let clean = Projection::of_scans(&scans[1..2]);
    assert_eq!(read_back(&clean).await.verdict(), Verdict::Pass);
    assert!(matches!(
        read_back(&Projection::of_scans(&scans[1..])).await.verdict(),
        Verdict::Inconclusive(_)
    ));
    assert!(matches!(read_back(&Projection::of_scans([])).await.verdict(), Verdict::Inconclusive(_)));
}

#[test]
fn hostile_text_is_text() {
    for text in hostile_texts() {
        let sarif = hostile(&text).projection().at(text.clone()).sarif();
        assert_eq!(flaws(&sarif), Vec::<String>::new());
        assert!(is_tame(&sarif) && sarif.len() < 500_000, "{}", sarif.len());
    }
}
