//! Markdown, as a renderer takes it.

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::{hostile, hostile_texts, is_tame, issues, rate, report, too_few};

#[test]
fn checks_are_in_a_table_and_what_missed_is_below() {
    let report = report(&[rate("good", &"pass".into()), rate("bad", &"fail".into()), issues("fail")]);
    let text = report.projection().markdown(usize::MAX);
    let rows = Parser::new_ext(&text, Options::ENABLE_TABLES)
        .filter(|event| matches!(event, Event::Start(Tag::TableRow)));
    assert_eq!(rows.count(), 3, "{text}");
    for expected in [
        "## support-bot&#64;1.4.0: fail (not accepted)",
        "| ❌ | bad | fail |",
        "- missed: <code>I was charged twice</code> → <code>shipping</code>",
        "- **critical** <code>pickle-dangerous-import</code> in <code>weights/a b.bin at 11</code>",
        "does not count: excepted by ada",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn it_is_as_long_as_it_may_be_and_says_what_is_left_out() {
    let findings: Vec<_> = (0..200).map(|n| rate(&format!("check {n}"), &too_few())).collect();
    let report = report(&findings);
    let whole = report.projection().markdown(usize::MAX);
    assert!(!whole.contains("left out"));
    for longest in [0, 100, 300, 5_000, 20_000, whole.len() - 1] {
        let text = report.projection().markdown(longest);
        assert!(text.len() <= longest, "{longest}: {}", text.len());
        assert!(longest < 300 || text.contains("lines are left out"), "{longest}: {text}");
    }
}

/// Neither structure nor links nor HTML comes from the text.
#[test]
fn hostile_text_is_text() {
    let shape = |text: &str| {
        let text = hostile(text).projection().markdown(usize::MAX);
        assert!(is_tame(&text) && text.len() < 500_000, "{}", text.len());
        let shape = Parser::new_ext(&text, Options::all()).filter(|event| !matches!(event, Event::Text(_)));
        shape.map(|event| format!("{event:?}")).collect::<Vec<_>>()
    };
    let plain = shape("harmless");
    for event in &plain {
        let allowed = ["<code>", "</code>", "<br>"].map(|tag| format!("InlineHtml(Borrowed(\"{tag}\"))"));
        assert!(!event.contains("Html") || allowed.contains(event), "{event}");
    }
    for text in hostile_texts() {
        assert_eq!(shape(&text), plain);
    }
}
