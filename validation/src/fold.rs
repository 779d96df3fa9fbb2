//! Text as people compare it: without case, accents and typography.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// `text` in lower case, without accents, with plain apostrophes and single spaces.
pub(crate) fn fold(text: &str) -> String {
    let plain =
        text.nfkd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase).map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{b4}' | '`' => '\'',
            c => c,
        });
    plain.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Folded, without punctuation around it. Signs such as `-` and `+` are kept: they carry meaning.
pub(crate) fn normal(text: &str) -> String {
    const AROUND: &[char] = &[' ', '.', ',', ';', ':', '!', '?', '"', '\'', '*', '_', '“', '”', '«', '»'];
    fold(text).trim_matches(AROUND).to_owned()
}

/// Whether `text` mentions `topic` as words of its own.
pub(crate) fn mentions(text: &str, topic: &str) -> bool {
    let (text, topic) = (fold(text), fold(topic));
    let (Some(first), Some(last)) = (topic.chars().next(), topic.chars().next_back()) else {
        return false;
    };
    text.match_indices(&topic).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + topic.len()..]);
        let starts = !is_spaced(first) || !before.ends_with(is_spaced);
        let plural = ["", "s", "es"].iter().filter_map(|end| after.strip_prefix(end));
        starts && plural.into_iter().any(|rest| !is_spaced(last) || !rest.starts_with(is_spaced))
    })
}

/// Whether `c`, once folded, belongs to a script that puts spaces between words. Those without
/// have no lower case either, but for a few, such as Arabic, where a topic may then stand anywhere.
fn is_spaced(c: char) -> bool {
    c.is_lowercase() || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_word_of_its_own() {
        assert!(mentions("It uses Algorithms, and data.", "algorithm"));
        assert!(mentions("two classes", "class"));
        assert!(!mentions("a database", "data"));
        assert!(!mentions("metadata", "data"));
        assert!(mentions("(data)", "data"));
        assert!(mentions("machine\n  learning", "machine learning"));
        assert!(mentions("C++ and Rust", "c++"));
        assert!(!mentions("anything", ""));
    }

    #[test]
    fn case_accents_and_script_do_not_matter() {
        assert!(mentions("Un CAFÉ, s'il vous plaît", "cafe"));
        assert!(mentions("东京是日本的首都", "日本"));
        assert!(mentions("ΑΘΉΝΑ", "αθηνα"));
    }
}
