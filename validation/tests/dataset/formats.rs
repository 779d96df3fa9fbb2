use tidegate_validation::{
    Role,
    checks::Cases,
    dataset::{Dataset, Format, Options, Question, Shard},
    scorer::Assertion,
};

use super::read;

fn prompts(questions: &[Question]) -> Vec<&str> {
    questions.iter().map(Question::prompt).collect()
}

#[test]
fn every_field_of_our_own_format_is_read() {
    let line = r#"{"id": 7, "input": "Which?", "target": ["B", "b"], "choices": ["x", "y"],
        "metadata": {"topic": {"deep": [1]}}, "cluster": "doc-1", "weight": 2.5, "threshold": 0.5,
        "assert": [{"kind": "choice", "weight": 3}, {"kind": "not", "of": {"kind": "refusal"}}]}"#;
    let questions = read(&format!("\u{feff}{}\n\n", line.replace('\n', " ")), None).unwrap();
    let question = &questions[0];
    assert_eq!((question.id.as_str(), question.prompt()), ("7", "Which?"));
    assert_eq!(
        (&question.targets[..], &question.choices[..]),
        (&["B".into(), "b".into()][..], &["x".into(), "y".into()][..])
    );
    assert_eq!(question.metadata["topic"]["deep"][0], 1);
    assert_eq!(
        (question.cluster.as_deref(), question.weight, question.threshold),
        (Some("doc-1"), 2.5, Some(0.5))
    );
    assert_eq!((question.assertions.len(), question.assertions[0].weight), (2, 3.0));
    assert!(matches!(question.assertions[1].assertion, Assertion::Not(_)));
}

#[test]
fn a_conversation_is_read_with_its_roles() {
    let line = r#"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Bye"}], "target": "x"}"#;
    let question = &read(line, None).unwrap()[0];
    let roles: Vec<_> = question.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    assert_eq!((question.messages[1].content.as_str(), question.prompt()), ("Hello", "Bye"));
}

#[test]
fn a_question_without_an_id_is_called_by_its_content() {
    let of =
        |text: &str| read(text, None).unwrap().into_iter().map(|question| question.id).collect::<Vec<_>>();
    let two = of("{\"input\": \"a\", \"target\": \"1\"}\n{\"input\": \"b\", \"target\": \"1\"}\n");
    let turned =
        of("{\"target\": \"1\", \"input\": \"b\"}\n{\"input\": \"c\"}\n{\"input\": \"a\", \"target\": 1}");
    assert_eq!((&two[0], &two[1]), (&turned[2], &turned[0]));
    assert!(two[0].starts_with("sha256:"), "{two:?}");
}

#[test]
fn a_json_array_and_csv_say_the_same() {
    let array = r#"[{"id": "a", "input": "x, y", "target": "1", "weight": 2, "metadata": {"k": "v"}},
        {"id": "b", "input": "z", "target": "2"}]"#;
    let csv = "id,input,target,weight,metadata.k\r\na,\"x, y\",1,2,v\r\nb,z,2,,\r\n";
    let (array, csv) = (read(array, None).unwrap(), read(csv, None).unwrap());
    assert_eq!(array, csv);
    assert_eq!(prompts(&csv), ["x, y", "z"]);
}

#[test]
fn cells_of_csv_hold_json_where_a_list_is_wanted() {
    let csv = "input,choices,target,assert\nWhich?,\"[\"\"a\"\", \"\"b\"\"]\",A,\"[{\"\"kind\"\": \"\"choice\"\"}]\"\n";
    let question = &read(csv, Some(Format::Native)).unwrap()[0];
    assert_eq!((question.choices.len(), question.assertions.len()), (2, 1));
}

#[test]
fn inspect_is_read_from_lines_arrays_and_csv() {
    let lines = "{\"input\": \"Q\", \"target\": [\"A\"], \"choices\": \"x, y\", \"id\": 1, \"metadata\": \"{\\\"a\\\": 2}\"}\n";
    let array = r#"[{"input": "Q", "target": "A", "choices": ["x", "y"], "id": 1, "metadata": {"a": 2}}]"#;
    let csv = "id,input,target,choices,metadata\n1,Q,A,\"x,y\",\"{\"\"a\"\": 2}\"\n";
    let all = [read(lines, None), read(array, None), read(csv, Some(Format::Inspect))].map(Result::unwrap);
    for questions in &all {
        assert_eq!(questions, &all[0]);
        assert_eq!(
            (questions[0].id.as_str(), &questions[0].choices[..]),
            ("1", &["x".into(), "y".into()][..])
        );
        assert_eq!(questions[0].metadata["a"], 2);
    }
}

