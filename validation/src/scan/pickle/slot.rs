//! What is known of a value.

/// What is known of a value, in eight bytes: pickles of hundreds of megabytes have millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

/// A [`Slot`] taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Plain,
    /// It is the text of the opcode at this offset, and may be a name.
    Text(u64),
    /// It is the import of this number.
    Import(u32),
    /// It is this whole number.
    Int(i32),
    /// It is the value of this number among those of [`Arrays`](super::arrays::Arrays).
    Value(u32),
}

const TAG: u32 = 61;
const CONTENT: u64 = (1 << TAG) - 1;

impl Slot {
    /// One value of which nothing is known. The content is how many more there are.
    pub(super) const PLAIN: Self = Self(0);

    #[inline]
    pub(super) const fn text(offset: u64) -> Self {
        Self(1 << TAG | offset & CONTENT)
    }

    pub(super) const fn import(number: u32) -> Self {
        Self(2 << TAG | number as u64)
    }

    pub(super) const fn int(number: i32) -> Self {
        Self(3 << TAG | number.cast_unsigned() as u64)
    }

    pub(super) const fn value(number: u32) -> Self {
        Self(4 << TAG | number as u64)
    }

    #[inline]
    pub(super) const fn known(self) -> Known {
        let content = self.0 & CONTENT;
        match self.0 >> TAG {
            0 => Known::Plain,
            1 => Known::Text(content),
            2 => Known::Import(content as u32),
            3 => Known::Int((content as u32).cast_signed()),
            _ => Known::Value(content as u32),
        }
    }

    #[inline]
    pub(super) const fn is_plain(self) -> bool {
        self.0 >> TAG == 0
    }

    /// How many values it stands for.
    pub(super) const fn count(self) -> u64 {
        if self.is_plain() { self.0 + 1 } else { 1 }
    }

    /// One of the values that it stands for.
    pub(super) const fn single(self) -> Self {
        if self.is_plain() { Self::PLAIN } else { self }
    }

    /// One more of the same, if they can share a slot.
    #[inline]
    pub(super) const fn longer(self) -> Option<Self> {
        if self.is_plain() { Some(Self(self.0 + 1)) } else { None }
    }

    /// So many less of the same, if one is left.
    #[inline]
    pub(super) const fn without(self, fewer: u64) -> Option<Self> {
        if self.is_plain() && self.0 >= fewer { Some(Self(self.0 - fewer)) } else { None }
    }

    /// One less of the same, if some are left.
    #[inline]
    pub(super) const fn shorter(self) -> Option<Self> {
        if self.is_plain() && self.0 > 0 { Some(Self(self.0 - 1)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_gives_back_what_was_put_in() {
        let known = [Known::Text(1 << 50), Known::Import(u32::MAX), Known::Int(-1), Known::Value(7)];
        let slots = [Slot::text(1 << 50), Slot::import(u32::MAX), Slot::int(-1), Slot::value(7)];
        assert_eq!(slots.map(Slot::known), known);
        let two = Slot::PLAIN.longer().expect("plain values share a slot");
        assert_eq!((two.count(), two.single(), two.shorter()), (2, Slot::PLAIN, Some(Slot::PLAIN)));
        assert_eq!(Slot::PLAIN.shorter(), None);
    }
}
