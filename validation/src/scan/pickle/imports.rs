//! What a pickle imports, and what is known of it.

mod dangerous;
mod numpy;
mod python;
mod sklearn;
mod stdlib;
mod torch;

use std::collections::HashMap;

use crate::scan::limits::Limit;

/// Number of an import that has no name.
const UNRESOLVED: u32 = u32::MAX;

/// An import of a pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) module: String,
    pub(super) name: String,
    /// Where it is first imported.
    pub(super) offset: u64,
    /// Whether it is called, and not only handed on.
    pub(super) called: bool,
}

/// What is known of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It does something that an attacker wants; what.
    Dangerous(&'static str),
    /// It was read and is harmless, whatever it is called with; why.
    Safe(&'static str),
    /// Nobody read it.
    Unknown,
}

/// Names that were read, and why they are harmless.
pub(super) struct Allowed {
    modules: &'static [&'static str],
    names: &'static [&'static str],
    called: bool,
    why: &'static str,
}

/// The distinct imports of one pickle.
#[derive(Clone, Debug)]
pub(super) struct Imports {
    list: Vec<Import>,
    numbers: HashMap<(String, String), u32>,
    most: u32,
}

impl Allowed {
    /// These may be imported and called, with any arguments and any state.
    const fn new(
        modules: &'static [&'static str],
        names: &'static [&'static str],
        why: &'static str,
    ) -> Self {
        Self { modules, names, called: true, why }
    }

    /// These may be imported and handed on, but not called.
    const fn named(
        modules: &'static [&'static str],
        names: &'static [&'static str],
        why: &'static str,
    ) -> Self {
        Self { modules, names, called: false, why }
    }
}

impl Import {
    /// What is known of it.
    pub(super) fn class(&self) -> Class {
        let (module, name) = python3(&self.module, &self.name);
        // From protocol 4 on, dots in a name lead from attribute to attribute, to any module that one imports.
        if name.contains('.') {
            return Class::Dangerous("its name leads through attributes to something else");
        }
        let lists = [python::ALLOWED, numpy::ALLOWED, torch::ALLOWED, sklearn::ALLOWED];
        let allowed = lists.into_iter().flatten().find(|allowed| {
            (allowed.called || !self.called)
                && allowed.modules.contains(&module)
                && allowed.names.contains(&name)
        });
        match allowed {
            Some(allowed) => Class::Safe(allowed.why),
            None => dangerous::why(module, name).map_or(Class::Unknown, Class::Dangerous),
        }
    }

    /// Whether it cannot be an accident, where bytes may be no pickle at all.
    pub(super) fn is_evidence(&self) -> bool {
        self.called || matches!(self.class(), Class::Dangerous(_)) && !self.name.contains('.')
    }

    /// Whether it is dangerous, or of a module of Python itself.
    pub(super) fn exists(&self) -> bool {
        let (module, _) = python3(&self.module, &self.name);
        let root = module.split('.').next().unwrap_or(module);
        match self.class() {
            Class::Dangerous(_) => {
                dangerous::why(module, &self.name).is_some() || stdlib::MODULES.contains(&root)
            }
            Class::Unknown => stdlib::MODULES.contains(&root),
            Class::Safe(_) => false,
        }
    }

    /// `module.name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

impl Imports {
    pub(super) fn new(most: u32) -> Self {
        Self { list: Vec::new(), numbers: HashMap::new(), most }
    }

    /// The number of an import, new or known.
    pub(super) fn add(&mut self, module: String, name: String, offset: u64) -> Result<u32, Limit> {
        let key = (module, name);
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        let number = self.list.len() as u32;
        if number >= self.most {
            return Err(Limit::Imports);
        }
        let (module, name) = key.clone();
        self.list.push(Import { module, name, offset, called: false });
        self.numbers.insert(key, number);
        Ok(number)
    }

    /// The number of something that cannot be told. It has its finding already.
    #[expect(clippy::unused_self, reason = "numbers come from here, and this one among them")]
    pub(super) const fn unresolved(&self) -> u32 {
        UNRESOLVED
    }

    pub(super) fn called(&mut self, number: u32) {
        if let Some(import) = self.list.get_mut(number as usize) {
            import.called = true;
        }
    }

    pub(super) fn name(&self, number: u32) -> String {
        self.list.get(number as usize).map_or_else(|| "something unnamed".to_owned(), Import::full_name)
    }

    pub(super) fn is_any_of(&self, number: u32, names: &[(&str, &str)]) -> bool {
        self.list.get(number as usize).is_some_and(|import| {
            let full = (import.module.as_str(), import.name.as_str());
            names.contains(&full)
        })
    }

    /// Adds those of another pickle.
    pub(super) fn merge(&mut self, others: impl IntoIterator<Item = Import>) -> Result<(), Limit> {
        for other in others {
            let number = self.add(other.module, other.name, other.offset)?;
            if other.called {
                self.called(number);
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn into_list(self) -> Vec<Import> {
        self.list
    }
}

/// What `pickle` makes of names of Python 2 below protocol 3.
fn python3<'n>(module: &'n str, name: &'n str) -> (&'n str, &'n str) {
    let module = match module {
        "__builtin__" | "exceptions" => "builtins",
        "copy_reg" => "copyreg",
        "cPickle" => "pickle",
        "commands" => "subprocess",
        other => other,
    };
    let name = match (module, name) {
        ("builtins", "xrange") => "range",
        ("builtins", "unicode" | "basestring") => "str",
        ("builtins", "long") => "int",
        (_, other) => other,
    };
    (module, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(module: &str, name: &str, called: bool) -> Class {
        Import { module: module.to_owned(), name: name.to_owned(), offset: 0, called }.class()
    }

    #[test]
    fn what_was_read_may_be_imported_and_nothing_else() {
        assert!(matches!(class("collections", "OrderedDict", true), Class::Safe(_)));
        assert!(matches!(class("__builtin__", "xrange", true), Class::Safe(_)));
        assert!(matches!(class("os", "system", false), Class::Dangerous(_)));
        assert!(matches!(class("__builtin__", "eval", false), Class::Dangerous(_)));
        assert!(matches!(class("statistics", "sys.exit", false), Class::Dangerous(_)));
        assert_eq!(class("collections", "namedtuple", true), Class::Unknown);
        assert_eq!(class("collections.abc", "OrderedDict", true), Class::Unknown);
    }

    #[test]
    fn a_type_that_is_only_named_may_not_be_called() {
        assert!(matches!(class("builtins", "str", false), Class::Safe(_)));
        assert_eq!(class("builtins", "str", true), Class::Unknown);
    }

    #[test]
    fn nothing_is_both_allowed_and_dangerous() {
        for allowed in
            [python::ALLOWED, numpy::ALLOWED, torch::ALLOWED, sklearn::ALLOWED].into_iter().flatten()
        {
            for module in allowed.modules {
                for name in allowed.names {
                    assert_eq!(dangerous::why(module, name), None, "{module}.{name}");
                }
            }
        }
    }
}
