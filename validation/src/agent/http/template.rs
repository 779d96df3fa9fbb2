//! A request body with places for what is asked.

use std::fmt;

use serde_json::{Map, Value, json};
use strsim::damerau_levenshtein;
use tidegate_registry::Invalid;

use crate::{Request, Role, excerpt::excerpt};

/// A JSON document with places for what is asked, such as
/// `{"input": "{{prompt}}", "options": {"temperature": "{{temperature}}"}}`.
///
/// A place is a text of its own and is replaced by a JSON value, so that nothing that is asked can break out
/// of it:
///
/// | place | its value |
/// |---|---|
/// | `{{prompt}}` | what the user said last |
/// | `{{system}}` | what the system message says |
/// | `{{messages}}` | the whole conversation: `[{"role": "user", "content": "…"}, …]` |
/// | `{{max_tokens}}`, `{{seed}}`, `{{stop}}`, `{{temperature}}`, `{{top_p}}` | that setting of the request |
///
/// A member whose value is a setting that the request leaves to the agent is left out.
#[derive(Clone, PartialEq)]
pub struct Template(Value);

const PLACES: &[&str] =
    &["max_tokens", "messages", "prompt", "seed", "stop", "system", "temperature", "top_p"];

impl Template {
    /// A template from a JSON document.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a place that there is not, for one inside a longer text, and for a document that
    /// has no place for what is asked.
    pub fn new(document: Value) -> Result<Self, Invalid> {
        let mut asked = false;
        check(&document, &mut asked)?;
        if !asked {
            let why = "it has no place for what is asked; put \"{{prompt}}\" or \"{{messages}}\" there";
            return Err(Invalid::new("template", "(not shown)", why));
        }
        Ok(Self(document))
    }

    /// The document with everything in its place.
    pub(crate) fn fill(&self, request: &Request) -> Value {
        fill(&self.0, request).unwrap_or(Value::Null)
    }

    pub(crate) const fn document(&self) -> &Value {
        &self.0
    }
}

/// What is fixed in it may be a key, and is not shown.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").finish_non_exhaustive()
    }
}

fn check(value: &Value, asked: &mut bool) -> Result<(), Invalid> {
    match value {
        Value::String(text) => match place(text) {
            Some(name) if PLACES.contains(&name) => {
                *asked |= matches!(name, "messages" | "prompt");
                Ok(())
            }
            Some(name) => Err(unknown(text, name)),
            None if text.contains("{{") => {
                let why = "a place must be a text of its own, so that what is put there stays one value";
                Err(Invalid::new("place in a template", excerpt(text, 100), why))
            }
            None => Ok(()),
        },
        Value::Array(values) => values.iter().try_for_each(|value| check(value, asked)),
        Value::Object(members) => members.values().try_for_each(|value| check(value, asked)),
        _ => Ok(()),
    }
}

fn unknown(text: &str, name: &str) -> Invalid {
    let near = PLACES.iter().min_by_key(|known| damerau_levenshtein(known, name));
    let near = near.filter(|known| damerau_levenshtein(known, name) <= 2);
    let why = match near {
        Some(known) => format!("there is no such place; did you mean `{{{{{known}}}}}`?"),
        None => format!("there is no such place; there are {}", PLACES.join(", ")),
    };
    Invalid::new("place in a template", excerpt(text, 100), why)
}

fn place(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!name.contains(['{', '}'])).then(|| name.trim())
}

/// `None` for a setting that the request does not make.
fn fill(value: &Value, request: &Request) -> Option<Value> {
    Some(match value {
        Value::String(text) => match place(text) {
            Some(name) => return of_request(name, request),
            None => value.clone(),
        },
        Value::Array(values) => values.iter().filter_map(|value| fill(value, request)).collect(),
        Value::Object(members) => {
            let filled =
                members.iter().filter_map(|(name, value)| Some((name.clone(), fill(value, request)?)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        _ => value.clone(),
    })
}

fn of_request(name: &str, request: &Request) -> Option<Value> {
    match name {
        "max_tokens" => request.max_tokens.map(Value::from),
        "messages" => {
            let said = request.messages.iter();
            Some(said.map(|said| json!({ "role": said.role, "content": said.content })).collect())
        }
        "prompt" => Some(request.prompt().into()),
        "seed" => request.seed.map(Value::from),
        "stop" => (!request.stop.is_empty()).then(|| json!(request.stop)),
        "system" => {
            let said = request.messages.iter().find(|message| message.role == Role::System);
            said.map(|said| said.content.as_str().into())
        }
        "temperature" => request.temperature.map(Value::from),
        "top_p" => request.top_p.map(Value::from),
        _ => unreachable!("a template has only places that there are"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_is_put_in_its_place_as_a_value() {
        let template = Template::new(json!({
            "input": "{{prompt}}", "history": "{{ messages }}", "n": 1, "texts": ["{{prompt}}", "fixed"],
            "options": {"heat": "{{temperature}}", "limit": "{{max_tokens}}", "seed": "{{seed}}"},
        }));
        let request = Request::user(r#"a", "admin": true, "b": "{{seed}}"#).system("Be brief.").max_tokens(9);
        let filled = template.unwrap().fill(&request);
        assert_eq!(
            filled,
            json!({
                "input": r#"a", "admin": true, "b": "{{seed}}"#,
                "history": [{"role": "system", "content": "Be brief."},
                            {"role": "user", "content": r#"a", "admin": true, "b": "{{seed}}"#}],
                "n": 1, "texts": [r#"a", "admin": true, "b": "{{seed}}"#, "fixed"], "options": {"limit": 9},
            })
        );
    }

    #[test]
    fn a_template_that_cannot_work_is_none() {
        let why = |document| Template::new(document).unwrap_err().to_string();
        assert!(why(json!({"q": "{{promt}}"})).contains("did you mean `{{prompt}}`"));
        assert!(why(json!({"q": "Q: {{prompt}}"})).contains("a text of its own"));
        assert!(why(json!({"q": "{{prompt}}{{seed}}"})).contains("a text of its own"));
        assert!(why(json!({"q": "fixed", "s": "{{seed}}"})).contains("no place for what is asked"));
    }

    #[test]
    fn what_is_fixed_is_not_shown() {
        let template = Template::new(json!({"key": "hunter2", "q": "{{prompt}}"})).unwrap();
        let error = Template::new(json!({"key": "hunter2"})).unwrap_err();
        assert!(!format!("{template:?} {error} {error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_asked_breaks_out(prompt in any::<String>()) {
            let template = Template::new(json!({"a": {"b": ["{{prompt}}"]}})).unwrap();
            let sent = template.fill(&Request::user(&prompt)).to_string();
            let read: Value = serde_json::from_str(&sent).unwrap();
            prop_assert_eq!(read, json!({"a": {"b": [prompt]}}));
        }
    }
}
