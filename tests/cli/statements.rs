//! What is said about a version: statements, approvals, bills of materials.

use std::fs;

use serde_json::{Value, json};

use super::desk::{Desk, Run};

const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

fn attest(desk: &Desk, text: &str) -> Run {
    desk.write("said.json", text.as_bytes());
    desk.run(&["attest", "m@1.0.0", "--type", TEST_RESULT, "said.json"])
}

#[test]
fn a_statement_is_recorded_and_shown() {
    let desk = Desk::published();
    let said = attest(&desk, r#"{"result": "PASSED", "n": 7}"#).is(0);
    assert!(
        said.out.contains("m@1.0.0: https://in-toto.io/attestation/test-result/v0.1, PASSED, "),
        "{said:?}"
    );
    let recorded = desk.json(&["attest", "m@latest", "--type", "x:note", "said.json", "--by", "bob"]);
    assert_eq!((&recorded["model"], &recorded["result"]), (&json!("m@1.0.0"), &json!("PASSED")));

    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    assert!(shown.contains(&format!("{TEST_RESULT}, PASSED, ")) && shown.contains("by bob"), "{shown}");
    let statements = &desk.json(&["show", "m@1.0.0"])["attestations"];
    assert_eq!(statements[0]["predicate"], json!({ "result": "PASSED", "n": 7 }));
    assert_eq!(statements[1], recorded["attestation"]);
}

#[test]
fn what_is_no_statement_is_refused() {
    let desk = Desk::published();
    let before = desk.stored();
    attest(&desk, "{").is(2).says(&["`said.json`", "no JSON"]);
    attest(&desk, "[1]").is(2).says(&["no JSON object", "PASSED"]);
    let whole = r#"{"_type": "https://in-toto.io/Statement/v1", "predicateType": "x:y", "predicate": {}}"#;
    attest(&desk, whole).is(2).says(&["whole in-toto statement", "--type"]);
    let sealed = r#"{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}"#;
    attest(&desk, sealed).is(2).says(&["signed envelope", "`predicate`"]);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    attest(&desk, &deep).is(2).says(&["64 levels deep"]);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat((16 << 20) - 8));
    attest(&desk, &long).is(2).says(&["of 4194304 at most", "file of the version"]);
    attest(&desk, &format!("{long} ")).is(2).says(&["longer than 16 MiB"]);

    desk.write("said.json", b"{}");
    let run = |arguments: &[&str]| desk.run(&[&["attest"], arguments].concat());
    for wrong in ["", "passed", "no uri at all", "https://a b"] {
        run(&["m@1.0.0", "--type", wrong, "said.json"]).is(2).says(&["write a URI"]);
    }
    run(&["m@1.0.0", "said.json"]).is(2).says(&["--type <URI>"]);
    run(&["m@1.0.0", "--type", "x:y", "none.json"]).is(2).says(&["none.json", "cannot be read"]);
    run(&["m@1.0.0", "--type", "x:y", "model/weights.bin"]).is(2).says(&["weights.bin"]);
    run(&["m@2.0.0", "--type", "x:y", "said.json"]).is(1).says(&["m@2.0.0", "1.0.0"]);
    assert_eq!(desk.stored(), before);
}

#[test]
fn people_approve_and_think_again() {
    let desk = Desk::published();
    let said = desk.run(&["approve", "m@1.0.0", "--by", "bob", "--comment", "tried it"]).is(0);
    assert_eq!(said.out, "bob approved of m@1.0.0\n");
    let own = desk.run(&["approve", "m@1.0.0"]).is(0);
    assert!(own.out.contains("no policy counts"), "{own:?}");
    assert_eq!(desk.json(&["approve", "m@1.0.0"])["counts"], false);
    let back = desk.json(&["approve", "m@1.0.0", "--by", "bob", "--withdraw"]);
    assert_eq!((&back["result"], &back["counts"]), (&json!("FAILED"), &json!(true)));
    let predicates: Vec<Value> = desk.json(&["show", "m@1.0.0"])["attestations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["predicate"].clone())
        .collect();
    let said = |n: usize| (&predicates[n]["by"], &predicates[n]["decision"], &predicates[n]["comment"]);
    assert_eq!(said(0), (&json!("bob"), &json!("approve"), &json!("tried it")));
    assert_eq!(said(3), (&json!("bob"), &json!("reject"), &Value::Null));
}

#[test]
fn nobody_approves_of_nothing() {
    let desk = Desk::published();
    let before = desk.stored();
    for name in ["", " ", "unknown"] {
        desk.run(&["approve", "m@1.0.0", "--by", name]).is(2).says(&["needs a name", "--by"]);
    }
    let nameless = Run::of(&desk.command(&["approve", "m@1.0.0"]).env_remove("USER").output().unwrap());
    nameless.is(2).says(&["needs a name"]);
    desk.run(&["approve", "m@2.0.0"]).is(1).says(&["m@2.0.0"]);
    assert_eq!(desk.stored(), before);
}

#[test]
fn a_bill_of_materials_names_every_file() {
    let desk = Desk::published();
    let printed = desk.run(&["bom", "m@1.0.0"]).is(0).out;
    let bom: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    let names: Vec<_> = bom["components"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(names, ["config/labels.txt", "weights.bin"]);
    assert_eq!(desk.json(&["bom", "m@1.0.0"]), bom);

    let told = desk.json(&["bom", "m@latest", "--output", "bom.json"]);
    assert_eq!(told, json!({ "model": "m@1.0.0", "output": "bom.json", "attested": false }));
    assert_eq!(fs::read_to_string(desk.path("bom.json")).unwrap(), printed);
    desk.run(&["bom", "m@1.0.0", "--output", "no/where.json"]).is(1).says(&["cannot write no/where.json"]);
    desk.run(&["bom", "m@1.0.0", "--output", "model"]).is(1).says(&["cannot write model"]);
    assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"], json!([]));
}

#[test]
fn a_bill_of_materials_is_recorded_once() {
    let desk = Desk::published();
    for _ in 0..2 {
        let said = desk.run(&["bom", "m@1.0.0", "--attest", "--output", "bom.json"]).is(0);
        assert!(said.out.contains("recorded in the registry"), "{said:?}");
    }
    let bom = desk.json(&["bom", "m@1.0.0", "--attest"]);
    let statements = desk.json(&["show", "m@1.0.0"])["attestations"].clone();
    assert_eq!(statements.as_array().unwrap().len(), 1);
    assert_eq!(statements[0]["predicateType"], "https://cyclonedx.org/bom");
    assert_eq!(statements[0]["predicate"], bom);
}
