//! Pickles: one after another, with what lies between and inside them.

mod arrays;
mod decode;
mod fast;
mod imports;
mod input;
mod machine;
mod memo;
mod nested;
mod opcodes;
mod slot;
mod stack;

use self::{
    imports::{Class, Import},
    input::Input,
    machine::Outcome,
    nested::{Coding, Decoded},
};
use super::{
    Rule, Severity,
    limits::Limit,
    section::Section,
    walk::{Stop, Walk},
};

/// How deep pickles inside strings are followed.
const DEEPEST: u8 = 4;
/// Hits among bytes that are no pickle after which the search ends: the file is bad enough.
const HITS: usize = 16;
/// The first pickle of a file of `torch.save` before version 1.6: a number, alone.
const TORCH_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The pickles of such a file; tensors follow as raw bytes.
const TORCH_PICKLES: u64 = 5;

/// Whether an import is known to run code or commands.
pub(super) fn is_dangerous(import: &str) -> bool {
    let (module, name) = import.rsplit_once('.').unwrap_or((import, ""));
    let import = Import { module: module.to_owned(), name: name.to_owned(), offset: 0, called: true };
    matches!(import.class(), Class::Dangerous(_))
}

/// Whether bytes without a header are a pickle: whether an unpickler, called again and again, would get to
/// their end, or to a call.
pub(super) fn is_headless(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<bool, Stop> {
    let mut at = 0;
    while at < section.len() {
        let outcome = run(section, walk, at);
        if is_evidence(&outcome) {
            return Ok(true);
        }
        at = match outcome.end {
            Ok(_) if !outcome.imports.is_empty() => return Ok(true),
            Ok(end) => end,
            // Nobody knows what comes behind a limit, so it may not be taken for something harmless.
            Err(stop @ (Stop::Io(_) | Stop::Limit(_))) => return Err(stop),
            Err(Stop::Malformed { .. }) => return Ok(false),
        };
    }
    Ok(at > 0)
}

/// Scans bytes that should be numbers: if they are a pickle nevertheless, only what is beyond doubt counts.
pub(super) fn unlikely(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut head = [0; 2];
    if section.read_at(0, &mut head)? < 2 || !matches!(head, [0x80, 0..=5] | [b'c' | b'i' | b'(', _]) {
        return Ok(());
    }
    let outcome = run(section, walk, 0);
    if is_evidence(&outcome) {
        report(&outcome, walk);
    }
    match outcome.end {
        Err(Stop::Io(error)) => Err(Stop::Io(error)),
        _ => Ok(()),
    }
}

/// Scans all pickles of `section`.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    stream(section, walk, 0)
}

fn stream(section: &mut Section<'_>, walk: &mut Walk<'_>, depth: u8) -> Result<(), Stop> {
    let mut head = [0; TORCH_MAGIC.len()];
    let read = section.read_at(0, &mut head)?;
    let torch = &head[..read] == TORCH_MAGIC;
    let (mut at, mut count) = (0, 0);
    loop {
        let outcome = run(section, walk, at);
        count += 1;
        report(&outcome, walk);
        hidden(section, walk, &outcome, depth)?;
        match outcome.end {
            Ok(end) => at = end,
            // What stopped this unpickler need not stop one that knows where to go on.
            Err(Stop::Malformed { offset, .. }) => {
                search(section, walk, offset.max(at + 1))?;
                return outcome.end.map(|_| ());
            }
            Err(stop) => return Err(stop),
        }
        if at >= section.len() {
            return Ok(());
        }
        if torch && count >= TORCH_PICKLES {
            return search(section, walk, at);
        }
        if !follows(section, walk, at)? {
            walk.report(Rule::PickleTrailing, Some(at), &format!("{} bytes", section.len() - at));
            return search(section, walk, at);
        }
        if count == 1 && !torch {
            walk.report(Rule::PickleSeveral, Some(at), "the second begins here");
        }
    }
}

/// Whether another pickle begins at `at`.
fn follows(section: &mut Section<'_>, walk: &mut Walk<'_>, at: u64) -> Result<bool, Stop> {
    let mut head = [0; 2];
    let read = section.read_at(at, &mut head)?;
    if matches!(head[..read], [0x80, 0..=5]) {
        return Ok(true);
    }
    match run(section, walk, at).end {
        Err(Stop::Io(error)) => Err(Stop::Io(error)),
        end => Ok(end.is_ok()),
    }
}

/// Follows the pickle at `at`.
fn run(section: &mut Section<'_>, walk: &mut Walk<'_>, at: u64) -> Outcome {
    machine::run(&mut Input::new(section, &mut walk.budget, at), 0)
}

