//! Exceptions as conditions on headers.

use super::unfit::Unfit;
use crate::{Exception, Key, Slot};

/// What surrounds a cookie in the header `Cookie`. The anchors are for gateways that search; others match the
/// whole value anyhow.
const BEFORE: &str = "^(.*;[ ]?)?";
const AFTER: &str = "([ ]?;.*)?$";

/// What a header must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) header: String,
    pub(super) value: Wanted,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    Exactly(String),
    /// A regular expression in what the dialects RE2, PCRE and POSIX (extended) share.
    Like(String),
}

impl Condition {
    /// The condition for the requests that `exception` speaks of.
    pub(super) fn of(exception: &Exception) -> Result<Self, Unfit> {
        let value = exception.value.as_str();
        let (key, Key::Cookie(name) | Key::Header(name)) = (kind(&exception.key), &exception.key);
        let unfit = |why| Unfit::Exception { key, name: name.clone(), why };
        if !exception.key.is_token() {
            return Err(unfit("its name is none that a request can carry; use a token (RFC 9110, 5.6.2)"));
        }
        if value.is_empty() {
            return Err(unfit("its value is empty, which would match anything; give a value"));
        }
        Ok(match &exception.key {
            Key::Header(name) => Self { header: name.clone(), value: Wanted::Exactly(value.to_owned()) },
            Key::Cookie(name) => {
                // What RFC 6265, 4.1.1, lets a cookie be.
                let octet = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
                if !value.bytes().all(octet) {
                    return Err(unfit(
                        "no cookie has such a value; use visible ASCII but `\"`, `,`, `;`, `\\`",
                    ));
                }
                let pattern = format!("{BEFORE}{}={}{AFTER}", escape(name), escape(value));
                Self { header: "cookie".to_owned(), value: Wanted::Like(pattern) }
            }
        })
    }

    /// The exception that this is the condition of.
    pub(super) fn exception(&self, to: Slot) -> Option<Exception> {
        let exception = match &self.value {
            Wanted::Exactly(value) => {
                Exception { key: Key::Header(self.header.clone()), value: value.clone(), to }
            }
            Wanted::Like(pattern) => {
                let cookie = unescape(pattern.strip_prefix(BEFORE)?.strip_suffix(AFTER)?);
                let (name, value) = cookie.split_once('=')?;
                Exception { key: Key::Cookie(name.to_owned()), value: value.to_owned(), to }
            }
        };
        (Self::of(&exception).ok()? == *self).then_some(exception)
    }
}

const fn kind(key: &Key) -> &'static str {
    match key {
        Key::Cookie(_) => "cookie",
        Key::Header(_) => "header",
    }
}

/// Brackets are the quoting that all dialects read alike, but for what means something in brackets.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, c| {
        match c {
            '^' | '[' => text.extend(['\\', c]),
            c if c.is_ascii_alphanumeric() || "_-=:/%@~&#!'`<>]".contains(c) => text.push(c),
            c => text.extend(['[', c, ']']),
        }
        text
    })
}

fn unescape(pattern: &str) -> String {
    let mut rest = pattern.chars();
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.extend(rest.next()),
            '[' => {
                text.extend(rest.next());
                rest.next();
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookie(name: &str, value: &str) -> Exception {
        Exception { key: Key::Cookie(name.to_owned()), value: value.to_owned(), to: Slot::Candidate }
    }

    proptest! {
        #[test]
        fn an_exception_survives_being_a_condition(
            name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}",
            value in r"[!#-+--:<-\[\]-~]{1,20}",
        ) {
            for key in [Key::Cookie(name.clone()), Key::Header(name)] {
                let exception = Exception { key, value: value.clone(), to: Slot::Candidate };
                prop_assert_eq!(Condition::of(&exception).unwrap().exception(Slot::Candidate), Some(exception));
            }
        }

        #[test]
        fn no_pattern_is_too_odd_to_be_read(pattern in any::<String>()) {
            let pattern = format!("{BEFORE}{pattern}{AFTER}");
            let condition = Condition { header: "cookie".to_owned(), value: Wanted::Like(pattern) };
            if let Some(exception) = condition.exception(Slot::Stable) {
                prop_assert_eq!(Condition::of(&exception).unwrap(), condition);
            }
        }
    }

    /// That the pattern matches its cookie and no other was tried with GNU grep 3.8 (`-E`, `-P`), Python 3.11
    /// (`re`) and the crate regex 1.13.
    #[test]
    fn a_pattern_is_read_alike_by_all() {
        let Wanted::Like(pattern) = Condition::of(&cookie("a.b^$", "x*[y]|{z}+(?)")).unwrap().value else {
            unreachable!()
        };
        let expected = r"^(.*;[ ]?)?a[.]b\^[$]=x[*]\[y][|][{]z[}][+][(][?][)]([ ]?;.*)?$";
        assert_eq!(pattern, expected);
    }

    #[test]
    fn what_no_header_can_say_is_refused() {
        for value in ["", "a b", "a;b", "a\"b", "ä", "a\nb"] {
            assert!(Condition::of(&cookie("user", value)).is_err(), "{value:?}");
        }
    }
}
