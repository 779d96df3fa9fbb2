//! The file that says what traffic is wanted, in nginx's syntax, and the reading of one.
//!
//! Pure: traffic goes in and a text comes out, or the other way round.

use std::{fmt::Write, str};

use serde::{Deserialize, Serialize};
use tidegate_registry::Digest;

use super::syntax::{capture, is, variable, words};
use crate::{Exception, Fence, Key, RouteId, Slot, Traffic, Weight};

const HEAD: &str = "# Written as a whole by a router; what is changed by hand is refused.\n";
/// How many exceptions there may be: nginx follows 100 variables that refer to each other, and no more.
const EXCEPTIONS: usize = 64;

/// Names of the upstreams between which a route splits.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    pub(super) stable: String,
    pub(super) baseline: Option<String>,
    pub(super) candidate: String,
}

/// What a file says, as its first lines and its variable `__state` tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    route: RouteId,
    pub(super) fence: Option<Fence>,
    /// Of all the rules, so that two files of the same state are the same.
    pub(super) revision: String,
    pub(super) traffic: Traffic,
}

/// Traffic that no file says, or a file that says no traffic.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("its rules were changed by hand; apply the traffic again")]
    Changed,
    #[error("{key:?} cannot be matched: {why}")]
    Key { key: Key, why: &'static str },
    #[error(
        "exceptions[{0}] goes to the baseline, for which there is no upstream; name one by `with_baseline`"
    )]
    NoBaseline(usize),
    #[error(
        "the route makes no variable; use ASCII letters, digits and single separators between them, like `serving/fraud`"
    )]
    Route,
    #[error("its file is that of the route {0}, which makes the same variable; rename one of them")]
    Taken(RouteId),
    #[error("there are more than {EXCEPTIONS} exceptions; leave some out")]
    TooMany,
    #[error("it does not read as a file that this router wrote; remove it, or use another directory")]
    Unreadable(#[source] Option<serde_json::Error>),
    #[error("`{0}` cannot name an upstream; use letters, digits and `-._:`")]
    Upstream(String),
    #[error("the value of exceptions[{0}] is empty or has control characters, so no request carries it")]
    Value(usize),
}

/// The name of a route in names of variables and files, where nginx takes case for nothing. What follows two
/// underscores is the router's own.
pub(super) fn label(route: &RouteId) -> Result<String, Unfit> {
    let text = route.as_str();
    let label: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let single = !label.contains("__") && !label.starts_with('_') && !label.ends_with('_');
    if text.is_ascii() && single { Ok(label) } else { Err(Unfit::Route) }
}

impl Upstreams {
    fn of(&self, slot: Slot) -> Result<Option<&str>, Unfit> {
        let name = match slot {
            Slot::Stable => Some(self.stable.as_str()),
            Slot::Baseline => self.baseline.as_deref(),
            Slot::Candidate => Some(self.candidate.as_str()),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        match name {
            Some(name) if name.is_empty() || !name.bytes().all(plain) => {
                Err(Unfit::Upstream(name.chars().take(100).collect()))
            }
            name => Ok(name),
        }
    }
}

impl State {
    /// The file that puts `traffic`, of checked capabilities, in force; and its state.
    pub(super) fn write(
        route: &RouteId,
        traffic: &Traffic,
        fence: Option<Fence>,
        upstreams: &Upstreams,
    ) -> Result<(Self, String), Unfit> {
        let label = label(route)?;
        let rules = rules(&label, traffic, upstreams)?;
        let state =
            Self { route: route.clone(), fence, revision: revision(&rules), traffic: traffic.clone() };
        let text = state.shown(&label) + &rules;
        Ok((state, text))
    }

    /// What the file of `route` says; only its fence is known for sure unless it is [whole](Self::is_whole).
    pub(super) fn read(bytes: &[u8], route: &RouteId) -> Result<Self, Unfit> {
        let text = str::from_utf8(bytes).map_err(|_| Unfit::Unreadable(None))?;
        let rest = text.strip_prefix(HEAD).ok_or(Unfit::Unreadable(None))?;
        let json: String = rest.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let state: Self = serde_json::from_str(&json).map_err(|error| Unfit::Unreadable(Some(error)))?;
        if state.route == *route { Ok(state) } else { Err(Unfit::Taken(state.route)) }
    }

