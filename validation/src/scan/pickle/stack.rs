//! The stack of an unpickler, of which only what matters is kept.

use super::slot::Slot;
use crate::scan::limits::Limit;

/// Slots with marks between them. A run of plain values takes one slot, however long it is.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    slots: Vec<Slot>,
    /// The number of slots below each mark.
    marks: Vec<u32>,
    fence: usize,
    most: usize,
}

impl Stack {
    pub(super) const fn new(most: u32) -> Self {
        Self { slots: Vec::new(), marks: Vec::new(), fence: 0, most: most as usize }
    }

    #[inline]
    pub(super) fn push(&mut self, slot: Slot) -> Result<(), Limit> {
        if self.slots.len() >= self.most {
            return Err(Limit::Stack);
        }
        self.slots.push(slot);
        Ok(())
    }

    /// Pushes a value of which nothing needs to be known.
    #[inline]
    pub(super) fn plain(&mut self) -> Result<(), Limit> {
        if self.slots.len() > self.fence
            && let Some(longer) = self.slots.last().and_then(|last| last.longer())
        {
            let last = self.slots.len() - 1;
            self.slots[last] = longer;
            return Ok(());
        }
        self.push(Slot::PLAIN)
    }

    /// Pushes what may or may not be worth knowing.
    #[inline]
    pub(super) fn push_or_plain(&mut self, slot: Slot) -> Result<(), Limit> {
        if slot.is_plain() { self.plain() } else { self.push(slot) }
    }

    /// Takes the topmost value; `None` if there is none above the last mark.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Slot> {
        if self.slots.len() <= self.fence {
            return None;
        }
        let last = self.slots.len() - 1;
        match self.slots[last].shorter() {
            Some(shorter) => {
                self.slots[last] = shorter;
                Some(Slot::PLAIN)
            }
            None => self.slots.pop(),
        }
    }

    /// The topmost value; `None` if there is none above the last mark.
    #[inline]
    pub(super) fn top(&self) -> Option<Slot> {
        self.slots[self.fence..].last().map(|slot| slot.single())
    }

    /// Makes one plain value of the topmost `len`; `false`, and nothing done, if there are fewer above the
    /// last mark or if they are not to be had at once.
    #[inline]
    pub(super) fn collapse(&mut self, len: u64) -> bool {
        if self.slots.len() <= self.fence {
            return false;
        }
        let last = self.slots.len() - 1;
        if let Some(fewer) = self.slots[last].without(len - 1) {
            self.slots[last] = fewer;
            return true;
        }
        // Values that take a slot each: they become one more of those below, or a slot of their own.
        let Some(from) = self.slots.len().checked_sub(len as usize).filter(|from| *from >= self.fence) else {
            return false;
        };
        if self.slots[from..].iter().any(|slot| slot.count() > 1) {
            return false;
        }
        self.slots.truncate(from);
        self.plain().is_ok()
    }

    /// The value below the last mark, if there is one above the mark before.
    #[inline]
    pub(super) fn below_mark(&self) -> Option<Slot> {
        let before = match self.marks.as_slice() {
            [] => return None,
            [_] => 0,
            [.., before, _] => *before as usize,
        };
        self.slots[before..self.fence].last().copied()
    }

    /// The value below the topmost, if there are two above the last mark.
    #[inline]
    pub(super) fn beneath(&self) -> Option<Slot> {
        match &self.slots[self.fence..] {
            [.., last] if last.count() > 1 => Some(*last),
            [.., beneath, _] => Some(*beneath),
            _ => None,
        }
    }

    /// Whether it is deeper than any program goes that has something to say with whole numbers.
    #[inline]
    pub(super) const fn is_deep(&self) -> bool {
        self.slots.len() > 1 << 16
    }

    pub(super) fn mark(&mut self) -> Result<(), Limit> {
        if self.marks.len() >= self.most {
            return Err(Limit::Stack);
        }
        self.fence = self.slots.len();
        self.marks.push(self.fence as u32);
        Ok(())
    }

    /// Takes the last mark and everything above it, of which `each` is told in order; `false` if there
    /// is no mark.
    #[inline]
    pub(super) fn pop_mark(&mut self, mut each: impl FnMut(Slot)) -> bool {
        if self.marks.pop().is_none() {
            return false;
        }
        for slot in &self.slots[self.fence..] {
            for _ in 0..slot.count() {
                each(slot.single());
            }
        }
        self.slots.truncate(self.fence);
        self.fence = self.marks.last().map_or(0, |&fence| fence as usize);
        true
    }

    /// Takes the last mark and everything above it; `false` if there is no mark.
    #[inline]
    pub(super) fn drop_mark(&mut self) -> bool {
        if self.marks.pop().is_none() {
            return false;
        }
        self.slots.truncate(self.fence);
        self.fence = self.marks.last().map_or(0, |&fence| fence as usize);
        true
    }

    /// Takes the topmost value, or the last mark if it is on top; `false` if there is neither.
    pub(super) fn pop_any(&mut self) -> bool {
        if self.slots.len() > self.fence { self.pop().is_some() } else { self.drop_mark() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_what_is_above_apart_from_what_is_below() -> Result<(), Limit> {
        let mut stack = Stack::new(100);
        stack.plain()?;
        stack.mark()?;
        assert_eq!((stack.top(), stack.pop()), (None, None));
        assert_eq!(stack.below_mark(), Some(Slot::PLAIN));
        assert!(!stack.collapse(1));
        stack.push(Slot::int(1))?;
        stack.plain()?;
        stack.plain()?;
        assert_eq!(stack.beneath(), Slot::PLAIN.longer());
        assert!(stack.collapse(2));
        assert!(stack.collapse(2));
        assert_eq!((stack.top(), stack.beneath()), (Some(Slot::PLAIN), None));
        let mut seen = Vec::new();
        assert!(stack.pop_mark(|slot| seen.push(slot)));
        assert_eq!(seen, [Slot::PLAIN]);
        assert!(stack.pop_any() && !stack.pop_any());
        Ok(())
    }
}
