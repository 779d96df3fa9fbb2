//! Old opcodes, and those that picklers write once.

use super::{Machine, underflow};
use crate::scan::{
    Rule,
    pickle::{decode, input::Line, opcodes as op, slot::Slot},
    walk::Stop,
};

impl Machine<'_, '_, '_> {
    /// Everything else: old opcodes, and those that picklers write once.
    pub(super) fn rare(&mut self, code: u8, at: u64) -> Result<(), Stop> {
        match code {
            op::PROTO => {
                let [protocol] = self.input.array()?;
                if at != self.start {
                    self.find(Rule::PickleProtocol, at, format!("protocol {protocol} is declared late"));
                } else if protocol > op::NEWEST {
                    self.find(Rule::PickleProtocol, at, format!("there is no protocol {protocol}"));
                }
                self.protocol = Some(protocol);
            }
            op::FRAME => {
                let len = u64::from_le_bytes(self.input.array()?);
                let begin = self.input.offset();
                if self.frame.is_some_and(|end| begin < end) {
                    self.find(Rule::PickleFraming, at, "a frame begins inside another".to_owned());
                }
                if len > self.input.left() {
                    self.find(Rule::Malformed, at, "a frame is longer than what is left".to_owned());
                }
                self.frame = begin.checked_add(len);
            }
            op::INT => {
                let line = self.input.line()?;
                let slot = self.line_int(line)?;
                self.stack.push_or_plain(slot)?;
            }
            op::LONG | op::FLOAT => {
                self.line()?;
                self.stack.plain()?;
            }
            op::STRING | op::UNICODE => {
                let line = self.line()?;
                let quote = u64::from(code == op::STRING);
                self.hide(line.start + quote, line.len.saturating_sub(2 * quote))?;
                self.stack.push(Slot::text(at))?;
            }
            op::PUT => {
                let index = self.line_index(at)?;
                self.put(index, at)?;
            }
            op::GET => {
                let index = self.line_index(at)?;
                self.get(index, at)?;
            }
            op::POP => {
                if !self.stack.pop_any() {
                    return Err(underflow(at));
                }
            }
            op::POP_MARK => self.drop_mark(at)?,
            op::DUP => {
                let top = self.top(at)?;
                self.stack.push_or_plain(top)?;
            }
            op::PERSID => {
                self.line()?;
                self.find(Rule::PickleOutOfBand, at, "a persistent id".to_owned());
                self.stack.plain()?;
            }
            op::BINPERSID => {
                self.pop(at)?;
                self.find(Rule::PickleOutOfBand, at, "a persistent id".to_owned());
                self.stack.plain()?;
            }
            op::NEXT_BUFFER => {
                self.find(Rule::PickleOutOfBand, at, "a buffer".to_owned());
                self.stack.plain()?;
            }
            op::READONLY_BUFFER => {
                self.top(at)?;
            }
            op::EXT1 => {
                let [number] = self.input.array()?;
                self.extension(u32::from(number), at)?;
            }
            op::EXT2 => {
                let number = u16::from_le_bytes(self.input.array()?);
                self.extension(u32::from(number), at)?;
            }
            op::EXT4 => {
                let number = u32::from_le_bytes(self.input.array()?);
                self.extension(number, at)?;
            }
            _ => return Err(Stop::Malformed { offset: at, what: "this is no opcode of a pickle" }),
        }
        Ok(())
    }

    pub(super) fn extension(&mut self, number: u32, at: u64) -> Result<(), Stop> {
        self.find(Rule::PickleExtension, at, format!("extension {number}"));
        Ok(self.stack.push(Slot::import(self.imports.unresolved()))?)
    }

    /// A whole line; the pickle is cut short without its end.
    pub(super) fn line(&mut self) -> Result<Line, Stop> {
        let line = self.input.line()?;
        if line.ended { Ok(line) } else { Err(self.input.truncated()) }
    }

    pub(super) fn line_text(&mut self, line: Line) -> Result<Option<String>, Stop> {
        Ok(self.input.line_bytes(line)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    fn line_index(&mut self, at: u64) -> Result<u64, Stop> {
        let line = self.line()?;
        let bytes = self.input.line_bytes(line)?;
        bytes
            .and_then(|bytes| decode::index(&bytes))
            .ok_or(Stop::Malformed { offset: at, what: "this is no index of a memo" })
    }

    fn line_int(&mut self, line: Line) -> Result<Slot, Stop> {
        if !line.ended {
            return Err(self.input.truncated());
        }
        if !self.arrays.active() {
            return Ok(Slot::PLAIN);
        }
        let bytes = self.input.line_bytes(line)?;
        let number =
            bytes.and_then(|bytes| decode::index(&bytes)).and_then(|number| i32::try_from(number).ok());
        Ok(number.map_or(Slot::PLAIN, Slot::int))
    }

    /// A length that is written with a sign.
    pub(super) fn size(&mut self, at: u64) -> Result<u64, Stop> {
        let len = i32::from_le_bytes(self.input.array()?);
        u64::try_from(len).map_err(|_| Stop::Malformed { offset: at, what: "a length is negative" })
    }
}
