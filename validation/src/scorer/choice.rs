//! Which of the choices does the answer take?

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, words::quoted};
use crate::{
    Reply,
    dataset::{LETTERS, Question},
    excerpt::excerpt,
    fold::{fold, mentions},
};

/// The answer takes the right one of the question's choices, by its letter or in its words.
///
/// A letter counts where it is the whole answer, stands in brackets or before `)`, `.` or `:` at the
/// beginning, or follows `answer`, `answer is`, `choice` or `option`. Without a letter the answer takes the
/// choice in whose words it speaks, if it is the only one. An answer that takes several takes none. Targets
/// are letters or the words of a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Choice {}

impl Choice {
    #[expect(clippy::unused_self, reason = "as all scorers")]
    pub(super) fn score(self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        if question.choices.is_empty() {
            return Err(ScoreError::unscorable(format!("question `{}` has no choices", question.id)));
        }
        let right: Vec<_> = question.targets.iter().filter_map(|target| named(target, question)).collect();
        if right.len() < question.targets.len() || right.is_empty() {
            let targets = quoted(&question.targets);
            let why = format!(
                "question `{}` has choices, and not each of its targets ({targets}) is one",
                question.id
            );
            return Err(ScoreError::unscorable(why));
        }
        let why = |word: &str| format!("{word}: {}", excerpt(&reply.text, 200));
        Ok(match taken(&reply.text, question) {
            Some(at) => Score::whether(right.contains(&at), why(&format!("takes {}", LETTERS[at]))),
            None => Score::whether(false, why("takes none of the choices, or several")),
        })
    }
}

/// The choice that a target names.
fn named(target: &str, question: &Question) -> Option<usize> {
    let target = target.trim();
    let by_words = question.choices.iter().position(|choice| choice.trim() == target);
    by_words.or_else(|| letter(target, question.choices.len()))
}

/// The choice that an answer takes.
fn taken(text: &str, question: &Question) -> Option<usize> {
    let letters = lettered(text, question.choices.len());
    match letters.as_slice() {
        [first, rest @ ..] => rest.iter().all(|letter| letter == first).then_some(*first),
        [] => {
            let exact = question.choices.iter().position(|choice| fold(choice) == fold(text));
            let mut mentioned =
                (0..question.choices.len()).filter(|&at| mentions(text, &question.choices[at]));
            exact.or_else(|| match (mentioned.next(), mentioned.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            })
        }
    }
}

/// All choices that an answer takes by their letters.
fn lettered(text: &str, choices: usize) -> Vec<usize> {
    let bare = text.trim().trim_matches(|c: char| !c.is_alphanumeric());
    if let Some(at) = letter(bare, choices) {
        return vec![at];
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
        let Some(at) = letter(inner, choices).filter(|_| inner.chars().all(char::is_uppercase)) else {
            continue;
        };
        let marked = word.trim_start_matches('*').starts_with('(') && word.contains(')');
        let leads =
            i == 0 && word.trim_start_matches(['*', '(']).chars().nth(1).is_some_and(|c| ").:*".contains(c));
        if marked || leads || announced(&words[..i]) {
            found.push(at);
        }
    }
    found
}

/// Whether the words before a letter say that it is the answer.
fn announced(before: &[&str]) -> bool {
    let plain = |word: &&str| fold(word).trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let mut last = before.iter().rev().map(plain);
    match last.next().as_deref() {
        Some("answer" | "choice" | "option") => true,
        Some("is" | "be") => matches!(last.next().as_deref(), Some("answer" | "choice" | "option")),
        _ => false,
    }
}

fn letter(text: &str, choices: usize) -> Option<usize> {
    let mut chars = text.chars();
    let (Some(only), None) = (chars.next(), chars.next()) else { return None };
    LETTERS[..choices.min(LETTERS.len())].iter().position(|letter| letter.eq_ignore_ascii_case(&only))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(text: &str) -> Option<char> {
        let question = Question::new("q", "?").with_choices(["Paris", "Lyon", "New York"]);
        taken(text, &question).map(|at| LETTERS[at])
    }

    #[test]
    fn a_choice_is_taken_by_letter_or_in_words() {
        for text in [
            "B",
            "b",
            "(B)",
            " B. ",
            "**B**",
            "B) Lyon",
            "Answer: B",
            "The answer is B.",
            "ANSWER: (B)",
            "I think it is (B), Lyon",
            "Lyon",
            "It is Lyon, surely.",
            "option B",
        ] {
            assert_eq!(takes(text), Some('B'), "{text}");
        }
        assert_eq!(takes("new york"), Some('C'));
    }

    #[test]
    fn several_or_none_are_no_choice() {
        for text in
            ["", "A or B", "Paris or Lyon", "(A) or (B)", "A city is what it is", "D", "Berlin", "I am sure"]
        {
            assert_eq!(takes(text), None, "{text}");
        }
    }

    #[test]
    fn targets_are_letters_or_words() {
        let score = |target: &str, said: &str| {
            let question = Question::new("q", "?").with_choices(["4", "5"]).with_target(target);
            Choice {}.score(&question, &Reply::text(said)).map(|score| score.passed)
        };
        assert!(score("B", "5").unwrap() && score("5", "B").unwrap() && !score("B", "A").unwrap());
        assert!(score("C", "A").is_err() && score("six", "A").is_err());
    }
}
