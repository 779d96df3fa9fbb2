//! The text of a template, before it is parsed.

use minijinja::machinery::{Token, tokenize};

/// Most tokens of one tag that may nest an expression deeper, and most `elif`s.
const DEEPEST: usize = 1000;
/// Most lines, and most bytes of one.
const LINES: usize = (1 << 16) - 16;

/// The same text with blanks for the tags `generation` and `endgeneration`, which transformers adds to Jinja
/// and which only mark what is between them.
pub(super) fn without_generation(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{%") {
        let tag = rest[at + 2..].find("%}").map(|end| at + end + 4);
        let end = tag.filter(|&end| {
            let inner = rest[at + 2..end - 2].trim_matches(['-', '+']).trim();
            matches!(inner, "generation" | "endgeneration")
        });
        match end {
            Some(end) => {
                out.push_str(&rest[..at]);
                out.extend(std::iter::repeat_n(' ', end - at));
                rest = &rest[end..];
            }
            None => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Refuses what the parser would not come back from. It counts lines and columns in 16 bits, and guards its
/// stack against nested brackets and blocks, and not against chains.
pub(super) fn is_bounded(text: &str) -> Result<(), &'static str> {
    if text.lines().count() >= LINES || text.lines().any(|line| line.len() >= LINES) {
        return Err("it has more lines, or a longer one, than the parser counts");
    }
    let (mut chain, mut branches) = (0, 0);
    for token in tokenize(text, false, Default::default()) {
        // The parser meets the same error, and no token behind it.
        let Ok((token, _)) = token else { return Ok(()) };
        match token {
            Token::BlockStart | Token::VariableStart => chain = 0,
            Token::Ident("elif") => branches += 1,
            Token::Ident("and" | "or" | "not" | "in" | "is" | "if" | "else") => chain += 1,
            Token::TemplateData(_)
            | Token::VariableEnd
            | Token::BlockEnd
            | Token::Ident(_)
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::Comma
            | Token::Colon
            | Token::Assign
            | Token::BracketClose
            | Token::ParenClose
            | Token::BraceClose => {}
            _ => chain += 1,
        }
        if chain > DEEPEST || branches > DEEPEST {
            return Err("an expression is nested deeper than any reader follows");
        }
    }
    Ok(())
}

/// The first name of Python's internals, `__class__`, and where it stands.
pub(super) fn dunder(text: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("__").map(|at| at + from) {
        let name = text[at + 2..].trim_start_matches('_');
        let start = text.len() - name.len();
        let word = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        if word > 0 && name[word..].starts_with("__") {
            return Some((at, &text[start - 2..start + word + 2]));
        }
        // A name may have single underscores: `__init_subclass__`.
        let long = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        if long > 2 && name[..long].ends_with("__") {
            return Some((at, &text[start - 2..start + long]));
        }
        from = start + word;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_generation_are_blanked_where_they_stand() {
        let text = "a{% generation %}b{%- endgeneration -%}c{% if x %}d";
        let blank = without_generation(text);
        assert_eq!(blank.len(), text.len());
        assert_eq!(blank.split_whitespace().collect::<String>(), "abc{%ifx%}d");
    }

    #[test]
    fn a_mark_that_opens_and_closes_at_once_is_none() {
        assert_eq!(without_generation("{%}{%%}{%- generation"), "{%}{%%}{%- generation");
    }

    #[test]
    fn internals_are_found_in_any_text() {
        let name = |text| dunder(text).map(|(_, name)| name);
        assert_eq!(name("x.__class__.y"), Some("__class__"));
        assert_eq!(name("__init_subclass__"), Some("__init_subclass__"));
        assert_eq!(name("a __b c __import__('os')"), Some("__import__"));
        assert_eq!(name("a__b ____ x"), None);
        assert_eq!(name("<|__start|>"), None);
    }

    #[test]
    fn chains_are_cut() {
        assert!(is_bounded(&format!("{{{{ a{} }}}}", ".b".repeat(100))).is_ok());
        assert!(is_bounded(&format!("{{{{ a{} }}}}", ".b".repeat(2000))).is_err());
        assert!(is_bounded(&format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(2000))).is_err());
    }
}
