//! A query with gaps for the labels of the side that is asked about.

use std::{fmt, marker::PhantomData, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::language::{Escape, Language, Place};
use crate::{Selector, Window};

/// A query in the language `L` in which `{{label}}` stands for the value of a label of the
/// [`Selector`] asked for: `http_requests_total{version="{{version}}",code=~"5.."}`.
///
/// Each [`Language`] says where gaps may stand and how values are written there, so that a value can never
/// become part of the query. A template without a gap is refused: it would answer the same for every side.
///
/// In languages that have to name the window, `{{start}}` and `{{end}}` are its bounds, in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "L: Language")]
pub struct Template<L> {
    text: String,
    pieces: Vec<Piece>,
    language: PhantomData<L>,
}

/// A text that is no template. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` is no template of a {language}: {problem}")]
#[non_exhaustive]
pub struct InvalidTemplate {
    /// The text.
    pub template: String,
    /// What it should be.
    pub language: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Why a template cannot be filled for a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfilled {
    /// The selector lacks a label.
    #[error("the label `{label}` is missing")]
    Missing {
        /// The label.
        label: String,
    },
    /// The value of a label cannot be written in this language.
    #[error("the value of the label `{label}` cannot be asked for: {problem}")]
    Unfit {
        /// The label.
        label: String,
        /// What is wrong with its value.
        problem: &'static str,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Gap { label: String, escape: Escape },
    Text(String),
    Time(Edge),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    End,
    Start,
}

impl<L: Language> Template<L> {
    /// The labels that it needs, each as often as it is used.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Gap { label, .. } => Some(label.as_str()),
            Piece::Text(_) | Piece::Time(_) => None,
        })
    }

    /// The query for `selector` in `window`.
    ///
    /// # Errors
    ///
    /// Names the label that the selector lacks, or whose value cannot be written.
    pub fn fill(&self, selector: &Selector, window: Window) -> Result<String, Unfilled> {
        self.fill_with(selector, |edge| match edge {
            Edge::Start => rfc3339(window.start()),
            Edge::End => rfc3339(window.end()),
        })
    }

    fn fill_with(&self, selector: &Selector, time: impl Fn(Edge) -> String) -> Result<String, Unfilled> {
        let mut query = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Gap { label, escape } => {
                    let value =
                        selector.get(label).ok_or_else(|| Unfilled::Missing { label: label.clone() })?;
                    escape
                        .push(&mut query, value)
                        .map_err(|problem| Unfilled::Unfit { label: label.clone(), problem })?;
                }
                Piece::Text(text) => query.push_str(text),
                Piece::Time(edge) => query.push_str(&time(*edge)),
            }
        }
        Ok(query)
    }

    /// A template that may be without gaps, for one of several texts that make up a query.
    pub(crate) fn part(text: &str) -> Result<Self, InvalidTemplate> {
        let invalid = |problem| InvalidTemplate { template: text.to_owned(), language: L::NAME, problem };
        Ok(Self { text: text.to_owned(), pieces: parse::<L>(text).map_err(invalid)?, language: PhantomData })
    }
}

impl<L: Language> FromStr for Template<L> {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = Self::part(text)?;
        if template.labels().next().is_none() {
            return Err(InvalidTemplate {
                template: template.text,
                language: L::NAME,
                problem: "it names no label, so every side would get the same answer; write {{label}}",
            });
        }
        Ok(template)
    }
}

fn parse<L: Language>(text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    // The quotation mark of the string that `rest` begins in, and where that string begins.
    let mut quote = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let at = text.len() - rest.len();
        if rest.starts_with("{{") {
            let (label, after) = rest[2..].split_once("}}").ok_or("a {{ is not closed by }}")?;
            let label = label.trim();
            if label.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
                return Err("between {{ and }} stands one label, of letters, digits, `_`, `-` and `.`");
            }
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
            pieces.push(match label {
                "start" if L::TIMES => Piece::Time(Edge::Start),
                "end" if L::TIMES => Piece::Time(Edge::End),
                _ => {
                    let (quote, before) = match quote {
                        Some((mark, opened)) => (Some(mark), &text[..opened]),
                        None => (None, &text[..at]),
                    };
                    Piece::Gap { label: label.to_owned(), escape: L::escape(Place { quote, before })? }
                }
            });
            rest = after;
            continue;
        }
        let mut length = next.len_utf8();
        match quote {
            // Raw strings know no escapes.
            Some((mark, _)) if L::BACKSLASH && next == '\\' && mark != '`' => {
                length +=
                    rest[length..].chars().next().ok_or("a string ends in a lone backslash")?.len_utf8();
            }
            Some((mark, _)) if mark == next => quote = None,
            None if L::QUOTES.contains(next) => quote = Some((next, at)),
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

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_nanos(at).to_string()
}

impl<L> fmt::Display for Template<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<L: Language> TryFrom<String> for Template<L> {
    type Error = InvalidTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl<L> From<Template<L>> for String {
    fn from(template: Template<L>) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::query::language::{Flux, PromQl};

    fn window() -> Window {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        Window::new(start, start + Duration::from_secs(60)).unwrap()
    }

    fn fill(template: &str, value: &str) -> String {
        let template: Template<PromQl> = template.parse().unwrap();
        template.fill(&Selector::default().with("v", value), window()).unwrap()
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
            assert!(wrong.parse::<Template<PromQl>>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_lacking_label_is_named() {
        let template: Template<PromQl> = r#"a{v="{{version}}"}"#.parse().unwrap();
        let missing = Unfilled::Missing { label: "version".to_owned() };
        assert_eq!(template.fill(&Selector::default(), window()), Err(missing));
        assert_eq!(
            serde_json::from_str::<Template<PromQl>>(&serde_json::to_string(&template).unwrap()).unwrap(),
            template
        );
    }

    #[test]
    fn the_window_is_filled_in_where_the_language_has_to_name_it() {
        let text = r#"range(start: {{start}}, stop: {{end}}) |> filter(fn: (r) => r.v == "{{v}}")"#;
        let template: Template<Flux> = text.parse().unwrap();
        assert_eq!(
            template.fill(&Selector::default().with("v", "a\"b"), window()).unwrap(),
            "range(start: 1970-01-01T00:01:00.000000000Z, stop: 1970-01-01T00:02:00.000000000Z) \
             |> filter(fn: (r) => r.v == \"a\\x22b\")"
        );
        assert!("range(start: {{start}}, stop: {{end}})".parse::<Template<Flux>>().is_err());
        assert!("r.v == {{v}}".parse::<Template<Flux>>().is_err());
    }
}