#[test]
fn openai_evals_are_read() {
    let lines = concat!(
        r#"{"input": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}], "ideal": ["a", "b"]}"#,
        "\n",
        r#"{"input": [{"role": "user", "content": "R"}], "ideal": "c"}"#,
    );
    let questions = read(lines, None).unwrap();
    assert_eq!(prompts(&questions), ["Q", "R"]);
    assert_eq!((questions[0].targets.len(), questions[1].targets.as_slice()), (2, &["c".to_owned()][..]));
}

#[test]
fn what_format_it_is_is_said() {
    let format = |text: &str| Dataset::from_bytes("data", text, &Options::default()).unwrap().format();
    assert_eq!(format(r#"{"input": "a"}"#), Format::Native);
    assert_eq!(format("input,target\na,b\n"), Format::Native);
    assert_eq!(format(r#"{"input": "a", "choices": "x,y", "target": "A"}"#), Format::Inspect);
    assert_eq!(format(r#"{"input": "a", "ideal": "x"}"#), Format::OpenaiEvals);
    assert_eq!(format("prompts: ['{{q}}']\ntests: [{vars: {q: a}}]\n"), Format::Promptfoo);
    assert_eq!(format(r#"{"prompts": ["{{q}}"], "tests": [{"vars": {"q": "a"}}]}"#), Format::Promptfoo);
    assert_eq!(
        format("{\n\"prompts\": [\"{{q}}\"],\n\"tests\": [{\"vars\": {\"q\": \"a\"}}]}"),
        Format::Promptfoo
    );
}

#[test]
fn shares_are_disjoint_and_together_everything() {
    let text: String = (0..500).map(|i| format!("{{\"id\": \"case-{i}\", \"input\": \"{i}\"}}\n")).collect();
    let ids = |shard| {
        let options = Options { shard, ..Options::default() };
        let dataset = Dataset::from_bytes("data", &text, &options).unwrap();
        let ids: Vec<_> = dataset.questions().unwrap().map(|question| question.unwrap().id).collect();
        assert_eq!(ids.len() as u64, dataset.len());
        ids
    };
    let mut shares: Vec<_> = (0..4).flat_map(|i| ids(Shard::new(i, 4).unwrap())).collect();
    assert!(ids(Shard::new(0, 4).unwrap()).len().abs_diff(125) < 40);
    shares.sort();
    let mut all = ids(Shard::ALL);
    all.sort();
    assert_eq!(shares, all);
}

#[test]
fn a_file_that_changes_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.jsonl");
    std::fs::write(&path, "{\"id\": \"a\", \"input\": \"a\"}\n").unwrap();
    let dataset = Dataset::open(&path, &Options::default()).unwrap();
    assert!(dataset.questions().unwrap().all(|question| question.is_ok()));
    std::fs::write(&path, "{\"id\": \"a\", \"input\": \"b\"}\n").unwrap();
    let read: Vec<_> = dataset.questions().unwrap().collect();
    let error = read.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("changed since it was opened") && error.contains("data.jsonl"), "{error}");
}

/// What decides whether a check may be made is the same for each share, or the shares would not make what the whole is.
#[test]
fn a_share_knows_what_the_whole_is_like() {
    let assert = r#""assert": [{"kind": "refusal"}]"#;
    let lines: String =
        (0..20).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\", {assert}}}\n")).collect();
    let odd = r#"{"id": "odd", "input": "?", "weight": 2.0, "cluster": "c"}"#;
    let read = |shard| {
        Dataset::from_bytes("lines", format!("{lines}{odd}"), &Options { shard, ..Options::default() })
            .unwrap()
    };
    let shares: Vec<_> = (0..4).map(|i| read(Shard::new(i, 4).unwrap())).collect();
    assert_eq!(shares.iter().map(Dataset::len).sum::<u64>(), 21);
    for share in &shares {
        assert_eq!((share.total(), share.is_clustered(), share.is_weighted()), (21, true, true));
        // A question of one of them says nothing of a good answer.
        assert!(Cases::new(share.clone()).fit().is_err(), "{}", share.shard());
    }
}
