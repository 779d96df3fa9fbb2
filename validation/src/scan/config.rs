//! Configurations in JSON that lie beside weights: do they have code loaded, and are their templates harmless?

mod document;

use std::io::{self, BufReader, Read};

use serde::de::{DeserializeSeed as _, IgnoredAny};

use self::document::{Document, Node};
use super::{
    Rule, jinja,
    limits::Budget,
    section::Section,
    walk::{Stop, Walk},
};

/// Longest string that is read.
const LONGEST: u32 = 16 << 20;
/// Most modules of all configurations that are remembered.
const MODULES: usize = 10_000;
/// Bytes of any kind that may look like the beginning of an object by chance.
const CHANCE: usize = 32;

/// Whether a text begins as JSON does: an object, or a list of something.
pub(super) fn is_start(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut tokens = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (tokens.next(), tokens.next()) {
        (Some(b'{'), None | Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b'"' | b']')) => true,
        // TOML begins its lists of tables like this, with a letter behind.
        (Some(b'['), Some(b'[')) => tokens.next().is_none_or(|byte| !byte.is_ascii_alphabetic()),
        _ => false,
    }
}

/// Scans a file of JSON values, one or many.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut mark = [0; 3];
    let read = section.read_at(0, &mut mark)?;
    let start = if mark[..read] == *b"\xef\xbb\xbf" { 3 } else { 0 };
    let mut document = Document::default();
    let mut reader = Bounded::new(section.part(start, u64::MAX), &mut walk.budget);
    let parsed = lines(&mut document, &mut reader);
    let stopped = reader.stopped.take();
    report(document, walk)?;
    match (stopped, parsed) {
        (Some(stop), _) => Err(stop),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => {
            Err(Stop::Malformed { offset: 0, what: "it begins like JSON and is none to its end" })
        }
    }
}

/// What bytes inside something else are, if they may begin an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Embedded {
    /// An object of so many bytes, and whether it describes a model or a layer.
    Object(u64, bool),
    /// An object that breaks off.
    Broken,
    Nothing,
}

/// Scans an object of Keras that may lie in the beginning of a part.
pub(super) fn embedded(part: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<Embedded, Stop> {
    let mut reader = Bounded::new(part.part(0, u64::MAX), &mut walk.budget);
    let (parsed, len) = {
        let values = serde_json::Deserializer::from_reader(BufReader::new(&mut reader));
        let mut values = values.into_iter::<IgnoredAny>();
        (values.next(), values.byte_offset() as u64)
    };
    match (reader.stopped.take(), parsed) {
        (Some(stop @ (Stop::Io(_) | Stop::Limit(_))), _) => return Err(stop),
        (None, Some(Ok(_))) => {}
        // Python's JSON has words that are none, such as NaN. A text is no chance among numbers.
        (_, Some(Err(error))) if error.line() == 1 && error.column() <= CHANCE && !is_text(part)? => {
            return Ok(Embedded::Nothing);
        }
        _ => return Ok(Embedded::Broken),
    }
    let mut document = Document::of_keras();
    let mut reader = Bounded::new(part.part(0, len), &mut walk.budget);
    let parsed = lines(&mut document, &mut reader);
    let stopped = reader.stopped.take();
    let model = document.model;
    report(document, walk)?;
    match (stopped, parsed) {
        (Some(stop), _) => Err(stop),
        (None, Ok(())) => Ok(Embedded::Object(len, model)),
        (None, Err(_)) => Ok(Embedded::Broken),
    }
}

/// Whether the beginning is text, and more of it than comes about by chance.
fn is_text(part: &mut Section<'_>) -> io::Result<bool> {
    let mut head = [0; 32];
    let read = part.read_at(0, &mut head)?;
    let text = match std::str::from_utf8(&head[..read]) {
        Ok(text) => text,
        // The last sign may be cut off.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Ok(false),
    };
    Ok(text.len() >= 24 && !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()))
}

fn lines(document: &mut Document, reader: impl Read) -> serde_json::Result<()> {
    let mut values = serde_json::Deserializer::from_reader(BufReader::new(reader));
    while values.end().is_err() {
        Node::root(document).deserialize(&mut values)?;
    }
    Ok(())
}

fn report(document: Document, walk: &mut Walk<'_>) -> Result<(), Stop> {
    for (rule, severity, detail) in document.found() {
        walk.report_as(rule, severity, None, detail);
    }
    if document.crowded {
        walk.report(Rule::JinjaUnread, None, "there are more templates than any model has");
    }
    for module in document.modules {
        if walk.referred.len() < MODULES {
            walk.referred.insert(module);
        }
    }
    for template in document.templates {
        walk.inside("chat_template", |walk| jinja::text(&template, walk))?;
    }
    Ok(())
}

/// Pays for what is read, and ends where a string is too long to be held.
struct Bounded<'r, 'a> {
    section: Section<'a>,
    budget: &'r mut Budget,
    text: u32,
    inside: bool,
    escaped: bool,
    stopped: Option<Stop>,
}

impl<'r, 'a> Bounded<'r, 'a> {
    const fn new(section: Section<'a>, budget: &'r mut Budget) -> Self {
        Self { section, budget, text: 0, inside: false, escaped: false, stopped: None }
    }

    fn admit(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.budget.work(bytes.len() as u64)?;
        for &byte in bytes {
            match byte {
                b'"' if !self.escaped => (self.inside, self.text) = (!self.inside, 0),
                b'\\' if !self.escaped && self.inside => {
                    self.escaped = true;
                    continue;
                }
                _ => self.text += u32::from(self.inside),
            }
            self.escaped = false;
            if self.text > LONGEST {
                return Err(Stop::Malformed { offset: 0, what: "a string is longer than 16 MiB" });
            }
        }
        Ok(())
    }
}

impl Read for Bounded<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.section.read(buffer) {
            Ok(read) => read,
            Err(error) => {
                self.stopped = Some(Stop::Io(error));
                return Err(io::ErrorKind::Other.into());
            }
        };
        if let Err(stop) = self.admit(&buffer[..read]) {
            self.stopped = Some(stop);
            return Err(io::ErrorKind::Other.into());
        }
        Ok(read)
    }
}
