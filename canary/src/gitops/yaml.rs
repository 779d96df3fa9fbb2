//! YAML as a tree whose scalars know where they stand in the text, so that one is replaced and every other byte stays.
//!
//! Pure. Of each scalar its text counts, not the type that a reader may see in it.

use std::{collections::BTreeSet, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// Its tree, with every scalar as a string. Where an alias stands, there is null.
    pub(super) value: Value,
    root: Node,
    /// The anchors to which aliases refer.
    shared: BTreeSet<usize>,
}

/// A scalar as it is written.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) span: Range<usize>,
    style: ScalarStyle,
}

/// A node with its anchor, 0 where it has none.
#[derive(Debug)]
struct Node {
    anchor: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Alias,
    Map(Vec<(String, Node)>),
    Scalar(Scalar),
    Sequence(Vec<Node>),
}

/// A step to a node.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// A text that is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbled {
    #[error("line {line}: it is no YAML: {why}")]
    Syntax { line: usize, why: String },
    #[error("line {line}: the key `{key}` is there twice, so it is unclear which one counts; remove one")]
    Twice { line: usize, key: String },
    #[error("line {line}: a key that is no plain text is not understood here")]
    Key { line: usize },
}

/// A scalar that is not replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fixed {
    #[error("it is shared by an alias, so others would change with it; write it out")]
    Shared,
    #[error("it is a block scalar (`|` or `>`); write it on one line")]
    Block,
    #[error("it has no value; write one, even if it is wrong")]
    Empty,
    #[error("it is no scalar; let the path lead to a text")]
    NoScalar,
}

/// A collection that is being read.
struct Open {
    anchor: usize,
    content: Content,
    keys: BTreeSet<String>,
    key: Option<String>,
}

/// The documents of a file.
pub(super) fn read(text: &str) -> Result<Vec<Document>, Garbled> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut shared = BTreeSet::new();
    let mut line = 0;
    let begin = |anchor, content| Open { anchor, content, keys: BTreeSet::new(), key: None };
    // Nesting is bounded by the parser, at 255.
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| Garbled::Syntax {
            line: error.marker().line(),
            why: error.to_string().chars().take(200).collect(),
        })?;
        line = span.start.line().max(line);
        let node = match event {
            Event::Scalar(value, style, anchor, _) => {
                let span = span.byte_range().unwrap_or_default();
                Node { anchor, content: Content::Scalar(Scalar { text: value.into_owned(), span, style }) }
            }
            Event::Alias(anchor) => {
                shared.insert(anchor);
                Node { anchor: 0, content: Content::Alias }
            }
            Event::MappingStart(_, anchor, _) => {
                open.push(begin(anchor, Content::Map(Vec::new())));
                continue;
            }
            Event::SequenceStart(_, anchor, _) => {
                open.push(begin(anchor, Content::Sequence(Vec::new())));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                Some(Open { anchor, content, .. }) => Node { anchor, content },
                None => continue,
            },
            _ => continue,
        };
        let Some(Open { content, keys, key, .. }) = open.last_mut() else {
            let shared = std::mem::take(&mut shared);
            documents.push(Document { value: node.value(), root: node, shared });
            continue;
        };
        match (content, key.take()) {
            (Content::Sequence(nodes), _) => nodes.push(node),
            (Content::Map(entries), Some(key)) => entries.push((key, node)),
            (_, _) => {
                let Content::Scalar(Scalar { text, .. }) = node.content else {
                    return Err(Garbled::Key { line });
                };
                if !keys.insert(text.clone()) {
                    return Err(Garbled::Twice { line, key: text.chars().take(80).collect() });
                }
                *key = Some(text);
            }
        }
    }
    Ok(documents)
}

impl Document {
    /// The scalar at the end of `path`.
    pub(super) fn scalar(&self, path: &[Step]) -> Result<&Scalar, Fixed> {
        let mut node = &self.root;
        for step in path {
            self.is_alone(node)?;
            let next = match (&node.content, step) {
                (Content::Map(entries), Step::Key(key)) => {
                    entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
                }
                (Content::Sequence(nodes), Step::Index(index)) => nodes.get(*index),
                _ => None,
            };
            node = next.ok_or(Fixed::NoScalar)?;
        }
        self.is_alone(node)?;
        match &node.content {
            Content::Scalar(scalar) => Ok(scalar),
            Content::Alias => Err(Fixed::Shared),
            Content::Map(_) | Content::Sequence(_) => Err(Fixed::NoScalar),
        }
    }

    fn is_alone(&self, node: &Node) -> Result<(), Fixed> {
        if self.shared.contains(&node.anchor) { Err(Fixed::Shared) } else { Ok(()) }
    }

    /// Makes the scalar at the end of `path` say `text`, in the tree alone.
    pub(super) fn put(&mut self, path: &[Step], text: &str) {
        let mut value = &mut self.value;
        for step in path {
            value = match step {
                Step::Key(key) => &mut value[key.as_str()],
                Step::Index(index) => &mut value[*index],
            };
        }
        *value = text.into();
    }
}

impl Scalar {
    /// How `text` is written in its place: quoted as it is, and quoted anyway where a reader would take it for something
    /// else than a text.
    pub(super) fn written(&self, text: &str) -> Result<String, Fixed> {
        if self.span.is_empty() {
            return Err(Fixed::Empty);
        }
        match self.style {
            ScalarStyle::Plain if is_plain(text) => Ok(text.to_owned()),
            ScalarStyle::SingleQuoted => Ok(format!("'{}'", text.replace('\'', "''"))),
            ScalarStyle::Plain | ScalarStyle::DoubleQuoted => {
                Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
            }
            ScalarStyle::Literal | ScalarStyle::Folded => Err(Fixed::Block),
        }
    }
}

/// Whether every reader takes `text` without quotes for a text: those of YAML 1.1, too, for which `yes` is true and
/// `1e3` a number.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._/@:+-".contains(c);
    let begins = match text.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => true,
        // A version, such as 1.10.0: what has two dots is no number.
        Some(c) if c.is_ascii_digit() => text.matches('.').count() >= 2 && !text.contains(':'),
        _ => false,
    };
    begins
        && text.chars().all(harmless)
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

impl Node {
    fn value(&self) -> Value {
        match &self.content {
            Content::Alias => Value::Null,
            Content::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.clone(), node.value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Content::Scalar(scalar) => scalar.text.clone().into(),
            Content::Sequence(nodes) => nodes.iter().map(Self::value).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_take_for_something_else_is_quoted() {
        for text in ["1.10.0", "fraud@1.0.0", "r.example/fraud:1.0.0-rc.1", "sha256:0f", "v1", "2026.1.2"] {
            assert!(is_plain(text), "{text}");
            let read: Value = serde_saphyr::from_str(text).unwrap();
            assert_eq!(read, text, "a reader takes it for a text");
        }
        for text in [
            "1.10", "1e3", "0777", "yes", "No", "null", "~", "", "12:30:45", "1.2.3:", "a: b", "a #b", "- a",
            "{a}", "0x1.2.3,",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, word) in [
            ("a: 1\nb: 2\na: 3\n", "line 3"),
            ("a: [1, 2\n", "no YAML"),
            ("? [a, b]\n: c\n", "key"),
            ("a: *b\n", "no YAML"),
        ] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
        let deep = "[".repeat(10_000);
        assert!(read(&deep).unwrap_err().to_string().chars().count() < 300);
    }
}
