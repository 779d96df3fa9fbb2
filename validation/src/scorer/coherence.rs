//! Does an answer hang together without repeating itself?

use std::collections::HashSet;

use super::{
    ScoreError,
    similar::{embedded, near},
    tokens::words,
};
use crate::Run;

/// Most sentences of an answer that are embedded.
const MOST_SENTENCES: usize = 256;

/// The mean cosine of adjacent sentences × (1 − the share of repeated trigrams of words). Without the
/// second factor an answer that says one sentence over and over would be perfect. Of a single sentence only
/// the second factor is left.
pub(super) async fn coherence(text: &str, run: &Run) -> Result<f64, ScoreError> {
    let sentences = sentences(text)?;
    let fresh = 1.0 - repeated_trigrams(&words(text));
    if sentences.len() < 2 {
        return Ok(fresh);
    }
    let vectors = embedded(&sentences, run).await?;
    let mut sum = 0.0;
    for pair in vectors.windows(2) {
        sum += near(&pair[0], &pair[1])?;
    }
    Ok(sum / (vectors.len() - 1) as f64 * fresh)
}

/// The sentences of `text`: what ends in `.`, `!`, `?` before a space, in a full stop of East Asia, or with a line.
pub(super) fn sentences(text: &str) -> Result<Vec<&str>, ScoreError> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let ends = match c {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => chars.peek().is_none_or(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if ends {
            found.push(&text[start..at + c.len_utf8()]);
            start = at + c.len_utf8();
        }
    }
    found.push(&text[start..]);
    found.retain(|sentence| sentence.contains(char::is_alphanumeric));
    if found.len() > MOST_SENTENCES {
        let why = format!("it has {} sentences, more than {MOST_SENTENCES}; limit `max_tokens`", found.len());
        return Err(ScoreError::unscorable(why));
    }
    Ok(found.into_iter().map(str::trim).collect())
}

/// Which share of the trigrams of `words` have been there before.
fn repeated_trigrams(words: &[String]) -> f64 {
    let all = words.windows(3).len();
    let distinct = words.windows(3).collect::<HashSet<_>>().len();
    if all == 0 { 0.0 } else { 1.0 - distinct as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_people_end_them() {
        let split = |text| sentences(text).unwrap();
        assert_eq!(
            split("It is 3.5 m. Is it? Yes!\n- a list\n\n"),
            ["It is 3.5 m.", "Is it?", "Yes!", "- a list"]
        );
        assert_eq!(split("东京是首都。大阪不是。"), ["东京是首都。", "大阪不是。"]);
        assert!(split(" … ").is_empty());
        assert!(sentences(&"A. ".repeat(300)).is_err());
    }

    #[test]
    fn repetition_is_counted() {
        let share = |text| repeated_trigrams(&words(text));
        assert_eq!(share("a b c d"), 0.0);
        assert_eq!(share("a b"), 0.0);
        // Trigrams abc bca cab abc: one of four is there again.
        assert_eq!(share("a b c a b c"), 0.25);
        assert!(share(&"I am a fish. ".repeat(50)) > 0.9);
    }
}
