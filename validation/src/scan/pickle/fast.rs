//! The opcodes that make up nearly all of a large pickle, without looking left or right.
//!
//! What is done here, [`Machine::step`](super::machine::Machine) would do as well; it does everything else,
//! and whatever is out of the ordinary. Nothing here crosses the end of the buffer or of a frame.

use super::{
    input::{NAME, may_be_in_a_name},
    memo::Memo,
    nested, opcodes as op,
    slot::{Known, Slot},
    stack::Stack,
};
use crate::scan::limits::Limit;

/// Bytes that the longest opcode takes here, strings aside.
const ROOM: usize = 16;

/// Follows opcodes of `buffer` from `at` on, and says where it stopped: at one that is not for here.
/// `base` is where the buffer begins.
pub(super) fn run(
    buffer: &[u8],
    mut at: usize,
    base: u64,
    stack: &mut Stack,
    memo: &mut Memo,
) -> Result<usize, Limit> {
    let byte = |at: usize| buffer[at];
    let word = |at: usize| u32::from_le_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]);
    while at + ROOM <= buffer.len() {
        let len = match byte(at) {
            op::NONE
            | op::NEWTRUE
            | op::NEWFALSE
            | op::EMPTY_LIST
            | op::EMPTY_SET
            | op::EMPTY_DICT
            | op::EMPTY_TUPLE => {
                stack.plain()?;
                1
            }
            op::BININT1 => {
                stack.plain()?;
                2
            }
            op::BININT2 => {
                stack.plain()?;
                3
            }
            op::BININT => {
                stack.plain()?;
                5
            }
            op::BINFLOAT => {
                stack.plain()?;
                9
            }
            op::LONG1 if byte(at + 1) <= 8 => {
                stack.plain()?;
                2 + usize::from(byte(at + 1))
            }
            op::SHORT_BINUNICODE => {
                let end = at + 2 + usize::from(byte(at + 1));
                let Some(content) = buffer.get(at + 2..end) else { break };
                if nested::may_begin(content) && content.len() as u64 >= nested::SHORTEST {
                    break;
                }
                string(base + at as u64, content, stack)?;
                end - at
            }
            op::BINUNICODE if u64::from(word(at + 1)) <= NAME => {
                let end = at + 5 + word(at + 1) as usize;
                let Some(content) = buffer.get(at + 5..end) else { break };
                if nested::may_begin(content) && content.len() as u64 >= nested::SHORTEST {
                    break;
                }
                string(base + at as u64, content, stack)?;
                end - at
            }
            op::MEMOIZE => {
                let Some(top) = stack.top() else { break };
                memo.put(memo.len(), top)?;
                1
            }
            op::BINPUT => {
                let Some(top) = stack.top() else { break };
                memo.put(u64::from(byte(at + 1)), top)?;
                2
            }
            op::LONG_BINPUT => {
                let Some(top) = stack.top() else { break };
                memo.put(u64::from(word(at + 1)), top)?;
                5
            }
            op::BINGET => {
                let Some(slot) = memo.get(u64::from(byte(at + 1))) else { break };
                stack.push_or_plain(slot)?;
                2
            }
            op::LONG_BINGET => {
                let Some(slot) = memo.get(u64::from(word(at + 1))) else { break };
                stack.push_or_plain(slot)?;
                5
            }
            op::MARK => {
                stack.mark()?;
                1
            }
            op::TUPLE1 if stack.collapse(1) => 1,
            op::TUPLE2 if stack.collapse(2) => 1,
            op::TUPLE3 if stack.collapse(3) => 1,
            op::TUPLE | op::LIST | op::DICT => {
                if !stack.drop_mark() {
                    break;
                }
                stack.plain()?;
                1
            }
            op::APPENDS | op::SETITEMS => {
                if !stack.below_mark().is_some_and(is_no_import) {
                    break;
                }
                stack.drop_mark();
                1
            }
            op::APPEND if stack.beneath().is_some_and(is_no_import) => {
                stack.pop();
                1
            }
            _ => break,
        };
        at += len;
    }
    Ok(at)
}

#[inline]
fn string(offset: u64, content: &[u8], stack: &mut Stack) -> Result<(), Limit> {
    if !content.is_empty() && content.iter().all(|&byte| may_be_in_a_name(byte)) {
        stack.push(Slot::text(offset))
    } else {
        stack.plain()
    }
}

#[inline]
const fn is_no_import(slot: Slot) -> bool {
    !matches!(slot.known(), Known::Import(_))
}
