//! Asks in the wrappings by which people get models to answer them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Role,
    dataset::{Dataset, InvalidDataset, Options, Question},
};

/// Where a template says what is asked, and what a question's metadata call it.
pub(crate) const ASK: &str = "ask";
const PLACE: &str = "{ask}";
/// Most bytes of questions that are made of asks and wrappers.
const MOST_BYTES: usize = 256 << 20;

/// A template around an ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Wrapper {
    /// What it is called.
    pub id: String,
    /// What is sent, with the ask in place of `{ask}`.
    pub template: String,
}

impl Wrapper {
    /// `ask` in the template. What the ask itself holds is left as it is.
    #[must_use]
    pub fn wrap(&self, ask: &str) -> String {
        self.template.replace(PLACE, ask)
    }

    /// What is wrong with it, if anything.
    pub(crate) fn flaw(&self) -> Option<String> {
        if self.id.trim().is_empty() {
            return Some("has a wrapper without an `id`; name it".to_owned());
        }
        let id = crate::excerpt::excerpt(&self.id, 60);
        let places = self.template.matches(PLACE).count();
        (places != 1)
            .then(|| format!("has a wrapper `{id}` whose template holds `{PLACE}` {places} times, not once"))
    }
}

/// Each question of `dataset` in each of `wrappers`, blocking. Those of one question are one cluster: an ask that is
/// answered in one wrapping says something about the others. Without wrappers it is the dataset itself.
pub(crate) fn wrapped(dataset: Dataset, wrappers: &[Wrapper]) -> Result<Dataset, InvalidDataset> {
    if wrappers.is_empty() {
        return Ok(dataset);
    }
    let mut lines = Vec::new();
    for question in dataset.questions()? {
        let question = question?;
        for wrapper in wrappers {
            let line = line(&question, wrapper).to_string();
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
            if lines.len() > MOST_BYTES {
                let why =
                    format!("in all its wrappers it is longer than {MOST_BYTES} bytes; take fewer of them");
                return Err(dataset.invalid(why));
            }
        }
    }
    Dataset::from_bytes(
        dataset.name(),
        lines,
        &Options { format: Some(crate::dataset::Format::Native), ..Options::default() },
    )
}

fn line(question: &Question, wrapper: &Wrapper) -> Value {
    let mut messages = question.messages.clone();
    if let Some(last) = messages.iter_mut().rev().find(|message| message.role == Role::User) {
        last.content = wrapper.wrap(&last.content);
    }
    let mut metadata = question.metadata.clone();
    metadata.insert(ASK.to_owned(), question.prompt().into());
    json!({
        "id": format!("{} in {}", question.id, wrapper.id),
        "messages": messages,
        "metadata": metadata,
        "cluster": question.cluster.as_ref().unwrap_or(&question.id),
        "weight": question.weight,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_ask_holds_is_no_template() {
        let wrapper = |template: &str| Wrapper { id: "w".to_owned(), template: template.to_owned() };
        assert_eq!(wrapper("Now: {ask}!").wrap("say {ask}"), "Now: say {ask}!");
        assert_eq!(wrapper("Now: {ask}!").flaw(), None);
        assert!(wrapper("Now").flaw().is_some() && wrapper("{ask}{ask}").flaw().is_some());
        assert!(Wrapper { id: " ".to_owned(), ..wrapper("{ask}") }.flaw().is_some());
    }
}
