//! A PromQL selector with gaps for the labels of the side that is asked about.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Selector;

/// A PromQL series selector in which `{{label}}` stands for the value of a label of the
/// [`Selector`] asked for: `http_requests_total{version="{{version}}",code=~"5.."}`.
///
/// Gaps may stand inside double-quoted strings only, so that a value can never become part of the query.
/// Values are escaped for the string; behind `=~` and `!~` they are escaped for the regular expression as
/// well and match literally. A template without a gap is refused: it would answer the same for every side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A text that is no template. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` is no query template: {problem}")]
#[non_exhaustive]
pub struct InvalidTemplate {
    /// The text.
    pub template: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Gap { label: String, regex: bool },
    Text(String),
}

impl Template {
    /// The labels that it needs, each as often as it is used.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Gap { label, .. } => Some(label.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The query for `selector`, or the label that it lacks.
    pub(super) fn fill(&self, selector: &Selector) -> Result<String, &str> {
        let mut query = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Gap { label, regex } => {
                    let value = selector.get(label).ok_or(label.as_str())?;
                    push_escaped(&mut query, value, *regex);
                }
                Piece::Text(text) => query.push_str(text),
            }
        }
        Ok(query)
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem| InvalidTemplate { template: text.to_owned(), problem };
        let pieces = parse(text).map_err(invalid)?;
        let template = Self { text: text.to_owned(), pieces };
        if template.labels().next().is_none() {
            return Err(invalid(
                "it names no label, so every side would get the same answer; write {{label}} in a string",
            ));
        }
        Ok(template)
    }
}

fn parse(text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let (mut quote, mut regex) = (None, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("{{") {
            if quote != Some('"') {
                return Err("{{label}} may stand only inside a double-quoted string");
            }
            let (label, after) = rest[2..].split_once("}}").ok_or("a {{ is not closed by }}")?;
            let label = label.trim();
            if label.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
                return Err("between {{ and }} stands one label, of letters, digits, `_`, `-` and `.`");
            }
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
            pieces.push(Piece::Gap { label: label.to_owned(), regex });
            rest = after;
            continue;
        }
        let mut length = next.len_utf8();
        match quote {
            Some('"' | '\'') if next == '\\' => {
                length +=
                    rest[length..].chars().next().ok_or("a string ends in a lone backslash")?.len_utf8();
            }
            Some(open) if open == next => quote = None,
            None if "\"'`".contains(next) => {
                let before = literal.trim_end();
                regex = before.ends_with("=~") || before.ends_with("!~");
                quote = Some(next);
            }
            _ => {}
        }
        literal.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    if quote.is_some() {
        return Err("a string is not closed");
    }
    pieces.push(Piece::Text(literal));
    Ok(pieces)
}

/// String escapes as in Go, regular expressions as in RE2, which is what PromQL takes.
fn push_escaped(query: &mut String, value: &str, regex: bool) {
    for c in value.chars() {
        if regex && r"\.+*?()|[]{}^$".contains(c) {
            query.push_str(r"\\");
        }
        match c {
            '\\' => query.push_str(r"\\"),
            '"' => query.push_str("\\\""),
            '\n' => query.push_str("\\n"),
            c => query.push(c),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Template {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, value: &str) -> String {
        template.parse::<Template>().unwrap().fill(&Selector::default().with("v", value)).unwrap()
    }

    #[test]
    fn a_value_stays_inside_its_string() {
        assert_eq!(fill(r#"a{v="{{v}}"}"#, "1.4.0"), r#"a{v="1.4.0"}"#);
        assert_eq!(fill(r#"a{v="{{ v }}"}"#, "x\"} or b{c=\"\\\n"), r#"a{v="x\"} or b{c=\"\\\n"}"#);
    }

    #[test]
    fn in_a_regular_expression_it_matches_literally() {
        assert_eq!(fill(r#"a{v=~"{{v}}.*"}"#, r"1.4|\"), r#"a{v=~"1\\.4\\|\\\\.*"}"#);
        assert_eq!(fill(r#"a{w=~"x.*",v="{{v}}"}"#, "1.4"), r#"a{w=~"x.*",v="1.4"}"#);
    }

    #[test]
    fn every_other_place_is_refused() {
        for wrong in [
            "up",
            r#"a{v="x"}"#,
            "{{v}}",
            "a{v={{v}}}",
            "a{v='{{v}}'}",
            "a{v=`{{v}}`}",
            r#"a{v="{{v"}"#,
            r#"a{v="{{}}"}"#,
            r#"a{v="{{a b}}"}"#,
            r#"a{v="{{v}}"#,
            r#"a{w="\"{v="{{v}}"}"#,
            r#"a{v="{{v}}\"#,
        ] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_lacking_label_is_named() {
        let template: Template = r#"a{v="{{version}}"}"#.parse().unwrap();
        assert_eq!(template.fill(&Selector::default()), Err("version"));
        assert_eq!(
            serde_json::from_str::<Template>(&serde_json::to_string(&template).unwrap()).unwrap(),
            template
        );
    }
}
