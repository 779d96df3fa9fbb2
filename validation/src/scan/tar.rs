//! Tar archives (<https://www.gnu.org/software/tar/manual/html_node/Standard.html>), with the extensions of
//! GNU and pax.

use super::{
    Rule, Severity, names,
    section::Section,
    walk::{Stop, Walk},
};

const BLOCK: u64 = 512;
/// Longest name, link or table of attributes that is read.
const LONGEST: u64 = 1 << 20;

/// What the headers before a member say about it.
#[derive(Debug, Default)]
struct Said {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

/// Whether a block is the header of a member: whether its checksum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<512>() else { return false };
    let Some(expected) = octal(&block[148..156]) else { return false };
    // The checksum is of the header with spaces in its own place.
    let rest = block[..148].iter().chain(&block[156..]);
    // Some add signed bytes, and readers take either.
    let (sum, signed) = rest.fold((256, 256), |(sum, signed): (u64, i64), &byte| {
        (sum + u64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    sum == expected || i64::try_from(expected) == Ok(signed)
}

/// Scans an archive.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let (mut at, mut said) = (0, Said::default());
    loop {
        let mut block = [0; BLOCK as usize];
        let read = section.read_at(at, &mut block)?;
        walk.budget.work(1)?;
        if read == 0 || (read as u64) < BLOCK {
            return Err(Stop::Malformed { offset: at, what: "the archive has no end" });
        }
        if block.iter().all(|&byte| byte == 0) {
            return rest(section, walk, at + BLOCK);
        }
        if !is_header(&block) {
            return Err(Stop::Malformed { offset: at, what: "the header of a member makes no sense" });
        }
        let size = said.size.take().or_else(|| number(&block[124..136]));
        let Some(size) = size.filter(|size| *size <= section.len()) else {
            return Err(Stop::Malformed { offset: at, what: "a member is longer than the archive" });
        };
        let mut content = section.part(at + BLOCK, size);
        if content.len() < size {
            return Err(Stop::Malformed { offset: at, what: "the last member is cut short" });
        }
        match block[156] {
            b'L' => said.name = Some(text(&mut content)?),
            b'K' => said.link = Some(text(&mut content)?),
            b'x' | b'X' | b'g' => attributes(&mut content, &mut said)?,
            kind => member(&mut content, walk, &block, kind, at, std::mem::take(&mut said))?,
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
}

fn member(
    content: &mut Section<'_>,
    walk: &mut Walk<'_>,
    block: &[u8; 512],
    kind: u8,
    at: u64,
    said: Said,
) -> Result<(), Stop> {
    let name = said.name.unwrap_or_else(|| {
        let prefix = if &block[257..262] == b"ustar" { field(&block[345..500]) } else { String::new() };
        let name = field(&block[..100]);
        if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
    });
    if names::escapes(&name) {
        walk.report(Rule::PathTraversal, Some(at), &name);
    }
    match kind {
        b'1' | b'2' => {
            let target = said.link.unwrap_or_else(|| field(&block[157..257]));
            let severity = if names::escapes(&target) { Severity::High } else { Severity::Medium };
            walk.report_as(Rule::LinkEscapes, severity, Some(at), &format!("{name} leads to {target}"));
            Ok(())
        }
        b'3' | b'4' | b'6' => {
            walk.report_as(Rule::LinkEscapes, Severity::High, Some(at), &format!("{name} is a device"));
            Ok(())
        }
        b'5' => Ok(()),
        _ => walk.nested(&name, content),
    }
}

/// What follows the end of an archive should be zeros.
fn rest(section: &mut Section<'_>, walk: &mut Walk<'_>, from: u64) -> Result<(), Stop> {
    let (mut at, mut buffer) = (from, vec![0; 64 << 10]);
    loop {
        let read = section.read_at(at, &mut buffer)?;
        walk.budget.work(1 + read as u64 / 64)?;
        if read == 0 {
            return Ok(());
        }
        if let Some(first) = buffer[..read].iter().position(|&byte| byte != 0) {
            let at = at + first as u64;
            walk.report(Rule::HiddenBytes, Some(at), "bytes follow the end of the archive");
            return walk.nested(&format!("bytes at {at}"), &mut section.part(at, u64::MAX));
        }
        at += read as u64;
    }
}

/// A long name of GNU.
fn text(content: &mut Section<'_>) -> Result<String, Stop> {
    let mut bytes = vec![0; content.len().min(LONGEST) as usize];
    content.read_at(0, &mut bytes)?;
    Ok(field(&bytes))
}

/// Attributes of pax: `<length> <key>=<value>\n`.
fn attributes(content: &mut Section<'_>, said: &mut Said) -> Result<(), Stop> {
    let mut bytes = vec![0; content.len().min(LONGEST) as usize];
    content.read_at(0, &mut bytes)?;
    let mut rest = bytes.as_slice();
    while let Some(space) = rest.iter().position(|&byte| byte == b' ') {
        let len = str::from_utf8(&rest[..space]).ok().and_then(|len| len.parse::<usize>().ok());
        let Some(record) = len.and_then(|len| rest.get(space + 1..len)) else { return Ok(()) };
        let record_len = space + 1 + record.len();
        let record = String::from_utf8_lossy(record.strip_suffix(b"\n").unwrap_or(record)).into_owned();
        match record.split_once('=') {
            Some(("path", name)) => said.name = Some(name.to_owned()),
            Some(("linkpath", link)) => said.link = Some(link.to_owned()),
            Some(("size", size)) => said.size = size.parse().ok(),
            _ => {}
        }
        rest = &rest[record_len..];
    }
    Ok(())
}

fn field(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A size: octal, or binary where that is too short.
fn number(bytes: &[u8]) -> Option<u64> {
    match bytes {
        [0x80, rest @ ..] => {
            let (zeros, number) = rest.split_at(rest.len().checked_sub(8)?);
            let number = number.first_chunk::<8>().map(|number| u64::from_be_bytes(*number));
            number.filter(|_| zeros.iter().all(|&byte| byte == 0))
        }
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}
