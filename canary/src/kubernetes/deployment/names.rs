//! What the objects of the slots are called.

use tidegate_registry::Invalid;

use crate::Slot;

/// The name of an object for each slot.
#[derive(Clone, Debug)]
pub(in crate::kubernetes) struct Names {
    base: String,
    stable: String,
    baseline: String,
    candidate: String,
}

impl Names {
    /// `base` with the slot behind it.
    pub(in crate::kubernetes) fn new(base: &str) -> Result<Self, Invalid> {
        let of = |slot: Slot| label("name of a slot's object", &format!("{base}-{slot}"));
        Ok(Self {
            base: label("name of a template", base)?,
            stable: of(Slot::Stable)?,
            baseline: of(Slot::Baseline)?,
            candidate: of(Slot::Candidate)?,
        })
    }

    /// These names, but `name` for the object of `slot`.
    pub(in crate::kubernetes) fn with(mut self, slot: Slot, name: &str) -> Result<Self, Invalid> {
        let name = label("name of a slot's object", name)?;
        let taken = [Slot::Stable, Slot::Baseline, Slot::Candidate];
        if taken.into_iter().any(|other| other != slot && self.of(other) == name) {
            return Err(Invalid::new(
                "name of a slot's object",
                &name,
                "another slot has it; use three names",
            ));
        }
        *match slot {
            Slot::Stable => &mut self.stable,
            Slot::Baseline => &mut self.baseline,
            Slot::Candidate => &mut self.candidate,
        } = name;
        Ok(self)
    }

    pub(in crate::kubernetes) fn base(&self) -> &str {
        &self.base
    }

    pub(in crate::kubernetes) fn of(&self, slot: Slot) -> &str {
        match slot {
            Slot::Stable => &self.stable,
            Slot::Baseline => &self.baseline,
            Slot::Candidate => &self.candidate,
        }
    }
}

/// `text` as a DNS label (RFC 1123), which is also good as a label's value and as a segment of a path.
pub(in crate::kubernetes) fn label(what: &'static str, text: &str) -> Result<String, Invalid> {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let outer = |b: Option<u8>| b.is_some_and(|b| b != b'-');
    let fits = text.len() <= 63 && text.bytes().all(inner);
    if fits && outer(text.bytes().next()) && outer(text.bytes().last()) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        what,
        text,
        "use 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
    ))
}
