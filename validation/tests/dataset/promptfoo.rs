use tidegate_validation::{Role, scorer::Assertion};

use super::{invalid, read};

const CONFIG: &str = r#"
description: capitals
providers: [openai:gpt-5-mini]
prompts:
  - "What is the capital of {{country}}?"
  - id: chat
    raw: '[{"role": "system", "content": "Answer in {{ language }}."}, {"role": "user", "content": "Capital of {{country}}?"}]'
defaultTest:
  vars: {language: English}
  assert:
    - {type: latency, threshold: 2500}
tests:
  - description: France
    vars: {country: France}
    assert:
      - {type: icontains, value: Paris, weight: 2}
      - {type: not-contains, value: Berlin}
  - vars: {country: Germany, language: German, answer: Berlin}
    threshold: 0.5
    assert:
      - {type: equals, value: "{{answer}}"}
      - {type: contains-any, value: ["{{answer}}", x]}
      - {type: regex, value: "^B"}
      - {type: similar, value: Berlin, threshold: 0.8}
      - {type: levenshtein, value: Berlin, threshold: 3}
      - {type: llm-rubric, value: "names {{answer}}"}
      - {type: tool-call-f1, value: [search], threshold: 0.5}
      - type: assert-set
        threshold: 0.5
        assert: [{type: is-json, value: {type: object}}, {type: not-is-refusal}, {type: starts-with, value: B}]
"#;

#[test]
fn each_prompt_is_asked_with_each_test() {
    let questions = read(CONFIG, None).unwrap();
    let prompts: Vec<_> = questions.iter().map(|question| question.prompt()).collect();
    assert_eq!(
        prompts,
        [
            "What is the capital of France?",
            "Capital of France?",
            "What is the capital of Germany?",
            "Capital of Germany?"
        ]
    );
    assert_eq!(
        (questions[3].messages[0].role, questions[3].messages[0].content.as_str()),
        (Role::System, "Answer in German.")
    );
    assert_eq!(questions[1].messages[0].content, "Answer in English.");
    assert_eq!((questions[0].threshold, questions[2].threshold), (None, Some(0.5)));
    assert_eq!(questions[0].metadata["description"], "France");
}

#[test]
fn assertions_are_said_in_our_own_words() {
    let questions = read(CONFIG, None).unwrap();
    let said = |at: usize| serde_json::to_value(&questions[at].assertions).unwrap();
    assert_eq!(
        said(0),
        serde_json::json!([
            {"kind": "latency", "max": "2s 500ms", "weight": 1.0},
            {"kind": "contains", "value": ["Paris"], "require": "all", "ignore_case": true, "weight": 2.0},
            {"kind": "not", "of": {"kind": "contains", "value": ["Berlin"], "require": "all", "ignore_case": false}, "weight": 1.0},
        ])
    );
    assert_eq!(said(2)[1], serde_json::json!({"kind": "exact", "value": ["Berlin"], "weight": 1.0}));
    assert_eq!(said(2)[2]["value"], serde_json::json!(["Berlin", "x"]));
    assert_eq!(said(2)[5]["most_edits"], 3);
    assert_eq!(
        said(2)[6],
        serde_json::json!({"kind": "rubric", "rubric": "names Berlin", "votes": 1, "weight": 1.0})
    );
    assert_eq!(said(2)[7]["expected"], serde_json::json!(["search"]));
    let Assertion::All(set) = &questions[2].assertions[8].assertion else { panic!("a set is `all`") };
    assert_eq!((set.of.len(), set.threshold), (3, Some(0.5)));
}

#[test]
fn json_says_the_same_as_yaml() {
    let json = r#"{"prompts": ["Capital of {{c}}?"], "tests": [{"vars": {"c": "France"}, "assert": [{"type": "contains", "value": "Paris"}]}]}"#;
    let yaml = "prompts: Capital of {{c}}?\ntests:\n- vars:\n    c: France\n  assert:\n  - type: contains\n    value: Paris\n";
    assert_eq!(read(json, None).unwrap(), read(yaml, None).unwrap());
}

