//! Jinja templates, which whoever serves a chat model renders: does one reach for more than its variables?
//!
//! Most servers render them in a sandbox; what is looked for here gets out of one, or would if there is none.
//! The template is parsed, never rendered.

mod calls;
mod folded;
mod names;
mod reading;
mod source;

use std::{io, thread};

use self::reading::{Found, Reading};
use super::{
    Rule, Severity,
    section::Section,
    walk::{Stop, Walk},
};

/// Longest template that is read; the longest known are a tenth of it.
const LONGEST: u64 = 1 << 20;
/// The parser and what walks its tree recurse, as deep as [`source::is_bounded`] lets them.
const STACK: usize = 64 << 20;

/// Whether a text begins as templates do.
pub(super) fn is_start(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    head.starts_with(b"{%") || head.starts_with(b"{{") || head.starts_with(b"{#")
}

/// Whether a file is read as a template because of its name.
pub(super) fn is_named(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    [".jinja", ".jinja2", ".j2"].iter().any(|extension| name.ends_with(extension))
}

/// Scans a template.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    if section.len() > LONGEST {
        walk.report(Rule::JinjaUnread, None, "the template is longer than 1 MiB");
    }
    let mut bytes = vec![0; section.len().min(LONGEST) as usize];
    let read = section.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    text(&String::from_utf8_lossy(&bytes), walk)
}

/// Scans a template that is in memory.
pub(super) fn text(text: &str, walk: &mut Walk<'_>) -> Result<(), Stop> {
    walk.budget.work(text.len() as u64)?;
    let source = source::without_generation(text);
    let read = thread::scope(|scope| {
        let parse = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || Reading::of(&source))?;
        Ok::<_, io::Error>(parse.join())
    })?;
    match read {
        Ok(Ok(found)) => {
            for Found { rule, severity, offset, detail } in found {
                walk.report_as(rule, severity, Some(offset), &detail);
            }
            Ok(())
        }
        Ok(Err(why)) => unread(text, &why, walk),
        Err(_) => unread(text, "the parser gave up", walk),
    }
}

/// What does not parse here may parse elsewhere: names that no template needs count wherever they are.
fn unread(text: &str, why: &str, walk: &mut Walk<'_>) -> Result<(), Stop> {
    walk.report(Rule::JinjaUnread, None, why);
    if let Some((at, name)) = source::dunder(text) {
        walk.report_as(Rule::JinjaEscape, Severity::High, Some(at as u64), name);
    }
    Ok(())
}
