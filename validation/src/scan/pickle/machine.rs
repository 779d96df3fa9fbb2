//! An unpickler that makes nothing: it follows stack and memo closely enough to know every import.

mod calls;
mod rare;
mod strings;

use super::{
    arrays::Arrays,
    fast,
    imports::{Import, Imports},
    input::Input,
    memo::Memo,
    nested::Hidden,
    opcodes as op,
    slot::{Known, Slot},
    stack::Stack,
};
use crate::scan::{
    Rule,
    limits::{Limit, Limits},
    walk::Stop,
};

/// Findings of one rule that are kept of one pickle, imports aside.
const KEPT: usize = 16;
/// Strings that may hold a pickle and are looked at, of one pickle.
const HIDDEN: usize = 1024;

/// Items of a dictionary that are looked at; a wrapper has six.
const ITEMS: usize = 64;

/// One pickle under way.
pub(super) struct Machine<'i, 'a, 's> {
    pub(super) input: &'i mut Input<'a, 's>,
    pub(super) stack: Stack,
    memo: Memo,
    pub(super) imports: Imports,
    pub(super) arrays: Arrays,
    start: u64,
    protocol: Option<u8>,
    frame: Option<u64>,
    pub(super) found: Vec<Found>,
    hidden: Vec<Hidden>,
    calls: u64,
    /// Object arrays of joblib around this pickle.
    depth: u8,
    /// Whether a program that knows nothing of arrays stopped at one already.
    pub(super) plain_ends: bool,
}

/// Something found in a pickle.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) offset: u64,
    pub(super) detail: String,
}

/// What a pickle would do.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) found: Vec<Found>,
    pub(super) imports: Vec<Import>,
    pub(super) hidden: Vec<Hidden>,
    /// Calls of an import, and state set on what they made.
    pub(super) calls: u64,
    /// Where it ended, just after its `STOP`, or why it did not get there.
    pub(super) end: Result<u64, Stop>,
}

/// Follows the pickle at the beginning of `input`.
pub(super) fn run(input: &mut Input<'_, '_>, depth: u8) -> Outcome {
    let limits = input.budget.limits;
    let mut machine = Machine::new(input, &limits, depth);
    let end = machine.run();
    Outcome {
        found: machine.found,
        imports: machine.imports.into_list(),
        hidden: machine.hidden,
        calls: machine.calls,
        end,
    }
}

impl<'i, 'a, 's> Machine<'i, 'a, 's> {
    fn new(input: &'i mut Input<'a, 's>, limits: &Limits, depth: u8) -> Self {
        Self {
            start: input.offset(),
            input,
            stack: Stack::new(limits.stack),
            memo: Memo::new(limits.memo),
            imports: Imports::new(limits.imports),
            arrays: Arrays::new(depth == 0),
            protocol: None,
            frame: None,
            found: Vec::new(),
            hidden: Vec::new(),
            calls: 0,
            depth,
            plain_ends: false,
        }
    }

    fn run(&mut self) -> Result<u64, Stop> {
        loop {
            if !self.arrays.active() {
                self.fast()?;
            }
            let at = self.input.offset();
            let Some(code) = self.input.byte()? else { return Err(self.input.truncated()) };
            if code == op::STOP {
                self.check_frame(at);
                self.pop(at)?;
                return Ok(self.input.offset());
            }
            self.step(code, at)?;
            if self.frame.is_some() {
                self.check_frame(at);
            }
        }
    }

    #[inline]
    fn fast(&mut self) -> Result<(), Limit> {
        let (buffer, at, base) = self.input.held();
        // An opcode that reaches the end of its frame is looked at by itself.
        let within = self.frame.map_or(u64::MAX, |end| end.saturating_sub(base));
        let buffer = &buffer[..buffer.len().min(usize::try_from(within).unwrap_or(usize::MAX))];
        let at = fast::run(buffer, at, base, &mut self.stack, &mut self.memo)?;
        self.input.move_to(at);
        Ok(())
    }

