use tidegate_validation::dataset::{Dataset, Format, Options};

use super::{invalid, read};

/// Line, path and suggestion, and that the message names file, line and path.
fn told(text: &str, format: Option<Format>, line: Option<u64>, path: &str, suggestion: Option<&str>) {
    let error = invalid(text, format);
    let message = error.to_string();
    assert_eq!((error.line(), error.path(), error.suggestion()), (line, path, suggestion), "{message}");
    assert!(message.starts_with("dataset data") && message.contains(path), "{message}");
    assert!(line.is_none_or(|line| message.contains(&format!("line {line}"))), "{message}");
    assert!(!message.contains('\n') && message.len() < 1_000, "{message}");
}

const GOOD: &str = "{\"id\": \"a\", \"input\": \"a\", \"target\": \"a\"}\n";

#[test]
fn a_misspelt_field_is_named_with_its_line() {
    told(
        &format!("{GOOD}\n{{\"input\": \"b\", \"traget\": \"b\"}}"),
        None,
        Some(3),
        "traget",
        Some("target"),
    );
    told("input,target,clustre\na,b,c\n", None, Some(2), "clustre", Some("cluster"));
    told(r#"{"input": "a", "xyzzy": 1}"#, None, Some(1), "xyzzy", None);
    told(r#"{"input": "a", "ideal": "b", "idael": 1}"#, None, Some(1), "idael", Some("ideal"));
    told(
        r#"{"input": "a", "target": "b", "metdata": {}}"#,
        Some(Format::Inspect),
        Some(1),
        "metdata",
        Some("metadata"),
    );
}

#[test]
fn a_misspelt_name_deep_down_is_named_with_its_path() {
    let with = |assert: &str| format!("{GOOD}{{\"input\": \"b\", \"target\": \"b\", \"assert\": {assert}}}");
    told(
        &with(r#"[{"kind": "exact"}, {"kind": "contians", "value": "x"}]"#),
        None,
        Some(2),
        "assert[1].kind",
        Some("contains"),
    );
    told(&with(r#"[{"kind": "contains", "valeu": "x"}]"#), None, Some(2), "assert[0].valeu", Some("value"));
    told(
        &with(r#"[{"kind": "all", "of": [{"kind": "any", "of": [{"kind": "exact", "vlue": 1}]}]}]"#),
        None,
        Some(2),
        "assert[0].of[0].of[0].vlue",
        Some("value"),
    );
    told(
        &with(r#"[{"kind": "not", "of": {"kind": "regx"}}]"#),
        None,
        Some(2),
        "assert[0].of.kind",
        Some("regex"),
    );
    told(&with(r#"[{"kind": "refusal", "value": 1}]"#), None, Some(2), "assert[0].value", None);
    told(&with(r#"[{"value": "x"}]"#), None, Some(2), "assert[0].kind", None);
    let roles = r#"{"input": [{"role": "usr", "content": "x"}]}"#;
    told(roles, None, Some(1), "input[0].role", Some("user"));
}

#[test]
fn an_assertion_without_meaning_is_an_error() {
    let with = |assert: &str| format!("{{\"input\": \"b\", \"target\": \"b\", \"assert\": [{assert}]}}");
    for (assert, path) in [
        (r#"{"kind": "exact", "weight": 0}"#, "weight"),
        (r#"{"kind": "rouge-l", "threshold": 1.5}"#, "threshold"),
        (r#"{"kind": "contains", "value": ""}"#, "value"),
        (r#"{"kind": "number", "absolute": -1, "value": 1}"#, "absolute"),
        (r#"{"kind": "number", "value": "one"}"#, "value"),
        (r#"{"kind": "regex", "pattern": "("}"#, "pattern"),
        (r#"{"kind": "regex", "pattern": "(?=a)"}"#, "pattern"),
        (r#"{"kind": "regex", "pattern": "\\w{1000}{1000}"}"#, "pattern"),
        (r#"{"kind": "json", "schema": {"type": "strange"}}"#, "schema"),
        (r#"{"kind": "json", "schema": {"$ref": "https://example.org/schema.json"}}"#, "schema"),
        (r#"{"kind": "topics", "topics": ["a|"]}"#, "topics"),
        (r#"{"kind": "quality", "topics": []}"#, "topics"),
        (r#"{"kind": "all", "of": []}"#, "of"),
        (r#"{"kind": "latency", "max": "soon"}"#, "max"),
        (r#"{"kind": "cost", "max": "-1", "price": {"input": "1", "output": "1"}}"#, "max"),
    ] {
        told(&with(assert), None, Some(1), &format!("assert[0].{path}"), None);
    }
    told(&with(r#"{"kind": "number"}"#), None, Some(1), "assert[0]", None);
    told(&with(r#"{"kind": "choice"}"#), None, Some(1), "assert[0]", None);
    told(r#"{"input": "b", "assert": [{"kind": "exact"}]}"#, None, Some(1), "assert[0]", None);
}

#[test]
fn assertions_stand_in_each_other_only_so_deep() {
    let deep = |depth| {
        let (open, close) = ("{\"kind\": \"not\", \"of\": ".repeat(depth), "}".repeat(depth));
        format!("{{\"input\": \"b\", \"assert\": [{open}{{\"kind\": \"refusal\"}}{close}]}}")
    };
    assert!(read(&deep(8), None).is_ok());
    assert!(invalid(&deep(9), None).to_string().contains("8 deep"));
}

#[test]
fn a_question_that_is_there_twice_is_an_error() {
    told(&format!("{GOOD}{GOOD}"), None, Some(2), "id", None);
    told("{\"input\": \"a\"}\n{\"input\": \"b\"}\n{\"input\": \"a\"}\n", None, Some(3), "id", None);
    let error = invalid(&format!("{GOOD}{GOOD}"), None).to_string();
    assert!(error.contains("`a`"), "{error}");
}

#[test]
fn a_field_that_is_there_twice_is_an_error() {
    told(r#"{"input": "a", "input": "b"}"#, None, Some(1), "", None);
    told("input,input\na,b\n", None, None, "input", None);
}

#[test]
fn values_of_the_wrong_kind_are_errors() {
    for (record, path) in [
        (r#"{"target": "a"}"#, "input"),
        (r#"{"input": ""}"#, "input"),
        (r#"{"input": []}"#, "input"),
        (r#"{"input": {"a": 1}}"#, "input"),
        (r#"{"input": [{"role": "user"}]}"#, "input[0].content"),
        (
            r#"{"input": [{"role": "user", "content": [{"type": "image_url", "text": "x"}]}]}"#,
            "input[0].content[0]",
        ),
        (r#"{"input": "a", "messages": "b"}"#, "messages"),
        (r#"{"input": "a", "id": ""}"#, "id"),
        (r#"{"input": "a", "id": [1]}"#, "id"),
        (r#"{"input": "a", "target": {"a": 1}}"#, "target"),
        (r#"{"input": "a", "target": ["x", {}]}"#, "target[1]"),
        (r#"{"input": "a", "choices": ["x"]}"#, "choices"),
        (r#"{"input": "a", "choices": ["x", " "]}"#, "choices[1]"),
        (r#"{"input": "a", "weight": 0}"#, "weight"),
        (r#"{"input": "a", "weight": "heavy"}"#, "weight"),
        (r#"{"input": "a", "threshold": 2}"#, "threshold"),
        (r#"{"input": "a", "metadata": []}"#, "metadata"),
        (r#"{"input": "a", "assert": {"kind": "exact"}}"#, "assert"),
        (r#"{"input": "a", "assert": ["exact"]}"#, "assert[0]"),
    ] {
        told(record, None, Some(1), path, None);
    }
    let choices = format!("{{\"input\": \"a\", \"choices\": {:?}}}", vec!["x"; 27]);
    told(&choices, None, Some(1), "choices", None);
    told(r#"{"input": "a", "sandbox": "docker"}"#, None, Some(1), "sandbox", None);
}

#[test]
fn what_could_be_several_formats_is_asked_about() {
    for text in [
        r#"{"input": "a", "ideal": "x", "target": "x"}"#,
        "input,choices\na,\"x,y\"\n",
        "hello\n",
        "- a\n- b\n",
    ] {
        let error = invalid(text, None).to_string();
        assert!(error.contains("say the format: `native`, `harmbench`, `inspect`"), "{error}");
    }
    assert!(invalid(r#"[{"vars": {"a": 1}, "assert": []}]"#, None).to_string().contains("promptfooconfig"));
}

#[test]
fn what_is_broken_is_told_its_line() {
    told(&format!("{GOOD}{{\"input\": \"b\"\n"), None, Some(2), "", None);
    told(&format!("{GOOD}[1]\n"), None, Some(2), "", None);
    told("input,target\na\n", None, Some(2), "", None);
    told("input,weight\na,heavy\n", None, Some(2), "weight", None);
    assert!(invalid("{\n  \"input\": \"a\"\n}", None).to_string().contains("one question a line"));
}

#[test]
fn nothing_is_an_error() {
    for text in ["", "\n \n", "[]", "input,target\n"] {
        assert!(invalid(text, None).to_string().contains("nothing asked is no pass"), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Dataset::open(directory.path().join("none.jsonl"), &Options::default()).unwrap_err();
    assert!(missing.to_string().contains("none.jsonl: it cannot be read"), "{missing}");
    let folder = Dataset::open(directory.path(), &Options::default()).unwrap_err();
    assert!(folder.to_string().contains("no regular file"), "{folder}");
}
