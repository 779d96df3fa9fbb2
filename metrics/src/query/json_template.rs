//! JSON with gaps for the labels of the side that is asked about.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{InvalidTemplate, Plain, Template, Unfilled};
use crate::{Selector, Window};

/// JSON in whose strings `{{label}}` stands for the value of a label of the [`Selector`] asked for. `{{start}}`
/// and `{{end}}` are the bounds of the window, in RFC 3339.
///
/// Gaps are filled in the structure, not in its text: whatever a value holds, it stays in its string. Names of
/// members have no gaps.
///
/// It may be without a gap, as one of several parts that make up a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct JsonTemplate {
    json: Value,
    node: Node,
}

/// `json` again, with its strings read.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Array(Vec<Self>),
    /// What holds no gap.
    Fixed(Value),
    Object(Vec<(String, Self)>),
    Text(Template<Plain>),
}

impl JsonTemplate {
    /// The JSON for `selector` in `window`.
    ///
    /// # Errors
    ///
    /// Names the label that the selector lacks.
    pub fn fill(&self, selector: &Selector, window: Window) -> Result<Value, Unfilled> {
        self.node.fill(selector, window)
    }

    /// The labels that it needs, each as often as it is used.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.texts().into_iter().flat_map(|(_, template)| template.labels())
    }

    /// The strings that have gaps, each with the names of the members that it is in, from the outside in.
    pub(crate) fn texts(&self) -> Vec<(Vec<&str>, &Template<Plain>)> {
        let mut texts = Vec::new();
        self.node.collect(&mut Vec::new(), &mut texts);
        texts
    }
}

impl Node {
    fn read(json: &Value) -> Result<Self, InvalidTemplate> {
        Ok(match json {
            Value::Array(items) => Self::Array(items.iter().map(Self::read).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                if let Some(name) = members.keys().find(|name| name.contains("{{")) {
                    return Err(InvalidTemplate {
                        template: name.clone(),
                        language: "JSON",
                        problem: "the name of a member has no gaps; {{label}} may stand in values",
                    });
                }
                let members = members.iter().map(|(name, value)| Ok((name.clone(), Self::read(value)?)));
                Self::Object(members.collect::<Result<_, _>>()?)
            }
            Value::String(text) if text.contains("{{") => Self::Text(Template::part(text)?),
            fixed => Self::Fixed(fixed.clone()),
        })
    }

    fn fill(&self, selector: &Selector, window: Window) -> Result<Value, Unfilled> {
        Ok(match self {
            Self::Array(items) => {
                Value::Array(items.iter().map(|item| item.fill(selector, window)).collect::<Result<_, _>>()?)
            }
            Self::Fixed(value) => value.clone(),
            Self::Object(members) => {
                let members =
                    members.iter().map(|(name, value)| Ok((name.clone(), value.fill(selector, window)?)));
                Value::Object(members.collect::<Result<Map<_, _>, _>>()?)
            }
            Self::Text(template) => Value::String(template.fill(selector, window)?),
        })
    }

    fn collect<'a>(&'a self, path: &mut Vec<&'a str>, texts: &mut Vec<(Vec<&'a str>, &'a Template<Plain>)>) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| item.collect(path, texts)),
            Self::Fixed(_) => {}
            Self::Object(members) => {
                for (name, value) in members {
                    path.push(name);
                    value.collect(path, texts);
                    path.pop();
                }
            }
            Self::Text(template) => texts.push((path.clone(), template)),
        }
    }
}

impl TryFrom<Value> for JsonTemplate {
    type Error = InvalidTemplate;

    fn try_from(json: Value) -> Result<Self, Self::Error> {
        Ok(Self { node: Node::read(&json)?, json })
    }
}

impl From<JsonTemplate> for Value {
    fn from(template: JsonTemplate) -> Self {
        template.json
    }
}

impl FromStr for JsonTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let json: Value = serde_json::from_str(text).map_err(|_| InvalidTemplate {
            template: text.to_owned(),
            language: "JSON",
            problem: "it is no JSON; gaps stand inside its strings",
        })?;
        json.try_into()
    }
}

/// As JSON.
impl fmt::Display for JsonTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;

    fn window() -> Window {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        Window::new(start, start + Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_value_stays_in_its_string() {
        let template: JsonTemplate =
            r#"{"a": [{"v": "x-{{v}}", "n": 1}, null], "until": "{{end}}"}"#.parse().unwrap();
        let hostile = "\"}],\"b\":{{v}}\n\0\\";
        let filled = template.fill(&Selector::default().with("v", hostile), window()).unwrap();
        assert_eq!(
            filled,
            json!({"a": [{"v": format!("x-{hostile}"), "n": 1}, null], "until": "1970-01-01T00:02:00.000000000Z"})
        );
        let missing = Unfilled::Missing { label: "v".to_owned() };
        assert_eq!(template.fill(&Selector::default(), window()), Err(missing));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let json = json!({"term": {"v": "{{v}}"}});
        let template: JsonTemplate = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&template).unwrap(), json);
        assert_eq!(template.to_string(), json.to_string());
    }

    #[test]
    fn names_and_what_is_no_json_are_refused() {
        for wrong in [r#"{"{{v}}": 1}"#, r#"{"v": {{v}}}"#, r#"{"v": "{{v"}"#, r#"{"v": "{{}}"}"#] {
            assert!(wrong.parse::<JsonTemplate>().is_err(), "{wrong}");
        }
    }
}