#[test]
fn what_is_not_done_here_is_an_error_that_says_so() {
    let test = |test: &str| format!("prompts: ['{{{{q}}}}']\ntests: [{test}]\n");
    let assert = |assert: &str| test(&format!("{{vars: {{q: a}}, assert: [{assert}]}}"));
    for (config, path, says) in [
        (assert("{type: javascript, value: 'true'}"), "tests[0].assert[0].type", "runs code"),
        (assert("{type: not-python, value: 'True'}"), "tests[0].assert[0].type", "runs code"),
        (assert("{type: containz, value: x}"), "tests[0].assert[0].type", "did you mean `contains`"),
        (assert("{type: factuality, value: x}"), "tests[0].assert[0].type", "no counterpart"),
        (assert("{type: equals}"), "tests[0].assert[0].value", "write a text"),
        (assert("{type: contains-all, value: 'a,b'}"), "tests[0].assert[0].value", "list"),
        (assert("{type: contains, value: x, threshold: 1}"), "tests[0].assert[0].threshold", "takes none"),
        (assert("{type: contains, value: x, provider: p}"), "tests[0].assert[0].provider", "no field"),
        (assert("{type: contains, value: 'file://x.txt'}"), "tests[0].assert[0].value", "files are not read"),
        (assert("{type: latency}"), "tests[0].assert[0].threshold", "milliseconds"),
        (test("{vars: {q: [a, b]}}"), "tests[0].vars.q", "list"),
        (test("{vars: {q: '{{r}}', r: x}}"), "tests[0].vars.q", "fill in"),
        (test("{vars: {q: 'file://a.txt'}}"), "tests[0].vars.q", "files are not read"),
        (test("{vars: {p: a}}"), "prompts[0]", "no variable `q`"),
        (test("{vars: {q: a}, options: {transform: x}}"), "tests[0].options", "no field"),
        (test("'file://tests.csv'"), "tests[0]", "files are not read"),
        (
            "prompts: ['{{ q | upper }}']\ntests: [{vars: {q: a}}]".to_owned(),
            "prompts[0]",
            "does more than name a variable",
        ),
        (
            "prompts: ['{% if q %}a{% endif %}']\ntests: [{vars: {q: a}}]".to_owned(),
            "prompts[0]",
            "tag or comment",
        ),
        ("prompts: [prompt.txt]\ntests: [{vars: {q: a}}]".to_owned(), "prompts[0]", "files are not read"),
        ("prompts: ['file://p.txt']\ntests: [{vars: {q: a}}]".to_owned(), "prompts[0]", "files are not read"),
        ("prompts: [a]\ntests: 'file://t.yaml'".to_owned(), "tests", "files are not read"),
        ("prompts: [a]\ntests: []".to_owned(), "tests", "nothing asked is no pass"),
        ("prompts: []\ntests: [{vars: {q: a}}]".to_owned(), "prompts", "no prompt"),
        ("prompts: [a]\ntests: [{}]\nscenarios: []".to_owned(), "scenarios", "no field"),
        (
            "prompts: [a]\ntests: [{}]\ndefaultTests: {}".to_owned(),
            "defaultTests",
            "did you mean `defaultTest`",
        ),
    ] {
        let error = invalid(&config, None);
        assert!(error.path() == path && error.to_string().contains(says), "{config}: {error}");
    }
}

#[test]
fn the_same_prompt_twice_is_an_error() {
    assert_eq!(invalid("prompts: [a, a]\ntests: [{}]", None).path(), "id");
}

#[test]
fn aliases_are_bounded() {
    let mut yaml = "prompts: [a]\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..9 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        yaml.push_str(&format!("a{i}: &a{i} [{list}]\n"));
    }
    yaml.push_str("tests: *a8\n");
    assert!(
        invalid(&yaml, Some(tidegate_validation::dataset::Format::Promptfoo)).to_string().contains("no YAML")
    );
}
