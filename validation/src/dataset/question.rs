//! One question of a dataset.

use serde_json::{Map, Value};

use crate::{Message, Role, scorer::Weighted};

/// One question of a dataset: what is asked, and what is known about a good answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// What it is called; no two questions of a dataset are called the same. Results of different runs
    /// are compared by it.
    pub id: String,
    /// The conversation up to the answer, oldest message first.
    pub messages: Vec<Message>,
    /// Right answers, each of them as good as the others.
    pub targets: Vec<String>,
    /// What there is to choose from, if it is a question of choice: `A` is the first.
    pub choices: Vec<String>,
    /// Whatever else is said about it.
    pub metadata: Map<String, Value>,
    /// What it shares with other questions that are no independent evidence beside it, such as the
    /// document that all of them are about; itself alone if there is none.
    pub cluster: Option<String>,
    /// How much it counts, above 0; 1 unless said otherwise.
    pub weight: f64,
    /// What a good answer is like.
    pub assertions: Vec<Weighted>,
    /// The least weighted mean of what the assertions score for the answer to be good; every assertion
    /// must hold if there is none.
    pub threshold: Option<f64>,
}

impl Question {
    /// A question of the user, by this name.
    pub fn new(id: impl Into<String>, input: impl Into<String>) -> Self {
        let message = Message::new(Role::User, input);
        Self { id: id.into(), messages: vec![message], weight: 1.0, ..Self::default() }
    }

    /// This question with one more right answer.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// This question with these answers to choose from.
    #[must_use]
    pub fn with_choices(mut self, choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.choices.extend(choices.into_iter().map(Into::into));
        self
    }

    /// This question with one more thing that a good answer is like.
    #[must_use]
    pub fn with_assertion(mut self, assertion: impl Into<Weighted>) -> Self {
        self.assertions.push(assertion.into());
        self
    }

    /// This question as evidence about `cluster`, together with others of the same.
    #[must_use]
    pub fn in_cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// The conversation as it is put to the agent: choices, if there are any, are listed under what the
    /// user said last, with the letters to answer by.
    #[must_use]
    pub fn asked(&self) -> Vec<Message> {
        let mut messages = self.messages.clone();
        let last = messages.iter_mut().rev().find(|message| message.role == Role::User);
        if let (Some(message), false) = (last, self.choices.is_empty()) {
            message.content.push('\n');
            for (letter, choice) in LETTERS.iter().zip(&self.choices) {
                message.content.push_str(&format!("\n{letter}) {choice}"));
            }
            message.content.push_str("\n\nAnswer with the letter of the right choice and nothing else.");
        }
        messages
    }

    /// What the user said last; empty if the user said nothing.
    #[must_use]
    pub fn prompt(&self) -> &str {
        let said = self.messages.iter().rev().find(|message| message.role == Role::User);
        said.map_or("", |message| &message.content)
    }
}

/// What choices are called; there are never more.
pub(crate) const LETTERS: [char; 26] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U',
    'V', 'W', 'X', 'Y', 'Z',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_listed_by_their_letters() {
        let question = Question::new("q", "Which is a prime?").with_choices(["4", "5"]);
        let asked = question.asked();
        assert!(asked[0].content.starts_with("Which is a prime?\n\nA) 4\nB) 5\n\nAnswer with the letter"));
        assert_eq!(question.prompt(), "Which is a prime?");
    }
}
