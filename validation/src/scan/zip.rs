//! Zip archives, read by the central directory and by the headers of the members at once.
//!
//! Readers differ in what they believe: PyTorch ignores flags of encryption and checksums, some trust only
//! the directory, some only the headers. A member is therefore read whatever its flags say, and whatever
//! its name is; where the records disagree, that is a finding.

mod layout;
mod records;

use std::collections::HashSet;

use self::{
    layout::Layout,
    records::{End, Entry},
};
use super::{
    Rule, Severity, compressed, names, pickle,
    section::Section,
    torch,
    walk::{Stop, Walk},
};

/// Flags that say a member is encrypted: plainly, strongly, or with its header.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Sizes and checksum follow the content.
const DESCRIBED: u16 = 1 << 3;
/// Findings of one kind that are reported of one archive; more add nothing.
const REPORTED: usize = 100;

/// Whether there is a zip at the end of `section`, whatever it begins with.
pub(super) fn is_at_end(section: &mut Section<'_>) -> Result<bool, Stop> {
    Ok(match records::end(section)? {
        Some((end, _)) => end.members > 0 && directory(section, &end)?.is_some(),
        None => false,
    })
}

/// Scans an archive.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let Some((end, ends)) = records::end(section)? else {
        layout::hidden(section, walk, 0, section.len())?;
        return Err(Stop::Malformed { offset: section.len(), what: "the archive has no central directory" });
    };
    if ends > 1 || !end.agrees {
        walk.report(
            Rule::ZipDisagreement,
            Some(end.at),
            "there is more than one end of the central directory",
        );
    }
    if !end.last {
        walk.report(Rule::HiddenBytes, Some(end.at), "bytes follow the end of the archive");
    }
    let Some((start, shift)) = directory(section, &end)? else {
        layout::hidden(section, walk, 0, section.len())?;
        return Err(Stop::Malformed {
            offset: end.at,
            what: "the central directory is not where it should be",
        });
    };
    if shift > 0 {
        walk.report(Rule::HiddenBytes, Some(0), &format!("{shift} bytes stand before the archive"));
    }
    let entries = entries(section, walk, &end, start)?;
    check_names(&entries, walk);
    let storages = torch::storages(entries.iter().map(|entry| entry.name.as_slice()));
    let mut layout = Layout::new(start, shift);
    for entry in &entries {
        walk.budget.work(1)?;
        member(section, walk, entry, shift, &mut layout, storages.as_deref())?;
    }
    layout.check(section, walk)
}

/// Where the central directory begins, and by how much everything is shifted.
fn directory(section: &mut Section<'_>, end: &End) -> Result<Option<(u64, u64)>, Stop> {
    if end.members == 0 && end.size == 0 {
        return Ok(Some((end.at, 0)));
    }
    // Where a directory should end is more to be trusted than where it says that it begins.
    let shifted =
        end.at.checked_sub(end.size).and_then(|start| Some((start, start.checked_sub(end.offset)?)));
    for (start, shift) in [shifted, Some((end.offset, 0))].into_iter().flatten() {
        if records::central(section, start)?.is_some() {
            return Ok(Some((start, shift)));
        }
    }
    Ok(None)
}

fn entries(
    section: &mut Section<'_>,
    walk: &mut Walk<'_>,
    end: &End,
    start: u64,
) -> Result<Vec<Entry>, Stop> {
    let most = walk.budget.limits.members as usize;
    let (mut at, mut entries) = (start, Vec::new());
    while at < end.at {
        let Some(entry) = records::central(section, at)? else { break };
        if entries.len() >= most {
            return Err(Stop::Limit(super::limits::Limit::Members));
        }
        walk.budget.work(1)?;
        at += entry.len;
        entries.push(entry);
    }
    if at != end.at || entries.len() as u64 != end.members || at - start != end.size {
        let detail = format!("the directory has {} members and says {}", entries.len(), end.members);
        walk.report(Rule::ZipDisagreement, Some(end.at), &detail);
    }
    Ok(entries)
}

fn check_names(entries: &[Entry], walk: &mut Walk<'_>) {
    let mut seen = HashSet::new();
    let mut reported = 0;
    for entry in entries {
        if reported >= REPORTED {
            return;
        }
        let name = String::from_utf8_lossy(&entry.name);
        if !seen.insert(&entry.name) {
            walk.report(Rule::ZipDuplicate, None, &name);
            reported += 1;
        }
        if names::escapes(&name) {
            walk.report(Rule::PathTraversal, None, &name);
            reported += 1;
        }
        if entry.name.contains(&0) {
            walk.report(Rule::ZipDisagreement, None, &format!("a name that some cut at its NUL: {name}"));
            reported += 1;
        }
    }
}

