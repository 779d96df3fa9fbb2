//! Whether what is said is what was begun.

use serde_json::{Map, Value};
use tidegate::canary::RolloutId;

use crate::{failure::Failure, words::plain};

/// How much of a value is said.
const SAID: usize = 120;

/// What is under way or over, and how it is spoken of.
pub(super) struct Begun<'a> {
    /// `rollback` or `watch`.
    pub(super) what: &'static str,
    pub(super) id: &'a RolloutId,
    pub(super) is_over: bool,
}

impl Begun<'_> {
    /// Refuses to go on where `given` is something else than what is `recorded`.
    pub(super) fn expect_same(
        &self,
        given: &Map<String, Value>,
        recorded: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let mut names: Vec<&String> = given.keys().chain(recorded.keys()).collect();
        names.sort();
        names.dedup();
        let differ = names.into_iter().filter(|name| given.get(*name) != recorded.get(*name));
        let differences: Vec<String> = differ
            .map(|name| {
                format!("{name} is {} now, and was {}", said(given.get(name)), said(recorded.get(name)))
            })
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        let Self { what, is_over, .. } = *self;
        let id = plain(&self.id.to_string());
        let (state, same) = match is_over {
            true => ("is over, and", "says how it ended"),
            false => ("is under way, and", "goes on with it"),
        };
        Err(Failure::Other(format!(
            "{what} {id} {state} was begun with other words: {}; `--id NEW` begins another {what}, and `--id {id}` with the words that it was begun with {same}",
            differences.join("; ")
        )))
    }
}

fn said(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(value) => plain(&value.to_string()),
    };
    match text.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