    /// Whether the file in `bytes`, of this state, is as it was written.
    pub(super) fn is_whole(&self, bytes: &[u8]) -> Result<(), Unfit> {
        let shown = self.shown(&label(&self.route)?);
        let rules = bytes.strip_prefix(shown.as_bytes()).ok_or(Unfit::Changed)?;
        if revision(rules) == self.revision { Ok(()) } else { Err(Unfit::Changed) }
    }

    /// The state as the beginning of its file.
    fn shown(&self, label: &str) -> String {
        let json = serde_json::to_string(self).expect("a state is JSON");
        let words = words(&json);
        // nginx reads comments as well, and no longer ones than words.
        let mut text = HEAD.to_owned();
        words.iter().for_each(|word| push(&mut text, format_args!("# {word}")));
        let mut all = String::new();
        for (index, word) in words.iter().enumerate() {
            push(&mut text, format_args!("map \"\" $tidegate_{label}__s{index} {{ default '{word}'; }}"));
            all += &format!("${{tidegate_{label}__s{index}}}");
        }
        push(&mut text, format_args!("map \"\" $tidegate_{label}__state {{ default \"{all}\"; }}"));
        text
    }
}

fn revision(rules: impl AsRef<[u8]>) -> String {
    let mut hex = Digest::of(rules).hex();
    hex.truncate(16);
    hex
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes what it is given");
}

/// `$tidegate_LABEL`, and what it is made of.
fn rules(label: &str, traffic: &Traffic, upstreams: &Upstreams) -> Result<String, Unfit> {
    let mut text = String::new();
    let own = |what: &str| format!("$tidegate_{label}__{what}");
    let user = match traffic.sticky() {
        None => "$request_id".to_owned(),
        Some(key) => {
            let (from, user) = (variable(check(key)?), own("user"));
            let known = match key {
                Key::Cookie(name) => {
                    let into = format!("tidegate_{label}__value");
                    format!("default $request_id; \"{}\" \"user:${into}\";", capture(name, &into))
                }
                Key::Header(_) => format!("default \"user:{from}\"; \"\" $request_id;"),
            };
            push(&mut text, format_args!("map {from} {user} {{ {known} }}"));
            user
        }
    };
    // The candidate has the hashes from 0 up, the baseline those from the top down: a user whose hash is with
    // the candidate stays there as its weight grows. The name of the route takes part, so that it is not
    // always the same users who try things.
    let sides = [Slot::Candidate, Slot::Stable, Slot::Baseline].into_iter();
    let mut sides = sides.filter(|&slot| traffic.weight(slot) > Weight::NONE).peekable();
    let mut parts = String::new();
    while let Some(slot) = sides.next() {
        let points = traffic.weight(slot).as_basis_points();
        let share = match sides.peek() {
            Some(_) => format!("{}.{:02}%", points / 100, points % 100),
            None => "*".to_owned(),
        };
        let name = upstreams.of(slot)?.expect("capabilities were checked");
        parts += &format!(" {share} \"{name}\";");
    }
    let split = own("split");
    push(&mut text, format_args!("split_clients \"{label}:{user}\" {split} {{{parts} }}"));
    if traffic.exceptions().len() > EXCEPTIONS {
        return Err(Unfit::TooMany);
    }
    // From the last to the first, each falling back to the one after it.
    let mut otherwise = split;
    for (index, Exception { key, value, to }) in traffic.exceptions().iter().enumerate().rev() {
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(Unfit::Value(index));
        }
        let (from, pattern) = (variable(check(key)?), is(key, value));
        let name = upstreams.of(*to)?.ok_or(Unfit::NoBaseline(index))?;
        let choice = own(&format!("e{index}"));
        push(
            &mut text,
            format_args!("map {from} {choice} {{ default {otherwise}; \"{pattern}\" \"{name}\"; }}"),
        );
        otherwise = choice;
    }
    push(&mut text, format_args!("map \"\" $tidegate_{label} {{ default {otherwise}; }}"));
    Ok(text)
}

