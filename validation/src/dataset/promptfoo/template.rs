//! Templates of promptfoo, as far as they only put variables in their places.

use serde_json::{Map, Value};

use crate::flaw::Flaw;

/// Most bytes of a template with its variables put in.
const LONGEST: usize = 4 << 20;

/// `template` with each `{{ name }}` replaced by the variable. What else Nunjucks can do is refused.
pub(super) fn filled(template: &str, vars: &Map<String, Value>, path: &str) -> Result<String, Flaw> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if from.starts_with("{%") || from.starts_with("{#") {
            return Err(Flaw::new(
                path,
                "it holds a tag or comment of Nunjucks, and only plain {{ variables }} are filled in here",
            ));
        }
        let Some(inside) = from.strip_prefix("{{") else {
            text.push('{');
            rest = &from[1..];
            continue;
        };
        let Some((name, after)) = inside.split_once("}}") else {
            return Err(Flaw::new(path, "it opens {{ and never closes it"));
        };
        text.push_str(&variable(name.trim(), vars, path)?);
        if text.len() > LONGEST {
            return Err(Flaw::new(path, format!("filled in, it is longer than {LONGEST} bytes")));
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn variable(name: &str, vars: &Map<String, Value>, path: &str) -> Result<String, Flaw> {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '$';
    if name.is_empty() || !name.chars().all(plain) {
        let shown = crate::excerpt::excerpt(name, 60);
        return Err(Flaw::new(
            path,
            format!(
                "{{{{ {shown} }}}} does more than name a variable, which is not done here; put the result into a variable"
            ),
        ));
    }
    match vars.get(name) {
        Some(value) => written(value, name),
        None => {
            let known: Vec<_> = vars.keys().map(String::as_str).collect();
            Err(Flaw::unknown(path, "variable", name, &known))
        }
    }
}

/// A variable as it is put into a prompt.
fn written(value: &Value, name: &str) -> Result<String, Flaw> {
    let path = || format!("vars.{}", crate::excerpt::excerpt(name, 60));
    match value {
        Value::String(text) if text.starts_with("file://") => {
            Err(Flaw::new(path(), "files are not read from here; write the text itself"))
        }
        Value::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => Err(Flaw::new(
            path(),
            "promptfoo would fill in this value in its turn, which is not done here; write the text itself",
        )),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        // As JavaScript writes it: 1.0 is 1.
        Value::Number(number) => Ok(match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 9e15 => format!("{whole:.0}"),
            _ => number.to_string(),
        }),
        Value::Array(_) => Err(Flaw::new(
            path(),
            "promptfoo would make a test of each entry of this list, which is not done here; write the tests out",
        )),
        Value::Object(_) | Value::Null => Err(Flaw::new(path(), "write it as text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str) -> Result<String, Flaw> {
        let vars =
            serde_json::json!({"name": "Ada", "n": 1.0, "half": 0.5, "inner": "{{name}}", "list": [1]});
        filled(template, vars.as_object().unwrap(), "prompts[0]")
    }

    #[test]
    fn variables_are_put_in_their_places() {
        assert_eq!(fill("Hello {{name}}, {{ n }}/{{half}} {a} }} {").unwrap(), "Hello Ada, 1/0.5 {a} }} {");
        assert_eq!(fill("").unwrap(), "");
    }

    #[test]
    fn what_is_more_than_that_is_refused() {
        for template in [
            "{% if name %}x{% endif %}",
            "{# no #}",
            "{{ name | upper }}",
            "{{ user.name }}",
            "{{ name",
            "{{}}",
            "{{ inner }}",
            "{{ list }}",
        ] {
            assert!(fill(template).is_err(), "{template}");
        }
        let typo = fill("{{ nmae }}").unwrap_err();
        assert_eq!((typo.path.as_str(), typo.suggestion.as_deref()), ("prompts[0]", Some("name")));
    }
}