/// Looks for pickles from `from` on, anywhere. What is found counts only if it is beyond doubt: an import
/// that is called or known, so that raw numbers are not taken for pickles.
fn search(section: &mut Section<'_>, walk: &mut Walk<'_>, from: u64) -> Result<(), Stop> {
    const CHUNK: usize = 256 << 10;
    // Numbers by chance begin like a pickle once in ten thousand bytes, and end at once: an eighth of the
    // bytes is ten times as much as that takes.
    let trials = walk.budget.limits.operations / 32 + section.len().saturating_sub(from) / 8;
    let most = walk.budget.spent() + trials;
    let mut buffer = vec![0; CHUNK];
    let (mut base, mut next, mut hits) = (from, from, 0);
    loop {
        let read = section.read_at(base, &mut buffer)?;
        walk.budget.work(1 + read as u64 / 64)?;
        let last = base + read as u64 >= section.len();
        // What begins in the overlap is seen whole in the next chunk.
        let end = if last { read } else { read - nested::HEAD };
        for found in memchr::memchr3_iter(0x80, b'c', b'i', &buffer[..end]) {
            let at = base + found as u64;
            let head = &buffer[found..read.min(found + nested::HEAD)];
            if at < next || !begins(head) {
                continue;
            }
            let outcome = run(section, walk, at);
            if let Err(Stop::Io(error)) = outcome.end {
                return Err(Stop::Io(error));
            }
            if walk.budget.spent() > most {
                return Err(Stop::Limit(Limit::Search));
            }
            if is_evidence(&outcome) {
                report(&outcome, walk);
                next = outcome.end.unwrap_or(at + 1);
                hits += 1;
            }
            if hits >= HITS {
                return Ok(());
            }
        }
        if last {
            return Ok(());
        }
        base += end as u64;
    }
}

/// Whether a pickle, or an import of one, begins here.
fn begins(head: &[u8]) -> bool {
    match head {
        [0x80, 0..=5, ..] => true,
        [b'c' | b'i', rest @ ..] => {
            let mut lines = rest.split(|&byte| byte == b'\n');
            let named = |line: Option<&[u8]>| {
                line.is_some_and(|line| {
                    !line.is_empty()
                        && line.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
                })
            };
            named(lines.next()) && named(lines.next()) && lines.next().is_some()
        }
        _ => false,
    }
}

/// Whether an outcome cannot be an accident.
fn is_evidence(outcome: &Outcome) -> bool {
    outcome.imports.iter().any(Import::is_evidence)
}

fn report(outcome: &Outcome, walk: &mut Walk<'_>) {
    for import in &outcome.imports {
        report_import(import, walk);
    }
    for found in &outcome.found {
        walk.report(found.rule, Some(found.offset), &found.detail);
    }
}

fn report_import(import: &Import, walk: &mut Walk<'_>) {
    let name = import.full_name();
    let at = Some(import.offset);
    match import.class() {
        Class::Safe(_) => {}
        Class::Dangerous(why) => walk.report(Rule::PickleDangerousImport, at, &format!("{name}: {why}")),
        Class::Unknown => match walk.scanner.exceptions.get(&name) {
            Some(reason) => walk.report(Rule::PickleExceptedImport, at, &format!("{name}: {reason}")),
            None if import.called => {
                walk.report(Rule::PickleUnknownImport, at, &format!("{name}, which is called"))
            }
            None => walk.report(Rule::PickleUnknownImport, at, &name),
        },
    }
}

/// Scans the strings of a pickle that look like pickles.
fn hidden(section: &mut Section<'_>, walk: &mut Walk<'_>, outcome: &Outcome, depth: u8) -> Result<(), Stop> {
    for hidden in &outcome.hidden {
        if depth >= DEEPEST {
            walk.report(
                Rule::LimitReached,
                Some(hidden.start),
                "strings in strings hold pickles, too deep to follow",
            );
            return Ok(());
        }
        let mut part = section.part(hidden.start, hidden.len);
        let member = format!("string at {}", hidden.start);
        match hidden.coding {
            Coding::Plain => inside(&mut part, walk, &member, depth)?,
            coding => {
                walk.spooled(&member, hidden.len, &mut Decoded::new(part, coding), |section, walk| {
                    inside(section, walk, "decoded", depth)
                })?
            }
        }
    }
    Ok(())
}

/// A string may look like a pickle and be none: it is scanned like one only if an unpickler gets anywhere.
fn inside(section: &mut Section<'_>, walk: &mut Walk<'_>, member: &str, depth: u8) -> Result<(), Stop> {
    let outcome = run(section, walk, 0);
    match &outcome.end {
        Err(Stop::Io(_)) => return outcome.end.map(|_| ()),
        Err(_) if !is_evidence(&outcome) => return Ok(()),
        _ => {}
    }
    walk.report_as(Rule::PickleNested, Severity::Low, None, member);
    walk.inside(member, |walk| stream(section, walk, depth + 1))
}
