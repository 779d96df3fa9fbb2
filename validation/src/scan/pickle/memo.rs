//! The memo of an unpickler, of which only what matters is kept.

use std::collections::HashMap;

use super::slot::{Known, Slot};
use crate::scan::limits::Limit;

const PAGE: usize = 256;
/// How much farther indexes may reach than there may be entries with texts.
const INDEXES_PER_ENTRY: u64 = 4;

/// Which indexes are taken, and by what if that may be a name or an import. An index takes a bit; one
/// with a text takes four bytes, its distance from where the page begins.
#[derive(Clone, Debug)]
pub(super) struct Memo {
    taken: Vec<u64>,
    len: u64,
    pages: Vec<Option<Box<Page>>>,
    /// What has no place on a page.
    others: HashMap<u32, Slot>,
    most: u64,
    allocated: u64,
}

#[derive(Clone, Debug)]
struct Page {
    base: u64,
    /// Distances from `base`, plus one; 0 for none.
    texts: [u32; PAGE],
}

impl Memo {
    pub(super) fn new(most: u32) -> Self {
        Self {
            taken: Vec::new(),
            len: 0,
            pages: Vec::new(),
            others: HashMap::new(),
            most: u64::from(most),
            allocated: 0,
        }
    }

    /// How many indexes are taken: where `MEMOIZE` puts the next.
    #[inline]
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Roughly how many entries have room.
    pub(super) fn size(&self) -> u64 {
        self.allocated + (self.taken.len() + self.others.len()) as u64
    }

    #[inline]
    pub(super) fn put(&mut self, index: u64, slot: Slot) -> Result<(), Limit> {
        if index >= self.most * INDEXES_PER_ENTRY {
            return Err(Limit::Memo);
        }
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if word >= self.taken.len() {
            self.taken.resize(word + 1, 0);
        }
        if self.taken[word] & bit == 0 {
            self.taken[word] |= bit;
            self.len += 1;
        } else {
            self.forget(index);
        }
        match slot.known() {
            Known::Plain | Known::Int(_) => Ok(()),
            Known::Text(offset) => self.put_text(index, offset),
            Known::Import(_) | Known::Value(_) => self.put_other(index, slot),
        }
    }

    /// What is at `index`; `None` if nothing is.
    #[inline]
    pub(super) fn get(&self, index: u64) -> Option<Slot> {
        let word = self.taken.get(usize::try_from(index / 64).ok()?)?;
        if word & 1 << (index % 64) == 0 {
            return None;
        }
        let on_page = self.pages.get(index as usize / PAGE).and_then(Option::as_ref).and_then(|page| {
            let distance = page.texts[index as usize % PAGE].checked_sub(1)?;
            Some(Slot::text(page.base + u64::from(distance)))
        });
        Some(on_page.or_else(|| self.others.get(&(index as u32)).copied()).unwrap_or(Slot::PLAIN))
    }

    #[inline]
    fn put_text(&mut self, index: u64, offset: u64) -> Result<(), Limit> {
        let number = index as usize / PAGE;
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || None);
        }
        let page = match &mut self.pages[number] {
            Some(page) => page,
            empty => {
                self.allocated += PAGE as u64;
                if self.allocated > self.most {
                    return Err(Limit::Memo);
                }
                empty.insert(Box::new(Page { base: offset, texts: [0; PAGE] }))
            }
        };
        let distance = offset.checked_sub(page.base).and_then(|distance| u32::try_from(distance + 1).ok());
        match distance {
            Some(distance) => page.texts[index as usize % PAGE] = distance,
            None => return self.put_other(index, Slot::text(offset)),
        }
        Ok(())
    }

    fn put_other(&mut self, index: u64, slot: Slot) -> Result<(), Limit> {
        // A map takes some sixteen times what a page takes for an entry.
        if self.others.len() as u64 >= self.most / 16 {
            return Err(Limit::Memo);
        }
        self.others.insert(index as u32, slot);
        Ok(())
    }

    fn forget(&mut self, index: u64) {
        if let Some(Some(page)) = self.pages.get_mut(index as usize / PAGE) {
            page.texts[index as usize % PAGE] = 0;
        }
        if !self.others.is_empty() {
            self.others.remove(&(index as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memo_is_as_long_as_it_has_entries_and_not_as_its_highest_index() -> Result<(), Limit> {
        let mut memo = Memo::new(4096);
        memo.put(70, Slot::text(9))?;
        memo.put(70, Slot::PLAIN)?;
        assert_eq!((memo.len(), memo.get(70), memo.get(1)), (1, Some(Slot::PLAIN), None));
        memo.put(1, Slot::text(5))?;
        memo.put(2, Slot::text(1 << 40))?;
        memo.put(3, Slot::import(3))?;
        assert_eq!(memo.get(1), Some(Slot::text(5)));
        assert_eq!(memo.get(2), Some(Slot::text(1 << 40)));
        assert_eq!(memo.get(3), Some(Slot::import(3)));
        assert_eq!(memo.len(), 4);
        assert_eq!(memo.put(1 << 40, Slot::PLAIN), Err(Limit::Memo));
        Ok(())
    }
}
