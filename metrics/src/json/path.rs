//! Paths whose time is bounded.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSONPath (RFC 9535), without what takes more time than the answer is long: see [`JsonApi`](crate::JsonApi).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPath {
    text: String,
    path: serde_json_path::JsonPath,
}

/// A text that is no JSONPath, or one that could take too long. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no path to numbers: at character {position}, {problem}")]
#[non_exhaustive]
pub struct InvalidJsonPath {
    /// The text.
    pub path: String,
    /// The first character that is wrong, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl JsonPath {
    /// What it finds in `json`.
    pub(super) fn find<'a>(&self, json: &'a Value) -> Vec<&'a Value> {
        self.path.query(json).all()
    }
}

impl FromStr for JsonPath {
    type Err = InvalidJsonPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |position, problem: &str| InvalidJsonPath {
            path: text.to_owned(),
            position,
            problem: problem.to_owned(),
        };
        if let Some((at, problem)) = excess(text) {
            return Err(invalid(text[..at].chars().count() + 1, problem));
        }
        match serde_json_path::JsonPath::parse(text) {
            Ok(path) => Ok(Self { text: text.to_owned(), path }),
            Err(error) => Err(invalid(error.position() + 1, error.message())),
        }
    }
}

/// Where a path could take too long, and why.
///
/// Each segment visits at most what the segment before it gave, and the children of that: all values once, if there
/// is no second way to one of them. Second ways are selectors side by side, whose numbers multiply, another `..`, and
/// a filter that looks at everything again for each value. The parser takes twice as long for each filter in a
/// filter.
fn excess(text: &str) -> Option<(usize, &'static str)> {
    const LONGEST: usize = 1024;
    const DEEPEST: usize = 6;
    const SIDE_BY_SIDE: u32 = 32;
    const SEGMENTS: usize = 64;
    if text.len() > LONGEST {
        return Some((0, "it is longer than 1024 bytes; write a shorter one"));
    }
    // Brackets that are open: how many selectors each has so far.
    let mut open: Vec<u32> = Vec::new();
    let (mut ways, mut segments, mut descents) = (1_u32, 0, 0);
    let mut quote = None;
    let mut escaped = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match quote {
            Some(mark) => {
                if c == mark && !escaped {
                    quote = None;
                }
                escaped = c == '\\' && !escaped;
            }
            None => match c {
                '\'' | '"' => quote = Some(c),
                '$' if at > 0 => {
                    return Some((
                        at,
                        "a filter looks at everything again; compare with a constant in place of `$`",
                    ));
                }
                '.' if before == '.' => {
                    descents += 1;
                    if descents > 1 {
                        return Some((
                            at - 1,
                            "a second `..` would look at everything again; name what is between",
                        ));
                    }
                }
                '.' => segments += 1,
                '[' | '(' => {
                    segments += 1;
                    open.push(1);
                    if open.len() > DEEPEST {
                        return Some((at, "more than 6 brackets in brackets; write a simpler filter"));
                    }
                }
                ',' => {
                    if let Some(selectors) = open.last_mut() {
                        *selectors += 1;
                    }
                }
                ']' | ')' => {
                    ways = ways.saturating_mul(open.pop().unwrap_or(1));
                    if ways > SIDE_BY_SIDE {
                        return Some((
                            at,
                            "more than 32 combinations of selectors; write fewer of them side by side",
                        ));
                    }
                }
                _ => {}
            },
        }
        if segments > SEGMENTS {
            return Some((at, "more than 64 segments; write a shorter path"));
        }
        before = if quote.is_some() { ' ' } else { c };
    }
    None
}

impl TryFrom<String> for JsonPath {
    type Error = InvalidJsonPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JsonPath> for String {
    fn from(path: JsonPath) -> Self {
        path.text
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, position, problem) in [
            ("", 1, "parser error"),
            ("a", 1, "parser error"),
            ("$.a[", 4, "parser error"),
            ("$[?match(@.a, 'b')]", 4, "'match' is not defined"),
            ("$..a..b", 5, "a second `..`"),
            ("$..*..*", 5, "a second `..`"),
            ("$[?@..a > 1]..b", 13, "a second `..`"),
            ("$[?@.a == $.b]", 11, "in place of `$`"),
            ("$.é[?$.b]", 6, "in place of `$`"),
            ("$['a','a','a','a','a','a']['a','a','a','a','a','a']", 51, "side by side"),
            ("$[?@[?@[?@[?@[?@[?@[?@.a]]]]]]]", 20, "brackets in brackets"),
        ] {
            let error = text.parse::<JsonPath>().unwrap_err();
            assert_eq!(error.position, position, "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
        let long = format!("$.{}", "a".repeat(2000));
        assert!(long.parse::<JsonPath>().unwrap_err().to_string().contains("1024"));
        let many = format!("$..*{}", ".*".repeat(100));
        assert!(many.parse::<JsonPath>().unwrap_err().to_string().contains("64 segments"));
    }

    #[test]
    fn quoted_text_is_only_text() {
        for text in
            ["$['..$..$']", r#"$["a\"..$"]["b'..'"]"#, "$[?@.a == '$..[[[[[[[' && @.b]", "$..['a','b'][0].c"]
        {
            let path: JsonPath = text.parse().unwrap();
            let written = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<JsonPath>(&written).unwrap(), path);
        }
    }
}