/// nginx ignores headers of other names.
fn check(key: &Key) -> Result<&Key, Unfit> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let why = match key {
        _ if !key.is_token() => "its name is no token of RFC 9110",
        Key::Header(name) if !name.bytes().all(plain) => {
            "nginx knows headers of letters, digits and `-` only; use such a header, or a cookie"
        }
        _ => return Ok(key),
    };
    Err(Unfit::Key { key: key.clone(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams() -> Upstreams {
        let [stable, candidate] = ["s", "c"].map(str::to_owned);
        Upstreams { stable, baseline: Some("b".to_owned()), candidate }
    }

    fn weight(points: u16) -> Weight {
        Weight::basis_points(points).unwrap()
    }

    #[test]
    fn the_rules_are_these() {
        let header = Key::Header("X-User".to_owned());
        let exception = |key, value: &str, to| Exception { key, value: value.to_owned(), to };
        let traffic = Traffic::split(weight(1_205)).with_baseline(weight(5)).unwrap();
        let traffic = traffic.with_sticky(Some(header.clone())).with_exceptions([
            exception(header, "a$b", Slot::Candidate),
            exception(Key::Cookie("u".to_owned()), "ada", Slot::Stable),
        ]);
        let rules = rules("fraud", &traffic, &upstreams()).unwrap();
        let expected = r#"map $http_x_user $tidegate_fraud__user { default "user:$http_x_user"; "" $request_id; }
split_clients "fraud:$tidegate_fraud__user" $tidegate_fraud__split { 12.05% "c"; 87.90% "s"; * "b"; }
map $http_cookie $tidegate_fraud__e1 { default $tidegate_fraud__split; "~\A(?:(?![ \x09]*u=)[^;]*+;)*+[ \x09]*u=ada[ \x09]*(?:;|\z)" "s"; }
map $http_x_user $tidegate_fraud__e0 { default $tidegate_fraud__e1; "~\Aa\x24b\z" "c"; }
map "" $tidegate_fraud { default $tidegate_fraud__e0; }
"#;
        assert_eq!(rules, expected);
    }

    #[test]
    fn a_file_tells_its_state_and_whether_it_was_changed() {
        let route = "serving/fraud".parse().unwrap();
        let fence = Some(Fence::new(tidegate_registry::Seq::new(7).unwrap()));
        let traffic = Traffic::split(weight(1_205));
        let (state, text) = State::write(&route, &traffic, fence, &upstreams()).unwrap();
        let read = State::read(text.as_bytes(), &route).unwrap();
        assert_eq!(read, state);
        assert!(read.is_whole(text.as_bytes()).is_ok());
        for (from, to) in [(" 12.05% ", " 13.05% "), ("fence\":7", "fence\":8"), ("map", "geo")] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            let read = State::read(changed.as_bytes(), &route).unwrap();
            assert!(matches!(read.is_whole(changed.as_bytes()), Err(Unfit::Changed)), "{from}");
        }
        let another = "serving.fraud".parse().unwrap();
        assert!(matches!(State::read(text.as_bytes(), &another), Err(Unfit::Taken(_))));
    }

    #[test]
    fn what_nginx_cannot_say_is_refused() {
        let header = |name: &str| Key::Header(name.to_owned());
        for (key, value, to) in [
            (header("x_user"), "a", Slot::Candidate),
            (header("x y"), "a", Slot::Candidate),
            (Key::Cookie("a;b".to_owned()), "a", Slot::Candidate),
            (header("x"), "", Slot::Candidate),
            (header("x"), "a\nb", Slot::Candidate),
            (header("x"), "a", Slot::Baseline),
        ] {
            let exception = Exception { key, value: value.to_owned(), to };
            let traffic = Traffic::stable().with_exceptions([exception.clone()]);
            let upstreams = Upstreams { baseline: None, ..upstreams() };
            assert!(rules("fraud", &traffic, &upstreams).is_err(), "{exception:?}");
        }
        for name in ["", "a;b", "a b", "$a", "a\"", "a{"] {
            let upstreams = Upstreams { stable: name.to_owned(), ..upstreams() };
            assert!(matches!(rules("f", &Traffic::stable(), &upstreams), Err(Unfit::Upstream(_))), "{name}");
        }
        for name in ["a//b", "_a", "a/", "ä", "a__b"] {
            assert!(matches!(label(&name.parse().unwrap()), Err(Unfit::Route)), "{name}");
        }
    }
}
