//! What every byte of a zip is for.

use super::{
    Rule,
    records::{self, Entry},
};
use crate::scan::{
    compressed,
    section::Section,
    walk::{Stop, Walk},
};

/// Members that hide between the others and are looked at.
const MOST_HIDDEN: usize = 1000;

/// Where the members of an archive lie.
pub(super) struct Layout {
    /// Beginning, end, and what follows the content.
    spans: Vec<(u64, u64, Option<u64>)>,
    from: u64,
    to: u64,
}

impl Layout {
    /// Of an archive that begins at `from` and whose central directory is at `to`.
    pub(super) const fn new(to: u64, from: u64) -> Self {
        Self { spans: Vec::new(), from, to }
    }

    /// A member whose header is at `at` and whose content is at `content`.
    pub(super) fn add(&mut self, at: u64, content: u64, entry: &Entry, described: bool) {
        let end = content.saturating_add(entry.packed);
        self.spans.push((at, end, described.then_some(entry.packed)));
    }

    /// Reports bytes that belong to none or to several, and looks into them.
    pub(super) fn check(mut self, section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
        self.spans.sort_unstable();
        if self.from > 0 {
            hidden(section, walk, 0, self.from)?;
        }
        let mut at = self.from;
        self.spans.push((self.to, self.to, None));
        let mut described = None;
        let mut overlapping = false;
        for (start, end, follows) in self.spans {
            if start < at {
                overlapping = true;
            } else if let Some(packed) = described {
                let mut gap = [0; 24];
                let read = section.part(at, start - at).read_at(0, &mut gap)?;
                at += records::descriptor(&gap[..read], packed).min(start - at);
            }
            if start > at {
                let detail = format!("{} bytes lie between members", start - at);
                walk.report(Rule::HiddenBytes, Some(at), &detail);
                hidden(section, walk, at, start)?;
            }
            described = follows;
            at = at.max(end);
        }
        if overlapping {
            walk.report(Rule::ZipDisagreement, None, "members overlap");
        }
        Ok(())
    }
}

/// Scans what lies between `from` and `to` and is listed nowhere: as a file, and for members in it.
pub(super) fn hidden(section: &mut Section<'_>, walk: &mut Walk<'_>, from: u64, to: u64) -> Result<(), Stop> {
    let mut gap = section.part(from, to - from);
    let mut head = [0; 4];
    if gap.read_at(0, &mut head)? == 4 && head != records::LOCAL {
        walk.nested(&format!("bytes at {from}"), &mut gap)?;
    }
    const CHUNK: usize = 64 << 10;
    let mut buffer = vec![0; CHUNK];
    let (mut base, mut found) = (0, 0);
    while base < gap.len() {
        let read = gap.read_at(base, &mut buffer)?;
        walk.budget.work(1 + read as u64 / 64)?;
        let starts: Vec<_> = memchr::memmem::find_iter(&buffer[..read], records::LOCAL).collect();
        for start in starts {
            if let Some(local) = records::local(&mut gap, base + start as u64)? {
                found += 1;
                if found > MOST_HIDDEN {
                    return Ok(());
                }
                member(&mut gap, walk, &local)?;
            }
        }
        // A signature may lie across two chunks.
        base += if read == CHUNK { read - 3 } else { read } as u64;
    }
    Ok(())
}

fn member(gap: &mut Section<'_>, walk: &mut Walk<'_>, local: &Entry) -> Result<(), Stop> {
    let name = format!("{} (hidden)", String::from_utf8_lossy(&local.name));
    let packed = if local.packed == 0 { u64::MAX } else { local.packed };
    let mut part = gap.part(local.offset, packed);
    if local.method == 0 {
        return walk.nested(&name, &mut part);
    }
    let packed = part.len();
    match compressed::zip_method(local.method, &mut part, local.unpacked) {
        Some(mut unpacked) => walk.unpack(&name, packed, &mut unpacked),
        None => Ok(()),
    }
}
