//! Which series a selector of PromQL selects: `requests_total{version="1.4.0",code=~"5.."}`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors>

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::prometheus::Labels;

/// Matchers, all of which must hold.
#[derive(Clone, Debug)]
pub(super) struct Matching(Vec<Matcher>);

/// What the value of one label must be. A label that is not there is the same as one that is empty.
#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    /// Whether a match is what must not be.
    negated: bool,
    pattern: Pattern,
}

#[derive(Clone, Debug)]
enum Pattern {
    Equal(String),
    /// Matches whole values. As in PromQL `.` is any character; unlike there, `\d` and `\w` know more than ASCII.
    Regex(Regex),
}

impl Matcher {
    fn matches(&self, value: &str) -> bool {
        let matches = match &self.pattern {
            Pattern::Equal(text) => text == value,
            Pattern::Regex(regex) => regex.is_match(value),
        };
        matches != self.negated
    }
}

impl Matching {
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.get(&matcher.label).unwrap_or_default()))
    }

    /// Whether a series with these labels among others can be selected.
    pub(super) fn may_match<'a>(&self, known: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|matcher| known(&matcher.label).is_none_or(|value| matcher.matches(value)))
    }

    /// Whether it speaks of one of these labels.
    pub(super) fn names(&self, is_label: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|matcher| is_label(&matcher.label))
    }

    /// Whether a metric of this name can be selected.
    pub(super) fn matches_name(&self, name: &str) -> bool {
        self.may_match(|label| (label == Labels::NAME).then_some(name))
    }

    /// What it says of the names of metrics, in its own words.
    pub(super) fn of_names(&self) -> String {
        let of_name = self.0.iter().filter(|matcher| matcher.label == Labels::NAME);
        format!("{:?}", of_name.collect::<Vec<_>>())
    }
}

impl FromStr for Matching {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = Reader { rest: text.trim() };
        let mut matchers = Vec::new();
        if let Some(name) = reader.identifier(true) {
            matchers.push(equal(Labels::NAME, name));
        }
        reader.skip();
        if reader.take("{") {
            reader.matchers(&mut matchers)?;
        }
        reader.skip();
        if !reader.rest.is_empty() {
            return Err(format!("`{}` follows where the selector ends; there are no functions", reader.rest));
        }
        // As in PromQL: it would select every series of every target.
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err("it selects everything; name a metric".to_owned());
        }
        Ok(Self(matchers))
    }
}

fn equal(label: &str, value: impl Into<String>) -> Matcher {
    Matcher { label: label.to_owned(), negated: false, pattern: Pattern::Equal(value.into()) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn identifier(&mut self, is_metric: bool) -> Option<&'a str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
        let (name, rest) = self.rest.split_at(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()));
        let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        is_name.then(|| {
            self.rest = rest;
            name
        })
    }

    /// What stands between braces, the opening one being read.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), String> {
        loop {
            self.skip();
            if self.take("}") {
                return Ok(());
            }
            matchers.push(self.matcher()?);
            self.skip();
            if !self.take(",") && !self.rest.starts_with('}') {
                return Err("between matchers stands a comma, and after them `}`".to_owned());
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        // A name that is no identifier stands in quotes, and so may that of the metric, without a label.
        let quoted = !self.rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let label = if quoted {
            self.string()?
        } else {
            self.identifier(false).map(str::to_owned).ok_or("a matcher begins with the name of a label")?
        };
        self.skip();
        if quoted && (self.rest.starts_with(',') || self.rest.starts_with('}')) {
            return Ok(equal(Labels::NAME, label));
        }
        let operators = [("=~", false, true), ("!~", true, true), ("!=", true, false), ("=", false, false)];
        let (_, negated, is_regex) = operators
            .into_iter()
            .find(|(operator, ..)| self.take(operator))
            .ok_or_else(|| format!("after `{label}` stands `=`, `!=`, `=~` or `!~`"))?;
        self.skip();
        let value = self.string()?;
        let pattern = if is_regex { Pattern::Regex(regex(&value)?) } else { Pattern::Equal(value) };
        Ok(Matcher { label, negated, pattern })
    }

    /// A string as in Go.
    fn string(&mut self) -> Result<String, String> {
        const OPEN: &str = "a string is not closed";
        let quote =
            self.rest.chars().next().filter(|c| "\"'`".contains(*c)).ok_or("a value stands in quotes")?;
        let mut chars = self.rest[1..].char_indices();
        let mut text = String::new();
        loop {
            let (at, c) = chars.next().ok_or(OPEN)?;
            match c {
                c if c == quote => {
                    self.rest = &self.rest[1 + at + 1..];
                    return Ok(text);
                }
                '\\' if quote != '`' => {
                    let (_, escape) = chars.next().ok_or(OPEN)?;
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        _ => 0,
                    };
                    if digits > 0 {
                        let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
                        // Bytes beyond ASCII could make text that is none.
                        let c = code.and_then(char::from_u32).filter(|c| digits > 2 || c.is_ascii());
                        text.push(c.ok_or_else(|| format!("`\\{escape}{hex}` is no character"))?);
                        continue;
                    }
                    text.push(match escape {
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'v' => '\u{b}',
                        '\\' => '\\',
                        same if same == quote => same,
                        other => return Err(format!("`\\{other}` is no escape of a string")),
                    });
                }
                '\n' if quote != '`' => return Err(OPEN.to_owned()),
                c => text.push(c),
            }
        }
    }
}

