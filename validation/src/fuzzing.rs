//! What is fuzzed and not public otherwise.

use crate::agent::http::{Event, Parser};

/// The events, as kind and text, of a stream that comes in these chunks, up to one that is too long.
#[must_use]
pub fn events(chunks: &[&[u8]]) -> (Vec<(String, String)>, bool) {
    let (mut parser, mut events) = (Parser::new(1 << 10), Vec::new());
    let told = |event: Event| (event.kind, event.data);
    let fed = chunks.iter().try_for_each(|chunk| parser.feed(chunk, |event| events.push(told(event))));
    (events, fed.is_ok())
}
