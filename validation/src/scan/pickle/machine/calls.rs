//! What imports, calls, or sets state.

use super::{Machine, underflow};
use crate::scan::{
    Rule,
    limits::Limit,
    pickle::{
        arrays::{self, Arrays},
        imports::Import,
        input::Line,
        opcodes as op,
        slot::{Known, Slot},
    },
    walk::Stop,
};

impl Machine<'_, '_, '_> {
    /// Opcodes that import, call, or set state.
    pub(super) fn risky(&mut self, code: u8, at: u64) -> Result<(), Stop> {
        match code {
            op::GLOBAL => {
                let slot = self.import_lines(at)?;
                self.stack.push(slot)?;
            }
            op::INST => {
                self.drop_mark(at)?;
                let class = self.import_lines(at)?;
                self.call(class, at);
                self.stack.plain()?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop(at)?, self.pop(at)?);
                let slot = self.import_slots(module, name, at)?;
                self.stack.push(slot)?;
            }
            op::REDUCE => {
                let (arguments, callable) = (self.pop(at)?, self.pop(at)?);
                self.call(callable, at);
                let made = self.arrays.made(callable, Some(arguments), &self.imports, self.input)?;
                self.stack.push_or_plain(made)?;
            }
            op::OBJ => {
                let mut class = None;
                if !self.stack.pop_mark(|slot| _ = class.get_or_insert(slot)) {
                    return Err(underflow(at));
                }
                self.call(class.ok_or_else(|| underflow(at))?, at);
                self.stack.plain()?;
            }
            op::NEWOBJ | op::NEWOBJ_EX => {
                if code == op::NEWOBJ_EX {
                    self.pop(at)?;
                }
                let (_, class) = (self.pop(at)?, self.pop(at)?);
                self.call(class, at);
                let made = self.arrays.made(class, None, &self.imports, self.input)?;
                self.stack.push_or_plain(made)?;
            }
            _ => {
                let state = self.pop(at)?;
                let target = self.top(at)?;
                if let Known::Import(number) = target.known() {
                    let name = self.imports.name(number);
                    self.find(Rule::PickleStateOnImport, at, name);
                }
                self.calls += 1;
                if let Some(array) = self.arrays.build(target, state, at)? {
                    // Frames are of opcodes: one ends before an array.
                    self.check_frame(at);
                    arrays::skip(self, &array, at)?;
                    self.pop(at)?;
                    self.stack.plain()?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn call(&mut self, callable: Slot, at: u64) {
        match callable.known() {
            Known::Import(number) => {
                self.calls += 1;
                self.imports.called(number);
            }
            _ => self.find(Rule::PickleCallOfResult, at, "it is not an import that is called".to_owned()),
        }
    }

    /// The import that the next two lines name.
    fn import_lines(&mut self, at: u64) -> Result<Slot, Stop> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        let module = self.line_text(module)?;
        // At the end of the input CPython takes the last line without its last byte, whatever that is.
        let unended = !name.ended;
        let name = self.line_text(Line { len: name.len.saturating_sub(u64::from(unended)), ..name })?;
        let slot = self.import(module, name, at)?;
        if unended {
            return Err(self.input.truncated());
        }
        Ok(slot)
    }

    fn import_slots(&mut self, module: Slot, name: Slot, at: u64) -> Result<Slot, Stop> {
        let (Known::Text(module), Known::Text(name)) = (module.known(), name.known()) else {
            self.find(Rule::PickleUnresolvedImport, at, "module or name is no plain string".to_owned());
            return Ok(Slot::import(self.imports.unresolved()));
        };
        let (module, name) = (self.input.text(module)?, self.input.text(name)?);
        self.import(module, name, at)
    }

    pub(super) fn import(
        &mut self,
        module: Option<String>,
        name: Option<String>,
        at: u64,
    ) -> Result<Slot, Stop> {
        let (Some(module), Some(name)) = (module, name) else {
            self.find(Rule::PickleUnresolvedImport, at, "module or name cannot be read as text".to_owned());
            return Ok(Slot::import(self.imports.unresolved()));
        };
        let number = self.imports.add(module, name, at)?;
        self.arrays.imported(number, &self.imports);
        Ok(Slot::import(number))
    }

    /// Follows a pickle that the program reads by itself in the middle of this one.
    pub(in crate::scan::pickle) fn inner(&mut self) -> Result<(), Stop> {
        if self.depth >= self.input.budget.limits.depth {
            return Err(Stop::Limit(Limit::Depth));
        }
        let inner = super::run(self.input, self.depth + 1);
        self.found.extend(inner.found);
        self.hidden.extend(inner.hidden);
        self.imports.merge(inner.imports)?;
        self.calls += inner.calls;
        inner.end.map(|_| ())
    }

    /// Follows what comes next as a program would that knows nothing of arrays, and comes back. What was
    /// meant for another memo makes names by chance: only imports that exist count.
    pub(in crate::scan::pickle) fn astray(&mut self) -> Result<(), Stop> {
        let (back, known) = (self.input.offset(), self.imports.len());
        self.input.budget.work(self.memo.size())?;
        let mut other = Machine {
            input: &mut *self.input,
            stack: self.stack.clone(),
            memo: self.memo.clone(),
            imports: self.imports.clone(),
            arrays: Arrays::new(false),
            start: self.start,
            protocol: self.protocol,
            frame: None,
            found: Vec::new(),
            hidden: Vec::new(),
            calls: 0,
            depth: self.depth,
            plain_ends: false,
        };
        let end = other.run();
        let imports = other.imports.into_list();
        self.input.go_to(back);
        self.imports.merge(imports.into_iter().skip(known).filter(Import::exists))?;
        match end {
            Err(Stop::Malformed { .. }) | Ok(_) => Ok(()),
            Err(stop) => Err(stop),
        }
    }
}
