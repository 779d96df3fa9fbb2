//! The records of a zip, as they stand
//! (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3).

use crate::scan::{section::Section, walk::Stop};

pub(super) const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
/// Bytes of an end record without its comment, and with the longest.
const END_LEN: u64 = 22;
const END_LONGEST: u64 = END_LEN + 0xffff;

/// The end of the central directory: what a reader looks at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Where the end records begin.
    pub(super) at: u64,
    /// Members of the archive.
    pub(super) members: u64,
    /// Bytes of the central directory.
    pub(super) size: u64,
    /// Where it begins, if nothing stands before the archive.
    pub(super) offset: u64,
    /// Whether the archive ends here.
    pub(super) last: bool,
    /// Whether the 32-bit and the 64-bit records say the same.
    pub(super) agrees: bool,
}

/// A member, as the central directory or its own header has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// Where its header is; of a header, where its content is.
    pub(super) offset: u64,
    /// Bytes of this record.
    pub(super) len: u64,
    /// Unix mode, from the central directory.
    pub(super) mode: u32,
}

/// The last end record, and how many there are in the tail of the archive.
pub(super) fn end(section: &mut Section<'_>) -> Result<Option<(End, usize)>, Stop> {
    let from = section.len().saturating_sub(END_LONGEST);
    let mut tail = vec![0; (section.len() - from) as usize];
    let read = section.read_at(from, &mut tail)?;
    tail.truncate(read);
    let ends: Vec<_> = memchr::memmem::find_iter(&tail, END).collect();
    let Some(&last) = ends.last() else { return Ok(None) };
    let Some(record) = tail.get(last..last + END_LEN as usize) else { return Ok(None) };
    let at = from + last as u64;
    let mut end = End {
        at,
        members: u64::from(u16_at(record, 10)),
        size: u64::from(u32_at(record, 12)),
        offset: u64::from(u32_at(record, 16)),
        last: at + END_LEN + u64::from(u16_at(record, 20)) == section.len(),
        agrees: true,
    };
    end64(section, &mut end)?;
    Ok(Some((end, ends.len())))
}

fn end64(section: &mut Section<'_>, end: &mut End) -> Result<(), Stop> {
    let mut locator = [0; 20];
    let Some(at) = end.at.checked_sub(20) else { return Ok(()) };
    if section.read_at(at, &mut locator)? < 20 || !locator.starts_with(LOCATOR64) {
        return Ok(());
    }
    let record_at = u64_at(&locator, 8);
    let mut record = [0; 56];
    // Where bytes stand before the archive, the record is where it has to be, and not where it says.
    for record_at in [Some(record_at), at.checked_sub(56)].into_iter().flatten() {
        if section.read_at(record_at, &mut record)? == 56 && record.starts_with(END64) {
            let (members, size, offset) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
            let same = |narrow: u64, most: u64, wide: u64| narrow == most || narrow == wide;
            end.agrees = same(end.members, 0xffff, members)
                && same(end.size, 0xffff_ffff, size)
                && same(end.offset, 0xffff_ffff, offset);
            (end.members, end.size, end.offset, end.at) = (members, size, offset, record_at);
            return Ok(());
        }
    }
    end.agrees = false;
    Ok(())
}

/// The entry of the central directory at `at`; `None` if there is none.
pub(super) fn central(section: &mut Section<'_>, at: u64) -> Result<Option<Entry>, Stop> {
    let mut record = [0; 46];
    if section.read_at(at, &mut record)? < 46 || !record.starts_with(CENTRAL) {
        return Ok(None);
    }
    let (name_len, extra_len, comment_len) = (u16_at(&record, 28), u16_at(&record, 30), u16_at(&record, 32));
    let Some([name, extra]) = names(section, at + 46, name_len, extra_len)? else { return Ok(None) };
    let mut entry = Entry {
        name,
        flags: u16_at(&record, 8),
        method: u16_at(&record, 10),
        crc: u32_at(&record, 16),
        packed: u64::from(u32_at(&record, 20)),
        unpacked: u64::from(u32_at(&record, 24)),
        offset: u64::from(u32_at(&record, 42)),
        len: 46 + u64::from(name_len) + u64::from(extra_len) + u64::from(comment_len),
        // The upper half is the mode where the entry was made on Unix.
        mode: if record[5] == 3 { u32_at(&record, 38) >> 16 } else { 0 },
    };
    wide(&mut entry, &extra, true);
    Ok(Some(entry))
}

/// The header of a member at `at`; `None` if there is none.
pub(super) fn local(section: &mut Section<'_>, at: u64) -> Result<Option<Entry>, Stop> {
    let mut record = [0; 30];
    if section.read_at(at, &mut record)? < 30 || !record.starts_with(LOCAL) {
        return Ok(None);
    }
    let (name_len, extra_len) = (u16_at(&record, 26), u16_at(&record, 28));
    let Some([name, extra]) = names(section, at + 30, name_len, extra_len)? else { return Ok(None) };
    let len = 30 + u64::from(name_len) + u64::from(extra_len);
    let mut entry = Entry {
        name,
        flags: u16_at(&record, 6),
        method: u16_at(&record, 8),
        crc: u32_at(&record, 14),
        packed: u64::from(u32_at(&record, 18)),
        unpacked: u64::from(u32_at(&record, 22)),
        offset: at + len,
        len,
        mode: 0,
    };
    wide(&mut entry, &extra, false);
    Ok(Some(entry))
}

/// How many bytes of `gap` may be the data descriptor of a member of this size.
pub(super) fn descriptor(gap: &[u8], packed: u64) -> u64 {
    let at = if gap.starts_with(b"PK\x07\x08") { 4 } else { 0 };
    let narrow = gap.len() >= at + 12 && u64::from(u32_at(gap, at + 4)) == packed;
    let wide = gap.len() >= at + 20 && u64_at(gap, at + 4) == packed;
    match (wide, narrow) {
        (true, _) => at as u64 + 20,
        (_, true) => at as u64 + 12,
        _ => 0,
    }
}

fn names(section: &mut Section<'_>, at: u64, name: u16, extra: u16) -> Result<Option<[Vec<u8>; 2]>, Stop> {
    let mut both = vec![0; usize::from(name) + usize::from(extra)];
    if section.read_at(at, &mut both)? < both.len() {
        return Ok(None);
    }
    let extra = both.split_off(usize::from(name));
    Ok(Some([both, extra]))
}

/// Fills in sizes and offset that are too large for 32 bits.
fn wide(entry: &mut Entry, mut extra: &[u8], central: bool) {
    while let [a, b, c, d, rest @ ..] = extra {
        let len = usize::from(u16::from_le_bytes([*c, *d]));
        let Some(field) = rest.get(..len) else { return };
        if u16::from_le_bytes([*a, *b]) == 1 {
            let mut numbers = field.chunks_exact(8).map(|number| u64_at(number, 0));
            let mut fill = |narrow: &mut u64| {
                if *narrow == 0xffff_ffff {
                    *narrow = numbers.next().unwrap_or(*narrow);
                }
            };
            fill(&mut entry.unpacked);
            fill(&mut entry.packed);
            if central {
                fill(&mut entry.offset);
            }
            return;
        }
        extra = &rest[len..];
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
