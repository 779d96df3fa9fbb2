//! Values in nginx's own syntax, exactly.
//!
//! A word in quotes ends at the quote; in it, nginx takes `\"`, `\'`, `\\`, `\t`, `\r` and `\n` for one
//! character, leaves other backslashes alone, and puts variables in for `$` (not in regular expressions).
//! For `$` itself there is no escape. So nothing that comes from outside is written as it is.

use crate::Key;

/// The longest word that is written, in bytes; nginx takes fewer than 4 096.
const WORD: usize = 1_024;

/// The same JSON, without a character that nginx would take for syntax, in words of bounded length.
pub(super) fn words(json: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        let piece = match c {
            // Both are only ever inside of strings.
            '$' | '\'' => format!("\\u{:04x}", u32::from(c)),
            '\\' => match chars.next().expect("an escape has a second character") {
                'b' => "\\u0008".to_owned(),
                'f' => "\\u000c".to_owned(),
                'n' => "\\u000a".to_owned(),
                'r' => "\\u000d".to_owned(),
                't' => "\\u0009".to_owned(),
                'u' => ['\\', 'u'].into_iter().chain(chars.by_ref().take(4)).collect(),
                c => format!("\\u{:04x}", u32::from(c)),
            },
            c => c.to_string(),
        };
        match words.last_mut() {
            Some(word) if word.len() + piece.len() <= WORD => word.push_str(&piece),
            _ => words.push(piece),
        }
    }
    words
}

/// The regular expression (PCRE) that matches `bytes` only, of letters, digits and `\xHH`.
fn literal(bytes: &str) -> String {
    let escaped = |b: u8| match b {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("\\x{b:02X}"),
    };
    bytes.bytes().map(escaped).collect()
}

/// Where nginx has the value of a header, or all cookies.
pub(super) fn variable(key: &Key) -> String {
    match key {
        Key::Header(name) => format!("$http_{}", name.to_ascii_lowercase().replace('-', "_")),
        Key::Cookie(_) => "$http_cookie".to_owned(),
    }
}

/// The pattern of a `map` that matches when `key` has exactly `value`. Without a pattern, case would not
/// matter.
pub(super) fn is(key: &Key, value: &str) -> String {
    match key {
        Key::Header(_) => format!(r"~\A{}\z", literal(value)),
        Key::Cookie(name) => cookie(name, &literal(value)),
    }
}

/// The pattern of a `map` that matches when there is the cookie `name`, and puts its value into `$into`.
pub(super) fn capture(name: &str, into: &str) -> String {
    cookie(name, &format!("(?<{into}>[^;]*?)"))
}

/// The first cookie of the name counts, as it does for most programs.
fn cookie(name: &str, value: &str) -> String {
    let name = literal(name);
    format!(r"~\A(?:(?![ \x09]*{name}=)[^;]*+;)*+[ \x09]*{name}={value}[ \x09]*(?:;|\z)")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What nginx makes of a word in quotes: `ngx_conf_read_token`.
    fn read(word: &str) -> String {
        let mut text = String::new();
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some('"' | '\'' | '\\')) => text.extend(chars.next()),
                ('\\', Some('t' | 'r' | 'n')) => panic!("`{word}` has an escape that is one of nginx"),
                _ => text.push(c),
            }
        }
        text
    }

    proptest! {
        #[test]
        fn what_nginx_reads_is_the_same_json(text in any::<String>()) {
            let value = serde_json::json!({ "a": text });
            let words = words(&value.to_string());
            for word in &words {
                prop_assert!(!word.contains(['$', '\'']) && word.len() <= WORD, "{}", word);
            }
            let text: String = words.iter().map(|word| read(word)).collect();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }

        #[test]
        fn patterns_have_no_syntax_of_nginx(value in "\\PC*", name in "[!-~]{1,9}") {
            for key in [Key::Header(name.clone()), Key::Cookie(name)] {
                let pattern = is(&key, &value);
                prop_assert!(pattern.is_ascii() && !pattern.contains(['"', '\'', '$', '{', '}', '#']), "{}", pattern);
                prop_assert!(!pattern.contains("\\\\") && !pattern.contains("\\t"), "{}", pattern);
            }
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let json = serde_json::to_string(&"$ü\n".repeat(2_000)).unwrap();
        let words = words(&json);
        assert!(words.len() > 20, "{}", words.len());
        assert_eq!(serde_json::from_str::<String>(&words.concat()).unwrap(), "$ü\n".repeat(2_000));
        assert!(words.iter().all(|word| !word.ends_with('\\')));
    }
}
