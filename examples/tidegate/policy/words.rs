//! Rules as people read them.

use humantime::format_duration;
use tidegate::registry::Rule;

use crate::words::plain;

/// A rule in a line.
pub(super) fn rule(rule: &Rule) -> String {
    let text = match rule {
        Rule::Approved { by, of } => {
            let people = if *by == 1 { "1 person".to_owned() } else { format!("{by} people") };
            let of = of.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            if of.is_empty() {
                format!("approved by {people}")
            } else {
                format!("approved by {people} of {of}")
            }
        }
        Rule::Attested { predicate_type, result, within } => {
            let result =
                result.as_ref().map_or_else(String::new, |result| format!(" with the result {result}"));
            let within =
                within.map_or_else(String::new, |age| format!(", not older than {}", format_duration(age)));
            format!("attested {predicate_type}{result}{within}")
        }
        Rule::Signed { by } => match by.len() {
            1 => "signed by the key of the policy".to_owned(),
            n => format!("signed by one of the {n} keys of the policy"),
        },
        Rule::Soaked { channel, at_least } => {
            format!("{channel} has pointed to it for {}", format_duration(*at_least))
        }
        // As it was written, until there are words for it.
        rule => serde_json::to_string(rule).unwrap_or_default(),
    };
    plain(&text)
}
