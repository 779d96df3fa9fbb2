//! Pages, looked at before they are decoded.
//!
//! The decoder makes room for as many values of a dictionary, and for as many lengths of texts, as a page says it has.

use ::parquet::{
    basic::{Encoding, Type},
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::metadata::ColumnChunkMetaData,
    schema::types::ColumnDescPtr,
};

use super::Refused;

/// Values of the largest dictionary: 32 bytes each, and a dictionary that is worth it has thousands.
const MOST_ENTRIES: u32 = 1 << 22;
/// Lengths of texts in a page, 4 bytes each.
const MOST_LENGTHS: u64 = 1 << 24;

/// The pages of a column of a group; one that asks for more than it holds is an error.
pub(super) struct Checked {
    pages: Box<dyn PageReader>,
    column: ColumnDescPtr,
    /// Values that pages may still have.
    left: u64,
    /// Whether it was said that texts may begin as the ones before them.
    shares_beginnings: bool,
}

impl Checked {
    /// Of a group of so many rows.
    pub(super) fn new(pages: Box<dyn PageReader>, chunk: &ColumnChunkMetaData, rows: u64) -> Self {
        let (column, shares_beginnings) = (chunk.column_descr_ptr(), shares_beginnings(chunk));
        Self { pages, column, left: rows, shares_beginnings }
    }

    fn checked(&mut self, page: Page) -> Result<Page> {
        match &page {
            Page::DictionaryPage { buf, num_values, .. } => self.dictionary(buf.len(), *num_values)?,
            Page::DataPage { num_values, .. } | Page::DataPageV2 { num_values, .. } => {
                let left = self.left.checked_sub(u64::from(*num_values));
                self.left = left.ok_or_else(|| {
                    let why = "its pages say they have more values than there are rows; write the file again";
                    Refused(why.to_owned())
                })?;
                self.lengths(&page, u64::from(*num_values))?;
            }
        }
        Ok(page)
    }

    fn dictionary(&self, bytes: usize, values: u32) -> Result<()> {
        let each = match self.column.physical_type() {
            Type::BOOLEAN => 0,
            // A length, even of nothing.
            Type::BYTE_ARRAY | Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(self.column.type_length()).unwrap_or(0),
        };
        let room = u64::from(values).checked_mul(each);
        if each == 0 || room.is_none_or(|room| room > bytes as u64) {
            let why = format!("a dictionary says it has {values} values, and its {bytes} bytes hold fewer");
            return Err(Refused(format!("{why}; write the file again")).into());
        }
        if values > MOST_ENTRIES {
            let why = format!("a dictionary has {values} values, and at most {MOST_ENTRIES} are read");
            return Err(Refused(format!("{why}; write the column without a dictionary")).into());
        }
        Ok(())
    }

    /// Of texts whose lengths stand before them, how many lengths there are said to be.
    fn lengths(&self, page: &Page, values: u64) -> Result<()> {
        let sections = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            // Those of what is shared, and those of the rest.
            Encoding::DELTA_BYTE_ARRAY if self.shares_beginnings => 2,
            Encoding::DELTA_BYTE_ARRAY => {
                let why = "a page is encoded as its column is not said to be (DELTA_BYTE_ARRAY)";
                return Err(Refused(format!("{why}; write the file again")).into());
            }
            _ => return Ok(()),
        };
        let malformed = || Refused("the lengths of its texts are none; write the file again".to_owned());
        let mut bytes = self.without_levels(page).ok_or_else(malformed)?;
        for _ in 0..sections {
            let (count, length) = deltas(bytes).ok_or_else(malformed)?;
            if count > values.min(MOST_LENGTHS) {
                let why = format!("a page of {values} values says it has {count} texts");
                return Err(Refused(format!("{why}; write the file again, with smaller pages")).into());
            }
            bytes = bytes.get(length..).ok_or_else(malformed)?;
        }
        Ok(())
    }

    /// The bytes of the values of a page.
    fn without_levels<'p>(&self, page: &'p Page) -> Option<&'p [u8]> {
        match page {
            Page::DictionaryPage { .. } => None,
            Page::DataPage { buf, .. } if self.column.max_def_level() == 0 => Some(buf),
            Page::DataPage { buf, def_level_encoding: Encoding::RLE, .. } => {
                let length = u32::from_le_bytes(buf.get(..4)?.try_into().ok()?);
                buf.get(4_usize.checked_add(length as usize)?..)
            }
            // Of bits, as nobody writes them any more.
            Page::DataPage { .. } => None,
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                buf.get(def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize..)
            }
        }
    }
}

/// Whether texts of a column may begin as the ones before them, so that a few bytes can make many long ones.
pub(super) fn shares_beginnings(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}

/// How many numbers there are in DELTA_BINARY_PACKED, and how many bytes they take.
fn deltas(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut at = 0;
    let (block, parts, count, _) =
        (varint(bytes, &mut at)?, varint(bytes, &mut at)?, varint(bytes, &mut at)?, varint(bytes, &mut at)?);
    let in_part = block.checked_div(parts)?;
    let parts = usize::try_from(parts).ok()?;
    // The first one stands in the header.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        varint(bytes, &mut at)?;
        let end = at.checked_add(parts)?;
        let widths = bytes.get(at..end)?;
        at = end;
        for width in widths {
            if left > 0 {
                let bits = u64::from(*width).checked_mul(in_part)?;
                at = at.checked_add(usize::try_from(bits / 8).ok()?)?;
            }
            left = left.saturating_sub(in_part);
        }
    }
    Some((count, at))
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages.get_next_page()?.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl From<Refused> for ParquetError {
    fn from(refused: Refused) -> Self {
        Self::External(Box::new(refused))
    }
}