    fn step(&mut self, code: u8, at: u64) -> Result<(), Stop> {
        match code {
            op::MEMOIZE => {
                let top = self.top(at)?;
                self.memo.put(self.memo.len(), top)?;
            }
            op::BININT1 => self.int::<1>()?,
            op::BININT2 => self.int::<2>()?,
            op::BININT => self.int::<4>()?,
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => {
                let [len] = self.input.array()?;
                self.string(at, u64::from(len))?;
            }
            op::BINUNICODE => {
                let len = u32::from_le_bytes(self.input.array()?);
                self.string(at, u64::from(len))?;
            }
            op::BINUNICODE8 => {
                let len = u64::from_le_bytes(self.input.array()?);
                self.string(at, len)?;
            }
            op::BINSTRING => {
                let len = self.size(at)?;
                self.string(at, len)?;
            }
            op::TUPLE1 => self.tuple(1, at)?,
            op::TUPLE2 => self.tuple(2, at)?,
            op::TUPLE3 => self.tuple(3, at)?,
            op::MARK => self.stack.mark()?,
            op::TUPLE => {
                let made = self.arrays.tuple_of_marked(&mut self.stack);
                let made = made.ok_or_else(|| underflow(at))?;
                self.stack.push_or_plain(made)?;
            }
            op::LIST | op::DICT | op::FROZENSET => {
                self.drop_mark(at)?;
                self.stack.plain()?;
            }
            op::APPENDS | op::ADDITEMS => {
                self.drop_mark(at)?;
                self.filled(at)?;
            }
            op::APPEND => {
                self.pop(at)?;
                self.filled(at)?;
            }
            op::SETITEMS => self.set_items(at)?,
            op::SETITEM => self.set_item(at)?,
            op::BINPUT => {
                let [index] = self.input.array()?;
                self.put(u64::from(index), at)?;
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.input.array()?);
                self.put(u64::from(index), at)?;
            }
            op::BINGET => {
                let [index] = self.input.array()?;
                self.get(u64::from(index), at)?;
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.input.array()?);
                self.get(u64::from(index), at)?;
            }
            op::NONE | op::NEWTRUE | op::NEWFALSE | op::EMPTY_LIST | op::EMPTY_SET => self.stack.plain()?,
            op::EMPTY_TUPLE => {
                let made = self.arrays.empty_tuple();
                self.stack.push_or_plain(made)?;
            }
            op::EMPTY_DICT => {
                let made = self.arrays.empty_dict();
                self.stack.push_or_plain(made)?;
            }
            op::BINFLOAT => {
                self.input.array::<8>()?;
                self.stack.plain()?;
            }
            op::LONG1 => {
                let [len] = self.input.array()?;
                let number = self.input.peek(usize::from(len))?;
                let small = number.len() <= 4 && self.arrays.active();
                let padded = |i: usize| {
                    let sign = if number.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
                    number.get(i).copied().unwrap_or(sign)
                };
                let slot =
                    if small { Slot::int(i32::from_le_bytes([0, 1, 2, 3].map(padded))) } else { Slot::PLAIN };
                self.input.skip(u64::from(len))?;
                self.stack.push_or_plain(slot)?;
            }
            op::LONG4 => {
                let len = self.size(at)?;
                self.input.skip(len)?;
                self.stack.plain()?;
            }
            op::SHORT_BINBYTES => {
                let [len] = self.input.array()?;
                self.bytes(u64::from(len))?;
            }
            op::BINBYTES => {
                let len = u32::from_le_bytes(self.input.array()?);
                self.bytes(u64::from(len))?;
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
                let len = u64::from_le_bytes(self.input.array()?);
                self.bytes(len)?;
            }
            op::GLOBAL
            | op::INST
            | op::STACK_GLOBAL
            | op::REDUCE
            | op::OBJ
            | op::NEWOBJ
            | op::NEWOBJ_EX
            | op::BUILD => self.risky(code, at)?,
            _ => self.rare(code, at)?,
        }
        Ok(())
    }

    #[inline]
    fn int<const N: usize>(&mut self) -> Result<(), Stop> {
        let bytes: [u8; N] = self.input.array()?;
        if !self.arrays.active() || self.stack.is_deep() {
            return Ok(self.stack.plain()?);
        }
        let mut number = [0; 4];
        number[..N].copy_from_slice(&bytes);
        Ok(self.stack.push(Slot::int(i32::from_le_bytes(number)))?)
    }

    #[inline]
    fn tuple(&mut self, len: usize, at: u64) -> Result<(), Stop> {
        if self.arrays.active() {
            let mut slots = [Slot::PLAIN; 3];
            for slot in slots[..len].iter_mut().rev() {
                *slot = self.pop(at)?;
            }
            let made = self.arrays.tuple(&slots[..len]);
            return Ok(self.stack.push_or_plain(made)?);
        }
        for _ in 0..len {
            self.pop(at)?;
        }
        Ok(self.stack.plain()?)
    }

    #[inline]
    fn put(&mut self, index: u64, at: u64) -> Result<(), Stop> {
        let top = self.top(at)?;
        Ok(self.memo.put(index, top)?)
    }

    #[inline]
    fn get(&mut self, index: u64, at: u64) -> Result<(), Stop> {
        let Some(slot) = self.memo.get(index) else {
            return Err(Stop::Malformed { offset: at, what: "nothing is in the memo at this index" });
        };
        Ok(self.stack.push_or_plain(slot)?)
    }

    fn set_item(&mut self, at: u64) -> Result<(), Stop> {
        let (value, key) = (self.pop(at)?, self.pop(at)?);
        let target = self.filled(at)?;
        self.arrays.set(target, key, value, self.input)
    }

    fn set_items(&mut self, at: u64) -> Result<(), Stop> {
        if !self.arrays.active() {
            self.drop_mark(at)?;
            self.filled(at)?;
            return Ok(());
        }
        let (mut key, mut items, mut more) = (None, Vec::new(), false);
        let marked = self.stack.pop_mark(|slot| match key.take() {
            None => key = Some(slot),
            Some(key) if items.len() < ITEMS => items.push((key, slot)),
            Some(_) => more = true,
        });
        if !marked {
            return Err(underflow(at));
        }
        let target = self.filled(at)?;
        if more {
            self.arrays.forget(target);
            return Ok(());
        }
        for (key, value) in items {
            self.arrays.set(target, key, value, self.input)?;
        }
        Ok(())
    }

    /// What was put into something; a finding if that is an import.
    #[inline]
    fn filled(&mut self, at: u64) -> Result<Slot, Stop> {
        let target = self.top(at)?;
        if let Known::Import(number) = target.known() {
            let name = self.imports.name(number);
            self.find(Rule::PickleStateOnImport, at, name);
        }
        Ok(target)
    }

    /// CPython reads a file past the end of a frame, but not a stream of bytes in Python.
    #[inline]
    fn check_frame(&mut self, at: u64) {
        let Some(end) = self.frame else { return };
        let offset = self.input.offset();
        if offset >= end {
            self.frame = None;
            if offset > end && at < end {
                self.find(Rule::PickleFraming, at, "an opcode reaches over the end of its frame".to_owned());
            }
        }
    }

    #[inline]
    fn top(&self, at: u64) -> Result<Slot, Stop> {
        self.stack.top().ok_or_else(|| underflow(at))
    }

    #[inline]
    pub(super) fn pop(&mut self, at: u64) -> Result<Slot, Stop> {
        self.stack.pop().ok_or_else(|| underflow(at))
    }

    #[inline]
    fn drop_mark(&mut self, at: u64) -> Result<(), Stop> {
        if self.stack.drop_mark() { Ok(()) } else { Err(underflow(at)) }
    }

    pub(super) fn find(&mut self, rule: Rule, offset: u64, detail: String) {
        if self.found.iter().filter(|found| found.rule == rule).count() < KEPT {
            self.found.push(Found { rule, offset, detail });
        }
    }
}

#[cold]
const fn underflow(at: u64) -> Stop {
    Stop::Malformed { offset: at, what: "the stack does not hold what this opcode takes" }
}