/// Anchored on both sides, as PromQL does.
fn regex(pattern: &str) -> Result<Regex, String> {
    const SIZE: usize = 1 << 20;
    RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(SIZE)
        .dfa_size_limit(SIZE)
        .build()
        .map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Selector, Window, prometheus::Template};

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let matching: Matching = selector.parse().unwrap_or_else(|problem| panic!("{selector}: {problem}"));
        matching.matches(&Labels::new(&mut labels.to_vec()).unwrap())
    }

    #[test]
    fn every_matcher_must_hold() {
        let labels = [("__name__", "a:b_total"), ("code", "503"), ("v", "1.4\"\n")];
        for selector in [
            "a:b_total",
            "a:b_total{}",
            r#"a:b_total{code="503"}"#,
            r#" a:b_total { code =~ "5.." , v != "1.4" , } "#,
            r#"{__name__="a:b_total"}"#,
            r#"{"a:b_total",code='503'}"#,
            r#"{"a:b_total","code"="503"}"#,
            r#"a:b_total{v="1.4\"\n"}"#,
            r#"a:b_total{v="1.4\x22\u000a"}"#,
            r#"a:b_total{v=~"1.4.*"}"#,
            "a:b_total{code=~`5\\d{2}`}",
            r#"a:b_total{absent=""}"#,
            r#"a:b_total{absent!="x",absent=~".*",code!~"4..|200"}"#,
            r#"{__name__=~"a:.+"}"#,
        ] {
            assert!(selects(selector, &labels), "{selector}");
        }
        for selector in [
            "b",
            r#"a:b_total{code="5"}"#,
            r#"a:b_total{code=~"5"}"#,
            r#"a:b_total{code=~"5.|03"}"#,
            r#"a:b_total{code!="503"}"#,
            r#"a:b_total{code=~"4..|5..",v="1.5"}"#,
            r#"a:b_total{absent=~".+"}"#,
        ] {
            assert!(!selects(selector, &labels), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_says_why() {
        for (wrong, cause) in [
            ("", "everything"),
            ("{}", "everything"),
            (r#"{a=~".*"}"#, "everything"),
            (r#"rate(a{v="1"}[1m])"#, "no functions"),
            (r#"a{v="1"}[5m]"#, "no functions"),
            (r#"a{v="1" w="2"}"#, "comma"),
            (r#"a{v"1"}"#, "after `v`"),
            ("a{v=1}", "quotes"),
            (r#"a{v="1"#, "not closed"),
            (r#"a{v="\q"}"#, "no escape"),
            (r#"a{v="\xff"}"#, "no character"),
            (r#"a{v=~"("}"#, "no regular expression"),
            (r#"a{v=~"(x{1000}){1000}"}"#, "no regular expression"),
            ("a{", "quotes"),
        ] {
            let problem = wrong.parse::<Matching>().unwrap_err();
            assert!(problem.contains(cause), "{wrong}: {problem}");
        }
    }

    proptest! {
        /// Whatever a label holds: a template that is filled with it selects the series that has it.
        #[test]
        fn filled_templates_select_their_side(value in ".{0,12}|[\\\\\"\n.*+|$]{0,8}", other in ".{0,3}") {
            let at = std::time::SystemTime::UNIX_EPOCH;
            let window = Window::new(at, at + std::time::Duration::from_secs(1)).unwrap();
            let labels = [("__name__", "a"), ("v", value.as_str())];
            for template in [r#"a{v="{{v}}"}"#, r#"a{v=~"{{v}}"}"#] {
                let template: Template = template.parse().unwrap();
                let fill = |value: &str| template.fill(&Selector::default().with("v", value), window).unwrap();
                prop_assert!(selects(&fill(&value), &labels), "{}", fill(&value));
                prop_assert_eq!(selects(&fill(&other), &labels), other == value, "{}", fill(&other));
            }
        }

        #[test]
        fn whatever_comes_there_is_an_answer(text in "[a{}=~!\",'`\\\\ 1é]{0,40}") {
            let _ = text.parse::<Matching>();
        }
    }
}
