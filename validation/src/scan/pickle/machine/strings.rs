//! Strings and bytes, and pickles in them.

use super::{HIDDEN, Machine};
use crate::scan::{
    Rule,
    pickle::{
        input::{NAME, may_be_in_a_name},
        nested::{self, Hidden},
        slot::Slot,
    },
    walk::Stop,
};

impl Machine<'_, '_, '_> {
    /// A string of `len` bytes, pushed by the opcode at `at`.
    #[inline]
    pub(super) fn string(&mut self, at: u64, len: u64) -> Result<(), Stop> {
        if len <= NAME {
            let content = self.input.peek(len as usize)?;
            let named = !content.is_empty() && content.iter().all(|&byte| may_be_in_a_name(byte));
            let suspect = nested::may_begin(content);
            if named {
                self.stack.push(Slot::text(at))?;
            } else {
                self.stack.plain()?;
            }
            if suspect {
                self.hide(self.input.offset(), len)?;
            }
        } else {
            self.stack.plain()?;
            self.hide(self.input.offset(), len)?;
        }
        self.input.skip(len)
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: u64) -> Result<(), Stop> {
        self.stack.plain()?;
        self.hide(self.input.offset(), len)?;
        self.input.skip(len)
    }

    /// Notes content that looks as if it were a pickle itself. What lies before the next byte has been
    /// read already, or will be.
    pub(super) fn hide(&mut self, start: u64, len: u64) -> Result<(), Stop> {
        if len < nested::SHORTEST {
            return Ok(());
        }
        let wanted = len.min(nested::HEAD as u64) as usize;
        let head = if start == self.input.offset() {
            self.input.peek(wanted)?.to_vec()
        } else {
            self.input.look_up(start, wanted)?
        };
        if let Some(coding) = nested::looks_like(&head) {
            if self.hidden.len() < HIDDEN {
                self.hidden.push(Hidden { start, len, coding });
            } else {
                let detail = format!("more than {HIDDEN} strings look like pickles; the rest was not read");
                self.find(Rule::LimitReached, start, detail);
            }
        }
        Ok(())
    }
}
