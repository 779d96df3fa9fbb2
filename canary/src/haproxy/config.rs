//! The lines of a configuration that act on the map of a route.

use std::fmt::Write;

use tidegate_registry::{Digest, Invalid};

use super::entries::{MOST_EXCEPTIONS, name};
use crate::{Key, RouteId};

/// The lines that read `map` and choose a slot for each request. They are valid in any HAProxy from 2.4 on.
pub(super) fn lines(route: &RouteId, map: &str, keys: &[Key]) -> String {
    let scope = scope(route);
    let mut text = String::new();
    let mut set = |variable: &str, value: &str, condition: &str| {
        let condition = if condition.is_empty() { String::new() } else { format!(" if {{ {condition} }}") };
        writeln!(text, "    http-request set-var({scope}.{variable}) {value}{condition}")
            .expect("a string takes everything");
    };
    let field = |variable: &str, n: u8| format!("var({scope}.{variable}),field({n},:)");
    let less = |a: &str, b: &str| format!("{a},sub({scope}.{b}) lt 0");

    set("split", &format!("str(split),map({map},0:0:)"), "");
    set("candidate", &field("split", 1), "");
    set("baseline", &field("split", 2), "");
    set("point", "rand(10000)", "");
    if !keys.is_empty() {
        set("sticky", &field("split", 3), "");
    }
    for key in keys {
        let place = format!("{},xxh32({}),mod(10000)", fetch(key), seed(route));
        set("point", &place, &format!("var({scope}.sticky) -m str {}", name(key)));
    }
    // The candidate has the points from 0 up, the baseline those from the top down: a user whose point is with
    // the candidate stays there as its weight grows.
    set("top", &format!("int(9999),sub({scope}.point)"), "");
    set("slot", "str(stable)", "");
    set("slot", "str(candidate)", &less(&format!("var({scope}.point)"), "candidate"));
    set("slot", "str(baseline)", &less(&format!("var({scope}.top)"), "baseline"));
    if keys.is_empty() {
        return text;
    }
    set("rank", &format!("int({MOST_EXCEPTIONS})"), "");
    for key in keys {
        // What an earlier key found and this one does not is compared again, which changes nothing.
        set("found", &format!("{},url_enc,concat(@{}),map({map})", fetch(key), name(key)), "");
        set("exception", &format!("var({scope}.found)"), &less(&field("found", 1), "rank"));
        set("rank", &field("exception", 1), "");
    }
    set("slot", &field("exception", 2), "");
    text
}

/// What a variable of this route begins with. Only letters, digits, `.` and `_` may be in it.
pub(super) fn scope(route: &RouteId) -> String {
    let mut scope = "txn.".to_owned();
    for byte in route.as_str().bytes() {
        match byte {
            b'/' => scope.push('.'),
            byte if byte.is_ascii_alphanumeric() => scope.push(char::from(byte)),
            byte => scope.push_str(&format!("_{byte:02x}")),
        }
    }
    scope
}

/// Refuses what a configuration would read otherwise.
pub(super) fn check(key: &Key) -> Result<(), Invalid> {
    let (Key::Cookie(name) | Key::Header(name)) = key;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 100 || !name.bytes().all(plain) {
        return Err(Invalid::new("key", name, "use 1 to 100 letters, digits, `-`, `_` or `.`"));
    }
    Ok(())
}

fn fetch(key: &Key) -> String {
    match key {
        Key::Cookie(name) => format!("req.cook({name})"),
        Key::Header(name) => format!("req.fhdr({name},1)"),
    }
}

/// The route takes part in a user's point, so that it is not always the same users who try things.
fn seed(route: &RouteId) -> u32 {
    let digest = Digest::of(route.as_str());
    let (head, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    // HAProxy reads the seed as a signed number.
    u32::from_be_bytes(*head) >> 1
}