/// Compares the two records of a member, and scans its content.
fn member(
    section: &mut Section<'_>,
    walk: &mut Walk<'_>,
    entry: &Entry,
    shift: u64,
    layout: &mut Layout,
    storages: Option<&str>,
) -> Result<(), Stop> {
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    let at = entry.offset.saturating_add(shift);
    let Some(local) = records::local(section, at)? else {
        walk.report(Rule::ZipDisagreement, Some(at), &format!("{name}: there is no header"));
        return Ok(());
    };
    for field in disagreements(entry, &local) {
        walk.report(
            Rule::ZipDisagreement,
            Some(at),
            &format!("{name}: header and directory differ in {field}"),
        );
    }
    if (entry.flags | local.flags) & ENCRYPTED != 0 {
        walk.report(
            Rule::Encrypted,
            Some(at),
            &format!("{name}: its flags say so; it was read as if they did not"),
        );
    }
    if local.offset.saturating_add(entry.packed) > section.len() {
        walk.report(Rule::Malformed, Some(at), &format!("{name}: it reaches over the end of the archive"));
    }
    layout.add(at, local.offset, entry, local.flags & DESCRIBED != 0);
    if entry.name.ends_with(b"/") && entry.packed == 0 {
        return Ok(());
    }
    let mut part = section.part(local.offset, entry.packed);
    if entry.mode & 0o170_000 == 0o120_000 {
        return link(&mut part, walk, &name);
    }
    if entry.method == 0 && torch::is_storage(&name, storages) {
        return walk.inside(&name, |walk| pickle::unlikely(&mut part, walk));
    }
    if torch::is_code(&name, storages) {
        return content(&mut part, walk, &name, entry, &local, Some(torch::code));
    }
    content(&mut part, walk, &name, entry, &local, None)
}

type Reader = fn(&mut Section<'_>, &mut Walk<'_>) -> Result<(), Stop>;

/// Scans the content of a member, by every method that one of its records says.
fn content(
    part: &mut Section<'_>,
    walk: &mut Walk<'_>,
    name: &str,
    entry: &Entry,
    local: &Entry,
    reader: Option<Reader>,
) -> Result<(), Stop> {
    let packed = part.len();
    let mut methods = vec![entry.method];
    if local.method != entry.method {
        methods.push(local.method);
    }
    for method in methods {
        if method == 0 {
            match reader {
                Some(reader) => walk.inside(name, |walk| reader(part, walk))?,
                None => walk.nested(name, part)?,
            }
            continue;
        }
        let mut part = part.part(0, packed);
        let Some(mut unpacked) = compressed::zip_method(method, &mut part, entry.unpacked) else {
            walk.report(Rule::UnknownCompression, None, &format!("{name}: method {method}"));
            // Readers that know it not may take it for stored, or for deflated.
            walk.nested(name, &mut part)?;
            continue;
        };
        match reader {
            Some(reader) => walk.spooled(name, packed, &mut unpacked, reader)?,
            None => walk.unpack(name, packed, &mut unpacked)?,
        }
    }
    Ok(())
}

fn link(part: &mut Section<'_>, walk: &mut Walk<'_>, name: &str) -> Result<(), Stop> {
    let mut target = vec![0; 4096];
    let read = part.read_at(0, &mut target)?;
    let target = String::from_utf8_lossy(&target[..read]);
    let severity = if names::escapes(&target) { Severity::High } else { Severity::Medium };
    walk.report_as(Rule::LinkEscapes, severity, None, &format!("{name} leads to {target}"));
    Ok(())
}

/// In what the two records of a member differ.
fn disagreements<'e>(entry: &'e Entry, local: &'e Entry) -> impl Iterator<Item = &'static str> + 'e {
    // Where sizes follow the content, the header has none; some write them nevertheless.
    let described = local.flags & DESCRIBED != 0;
    let differs = move |of: u64, in_header: u64| of != in_header && !(described && in_header == 0);
    let fields = [
        ("its name", entry.name != local.name),
        ("its flags", entry.flags != local.flags),
        ("its method", entry.method != local.method),
        ("its checksum", differs(u64::from(entry.crc), u64::from(local.crc))),
        ("its packed size", differs(entry.packed, local.packed)),
        ("its size", differs(entry.unpacked, local.unpacked)),
    ];
    fields.into_iter().filter(|(_, differ)| *differ).map(|(field, _)| field)
}
