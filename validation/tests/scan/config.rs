//! Configurations, and the source that they have loaded.

use std::io::Cursor;

use tidegate_validation::{
    Verdict,
    scan::{Content, FileScan, Rule, Scanner, Severity},
};

use crate::{
    archive::{Member, Zip},
    assert_clean, assert_fails, assert_suspicious, scan,
};

fn named(name: &str, bytes: impl AsRef<[u8]>) -> FileScan {
    Scanner::new().scan(name, &mut Cursor::new(bytes)).expect("memory can be read")
}

const PLAIN: &str = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "rope_scaling": null,
    "torch_dtype": "bfloat16", "trust_remote_code": false, "nested": {"a": [1, 2.5, true, {"b": "c"}]}}"#;

#[test]
fn plain_json_is_clean() {
    for text in [PLAIN, "[]", "{}", "[[1], 2]", "{\"a\": 1}\n{\"a\": 2}\n", "\u{feff}{\"a\": 1}"] {
        let found = scan(text);
        assert_eq!(found.content, Content::Json, "{text}");
        assert!(found.detections.is_empty(), "{text}: {found:#?}");
    }
}

#[test]
fn what_only_begins_a_little_like_json_is_none() {
    for text in ["[[package]]\nname = \"a\"\n", "[section]\na = 1\n", "{ a: 1 }", "[1] a remark", "{\\rtf1}"]
    {
        assert_eq!(scan(text).content, Content::Other, "{text}");
    }
}

#[test]
fn json_that_is_cut_or_damaged_is_not_clean() {
    for len in 1..PLAIN.len() {
        assert_suspicious(&PLAIN[..len], Rule::Malformed);
    }
    assert_suspicious("{\"a\": 1} and more", Rule::Malformed);
    assert_suspicious("[".repeat(100_000), Rule::Malformed);
    assert_suspicious(format!("{{\"a\": \"{}\"}}", "x".repeat(17 << 20)), Rule::Malformed);
    // A string may hold quotes and still be too long.
    assert_suspicious(format!("{{\"a\": \"{}\"}}", "\\\"x".repeat(9 << 20)), Rule::Malformed);
}

#[test]
fn code_that_a_configuration_names_fails() {
    for text in [
        r#"{"auto_map": {"AutoModel": "modeling_x.X"}}"#,
        r#"{"auto_map": {"AutoTokenizer": ["tokenization_x.X", null]}}"#,
        r#"{"a": [{"auto_map": {"AutoModel": "other/repository--modeling_x.X"}}]}"#,
        r#"{"custom_pipelines": {"x": {"impl": "pipeline.X", "pt": ["AutoModel"]}}}"#,
        r#"{"trust_remote_code": true}"#,
    ] {
        assert_fails(text, Rule::ConfigRemoteCode);
    }
    assert_suspicious(r#"{"custom_code": true}"#, Rule::ConfigRemoteCode);
    assert_clean(r#"{"auto_map": {}}"#);
}

#[test]
fn templates_of_tokenizers_are_read() {
    let evil = "{{ ''.__class__ }}";
    for text in [
        format!(r#"{{"chat_template": "{evil}"}}"#),
        format!(r#"{{"chat_template": [{{"name": "default", "template": "{evil}"}}]}}"#),
        format!(r#"{{"chat_template": {{"default": "{evil}"}}}}"#),
        r#"{"chat_template": "{{ ''.\u005f\u005fclass__ }}"}"#.to_owned(),
    ] {
        assert_fails(text, Rule::JinjaEscape);
    }
    assert_clean(r#"{"chat_template": [{"name": "__default__", "template": "{{ messages }}"}]}"#);
    assert_suspicious(r#"{"chat_template": "{% if x %}"}"#, Rule::JinjaUnread);
    let many = format!(r#""{}","#, "x".repeat(1 << 20)).repeat(9);
    assert_suspicious(format!(r#"{{"chat_template": [{many} ""]}}"#), Rule::JinjaUnread);
}

#[test]
fn source_is_worse_where_a_configuration_names_it() {
    let source = "import torch\n";
    let found = named("modeling_x.py", source);
    assert_eq!((found.content, found.verdict.word()), (Content::Python, "inconclusive"));
    let archive = |config: &str| {
        let members = [Member::stored("m/modeling_x.py", source), Member::stored("m/config.json", config)];
        scan(Zip::of(members).finish())
    };
    let severity = |found: &FileScan| {
        let source = found.detections.iter().find(|found| found.rule == Rule::PythonSource);
        source.map(|found| found.severity)
    };
    assert_eq!(severity(&archive("{}")), Some(Severity::Medium));
    let found = archive(r#"{"auto_map": {"AutoModel": "modeling_x.X"}}"#);
    assert_eq!(severity(&found), Some(Severity::High), "{found:#?}");
}

#[test]
fn another_file_behind_a_text_is_found() {
    let evil = b"\x80\x02cos\nsystem\n.".to_vec();
    let mut zip = Zip::of([Member::stored("a.pkl", evil)]);
    zip.prefix = b"{\"a\": 1}".to_vec();
    assert_eq!(scan(zip.finish()).verdict, Verdict::Fail);
    zip.prefix = include_bytes!("files/plain.safetensors").to_vec();
    assert_eq!(scan(zip.finish()).verdict, Verdict::Fail);
}
