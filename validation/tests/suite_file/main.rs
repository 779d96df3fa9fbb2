//! Suites as files: what is accepted, and what a typo is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod schema;

use tidegate_validation::{InvalidSuite, Suite};

fn refused(toml: &str) -> InvalidSuite {
    Suite::from_toml(toml).expect_err("the suite should not be accepted")
}

/// Path, suggestion, and that the message names both.
fn told(toml: &str, path: &str, suggestion: Option<&str>) {
    let error = refused(toml);
    let message = error.to_string();
    assert_eq!((error.path(), error.suggestion()), (path, suggestion), "{message}");
    assert!(message.contains(path), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

const INTEGRITY: &str = "[[checks]]\nkind = \"integrity\"\n";

#[test]
fn toml_and_json_are_the_same_suite() {
    let toml = r#"
        name = "support"
        allow_inconclusive = ["speed"]
        request = { system = "You are a helpful assistant.", max_tokens = 32 }

        [[checks]]
        kind = "integrity"

        [[checks]]
        kind = "latency"
        name = "speed"
        prompts = ["Hello"]
        max = "1s 500ms"
        rule = "point"
    "#;
    let json = r#"{
        "name": "support", "allow_inconclusive": ["speed"],
        "request": {"system": "You are a helpful assistant.", "max_tokens": 32},
        "checks": [
            {"kind": "integrity"},
            {"kind": "latency", "name": "speed", "prompts": ["Hello"], "max": "1s 500ms", "rule": "point"}
        ]}"#;
    let (toml, json) = (Suite::from_toml(toml).unwrap(), Suite::from_json(json).unwrap());
    assert_eq!(format!("{toml:?}"), format!("{json:?}"));
    assert_eq!(toml.checks().collect::<Vec<_>>(), ["integrity", "speed"]);
    assert!(format!("{toml:?}").contains("max: 1.5s") && format!("{toml:?}").contains("max_tokens: 32"));
}

#[test]
fn the_documented_example_loads() {
    let suite = Suite::from_toml(include_str!("../../src/suite/example.toml")).unwrap();
    assert_eq!(suite.name(), "support-bot");
    assert_eq!(suite.checks().count(), 9);
}

#[test]
fn every_kind_of_check_loads() {
    let suite = Suite::from_toml(
        r#"
        checks = [
            { kind = "answers", cases = [{ input = "2+2", target = "4" }], matching = "contains" },
            { kind = "consistency", prompts = ["Hello"], repeats = 59 },
            { kind = "integrity" },
            { kind = "latency", prompts = ["Hello"] },
            { kind = "refusal", benign = ["How do I bake bread?"], benign_floor = 0.5 },
            { kind = "tokens", prompts = ["Hello"], min = 0.5, max = 20 },
            { kind = "topics", cases = [{ input = "Explain machine learning", topics = ["data|dataset"] }] },
        ]"#,
    );
    assert_eq!(suite.unwrap().checks().count(), 7);
}

#[test]
fn a_misspelt_field_is_named_with_its_path() {
    let third = "[[checks]]\nkind = \"topics\"\nthresold = 0.7\ncases = []\n";
    let two = format!("{INTEGRITY}[[checks]]\nkind = \"refusal\"\n");
    told(&format!("{two}{third}"), "checks[2].thresold", Some("threshold"));
    told(&format!("nmae = \"x\"\n{INTEGRITY}"), "nmae", Some("name"));
    told(&format!("request = {{ temprature = 0 }}\n{INTEGRITY}"), "request.temprature", Some("temperature"));
}

#[test]
fn a_misspelt_field_deep_down_is_named_with_its_path() {
    let cases = "cases = [{ input = \"a\", target = \"b\" }, { input = \"c\", traget = \"d\" }]";
    told(&format!("[[checks]]\nkind = \"answers\"\n{cases}\n"), "checks[0].cases[1].traget", Some("target"));
}

#[test]
fn a_name_like_no_other_gets_no_suggestion() {
    told("[[checks]]\nkind = \"integrity\"\nxyzzy = 1\n", "checks[0].xyzzy", None);
}

#[test]
fn an_unknown_kind_is_an_error() {
    told("[[checks]]\nkind = \"latencey\"\n", "checks[0].kind", Some("latency"));
    told("[[checks]]\nprompts = []\n", "checks[0].kind", None);
    told("[[checks]]\nkind = 3\n", "checks[0].kind", None);
}

#[test]
fn a_misspelt_choice_is_an_error() {
    told(
        "[[checks]]\nkind = \"tokens\"\nprompts = [\"a\"]\nrule = \"pont\"\n",
        "checks[0].rule",
        Some("point"),
    );
}

#[test]
fn an_empty_suite_is_an_error() {
    told("checks = []", "checks", None);
    assert!(refused("").to_string().contains("checks"));
}

#[test]
fn a_check_without_questions_is_an_error() {
    for kind in ["answers", "topics"] {
        told(&format!("[[checks]]\nkind = \"{kind}\"\n"), "checks[0].cases", None);
    }
    for kind in ["consistency", "latency", "tokens"] {
        told(&format!("[[checks]]\nkind = \"{kind}\"\n"), "checks[0].prompts", None);
    }
    told("[[checks]]\nkind = \"refusal\"\nprompts = []\n", "checks[0].prompts", None);
}

#[test]
fn settings_without_meaning_are_errors() {
    let prompts = "kind = \"tokens\"\nprompts = [\"a\"]\n";
    for (setting, field) in [
        ("floor = 1.5", "floor"),
        ("floor = 1.0", "floor"),
        ("confidence = 1", "confidence"),
        ("min = 3\nmax = 2", "max"),
        ("min = -1", "min"),
        ("request = { temperature = -1 }", "request.temperature"),
        ("request = { max_tokens = 0 }", "request.max_tokens"),
    ] {
        told(&format!("[[checks]]\n{prompts}{setting}\n"), &format!("checks[0].{field}"), None);
    }
    told(&format!("request = {{ max_tokens = 0 }}\n{INTEGRITY}"), "request.max_tokens", None);
    let latency = "[[checks]]\nkind = \"latency\"\nprompts = [\"a\"]\n";
    for (setting, field) in [("quantile = 1", "quantile"), ("calls = 0", "calls"), ("max = \"soon\"", "max")]
    {
        told(&format!("{latency}{setting}\n"), &format!("checks[0].{field}"), None);
    }
    told("[[checks]]\nkind = \"consistency\"\nprompts = [\"a\"]\nrepeats = 1\n", "checks[0].repeats", None);
}

#[test]
fn a_floor_of_one_may_be_compared_but_not_proven() {
    let suite = "[[checks]]\nkind = \"tokens\"\nprompts = [\"a\"]\nfloor = 1\nrule = \"point\"\n";
    assert!(Suite::from_toml(suite).is_ok());
}

#[test]
fn names_must_tell_checks_apart() {
    told(&format!("{INTEGRITY}{INTEGRITY}"), "checks[1].name", None);
    assert!(Suite::from_toml(&format!("{INTEGRITY}{INTEGRITY}name = \"again\"\n")).is_ok());
}

#[test]
fn only_a_check_that_exists_can_be_waived() {
    told(
        &format!("allow_inconclusive = [\"integrty\"]\n{INTEGRITY}"),
        "allow_inconclusive[0]",
        Some("integrity"),
    );
}

#[test]
fn what_is_no_toml_is_told_its_line() {
    assert!(refused("name = \"a\"\nchecks = [").to_string().contains("line 2"));
    assert!(Suite::from_json("{").unwrap_err().to_string().contains("line 1"));
}

#[test]
fn a_suite_too_long_or_too_deep_is_refused() {
    assert!(refused(&"#".repeat(17 << 20)).to_string().contains("bytes"));
    assert!(Suite::from_json(&"[".repeat(1 << 20)).is_err());
    assert!(Suite::from_toml(&format!("a = {}", "[".repeat(1 << 20))).is_err());
    let many = "{ kind = \"integrity\" },".repeat(300);
    told(&format!("checks = [{many}]"), "checks", None);
}

#[test]
fn a_temperature_can_be_left_to_the_model() {
    let suite = |heat| {
        format!("request = {{ temperature = {heat} }}\n[[checks]]\nkind = \"tokens\"\nprompts = [\"a\"]\n")
    };
    let shown = |heat| format!("{:?}", Suite::from_toml(&suite(heat)).unwrap());
    assert!(shown("\"default\"").contains("temperature: None"));
    assert!(shown("1").contains("temperature: Some(1.0)"));
    let told = refused(&suite("\"hot\"")).to_string();
    assert!(told.contains("request.temperature") && told.contains("\"default\""), "{told}");
}
