//! What a question is known by, where answers are kept.

use serde_json::{Value, json};
use tidegate_registry::Digest;

use crate::{AgentId, Request, canonical::canonical};

/// Counts the changes of what a key is made of, so that no old answer is found under a new question.
const SCHEMA: u32 = 1;

/// The key of a question: SHA-256 of canonical JSON of who is asked, if that matters, what is asked with every
/// setting, those left out as `null`, and which repetition it is.
pub(crate) fn key(agent: Option<&AgentId>, request: &Request, trial: u32) -> Digest {
    Digest::of(canonical(&document(agent, request, trial)))
}

fn document(agent: Option<&AgentId>, request: &Request, trial: u32) -> Value {
    json!({ "schema": SCHEMA, "agent": agent, "request": request, "trial": trial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, ResponseFormat, Role, Tool, ToolChoice};

    #[test]
    fn every_setting_is_in_the_key_even_if_it_is_not_made() {
        let document = document(Some(&AgentId::new("a")), &Request::user("Hello"), 3);
        assert_eq!(
            canonical(&document),
            concat!(
                r#"{"agent":"a","request":{"max_tokens":null,"messages":[{"content":"Hello","role":"user"}],"#,
                r#""response_format":null,"seed":null,"stop":[],"temperature":null,"tool_choice":null,"tools":[],"#,
                r#""top_logprobs":null,"top_p":null},"schema":1,"trial":3}"#
            )
        );
    }

    #[test]
    fn whatever_changes_the_answer_changes_the_key() {
        let base = || Request::user("Hello");
        let agent = AgentId::new("a");
        let requests = [
            base(),
            Request::user("hello"),
            base().system(""),
            base().message(Message::new(Role::Assistant, "")),
            base().tool(Tool::new("t", json!({}))),
            base().tool(Tool::new("t", json!({})).described("")),
            Request { tool_choice: Some(ToolChoice::Auto), ..base() },
            Request { response_format: Some(ResponseFormat::JsonObject), ..base() },
            Request { stop: vec![String::new()], ..base() },
            base().temperature(0.0),
            base().temperature(1.0),
            Request { top_p: Some(1.0), ..base() },
            base().max_tokens(1),
            base().seed(1),
            Request { top_logprobs: Some(0), ..base() },
        ];
        let mut keys: Vec<_> = requests.iter().map(|request| key(Some(&agent), request, 0)).collect();
        keys.extend([key(Some(&AgentId::new("b")), &base(), 0), key(Some(&agent), &base(), 1)]);
        keys.push(key(None, &base(), 0));
        let told = keys.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(told.len(), keys.len());
        assert_eq!(key(Some(&agent), &base(), 0), keys[0]);
    }
}
