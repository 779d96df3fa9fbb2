//! Labelled messages: `examples/data/messages.tsv`.

use anyhow::{Result, bail, ensure};

/// A message with its intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) label: String,
    pub(crate) text: String,
}

/// The messages of a split of `messages.tsv`: `train`, `test` or `live`.
pub(crate) fn messages(tsv: &str, split: &str) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for (number, line) in tsv.lines().enumerate().skip(1) {
        let [of, label, text] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            bail!("line {} is not split, intent and text separated by tabs", number + 1);
        };
        if of == split {
            messages.push(Message { label: label.to_owned(), text: text.to_owned() });
        }
    }
    ensure!(!messages.is_empty(), "no message is in the split `{split}`; write train, test or live");
    Ok(messages)
}

/// The words of `text` in lower case, as the vocabulary has them.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}
