//! The state of judges as bytes and back, to the last bit.
//!
//! A judge passes every field that windows change through one function, which writes or reads it: neither direction
//! can forget what the other does not. What follows from the criterion is not on the tape, so that nothing that is
//! read contradicts it. Bytes may come from anywhere. What is read takes no more memory than they do, times a
//! constant, and a number that could make later arithmetic fail is refused.

use std::time::{Duration, SystemTime};

use super::Tally;
use crate::{Observation, Verdict, Window};

/// State on its way.
#[derive(Debug)]
pub(crate) enum Tape<'a> {
    Reading(&'a [u8]),
    Writing(&'a mut Vec<u8>),
}

/// `None` where the bytes say something that no judge can have written.
pub(crate) type Passed = Option<()>;

impl Tape<'_> {
    /// More than all observations of a million windows can add up to, and far from where sums overflow.
    const MOST: u64 = Observation::MAX_TRIALS << 20;

    pub(crate) const fn is_reading(&self) -> bool {
        matches!(self, Self::Reading(_))
    }

    /// Whether nothing is left to be read.
    pub(crate) const fn is_at_end(&self) -> bool {
        matches!(self, Self::Reading([]) | Self::Writing(_))
    }

    pub(crate) fn byte(&mut self, value: &mut u8) -> Passed {
        match self {
            Self::Reading(bytes) => {
                let (first, rest) = bytes.split_first()?;
                (*value, *bytes) = (*first, rest);
            }
            Self::Writing(bytes) => bytes.push(*value),
        }
        Some(())
    }

    /// Seven bits to a byte, the last of which has its eighth unset: most numbers are small.
    pub(crate) fn integer(&mut self, value: &mut u64) -> Passed {
        let mut left = *value;
        let mut read = 0_u64;
        for shift in (0..64).step_by(7) {
            let mut byte = (left & 0x7f) as u8 | if left > 0x7f { 0x80 } else { 0 };
            self.byte(&mut byte)?;
            left >>= 7;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return None;
            }
            read |= part << shift;
            if byte & 0x80 == 0 {
                *value = read;
                return Some(());
            }
        }
        None
    }

    /// A number of things that were counted.
    pub(crate) fn count(&mut self, value: &mut u64) -> Passed {
        self.integer(value)?;
        (!self.is_reading() || *value <= Self::MOST).then_some(())
    }

    pub(crate) fn small(&mut self, value: &mut u32) -> Passed {
        let mut wide = u64::from(*value);
        self.integer(&mut wide)?;
        *value = u32::try_from(wide).ok()?;
        Some(())
    }

    pub(crate) fn float(&mut self, value: &mut f64) -> Passed {
        match self {
            Self::Reading(bytes) => {
                let (first, rest) = bytes.split_first_chunk()?;
                (*value, *bytes) = (f64::from_le_bytes(*first), rest);
            }
            Self::Writing(bytes) => bytes.extend_from_slice(&value.to_le_bytes()),
        }
        Some(())
    }

    pub(crate) fn flag(&mut self, value: &mut bool) -> Passed {
        let mut byte = u8::from(*value);
        self.byte(&mut byte)?;
        *value = match byte {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(())
    }

    pub(crate) fn text(&mut self, value: &mut String) -> Passed {
        let mut length = value.len() as u64;
        self.integer(&mut length)?;
        match self {
            Self::Reading(bytes) => {
                let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                *value = str::from_utf8(text).ok()?.to_owned();
                *bytes = rest;
            }
            Self::Writing(bytes) => bytes.extend_from_slice(value.as_bytes()),
        }
        Some(())
    }

    /// A time since 1970.
    pub(crate) fn time(&mut self, value: &mut SystemTime) -> Passed {
        let mut since = value.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.duration(&mut since)?;
        *value = SystemTime::UNIX_EPOCH.checked_add(since)?;
        Some(())
    }

    pub(crate) fn duration(&mut self, value: &mut Duration) -> Passed {
        let (mut seconds, mut nanos) = (value.as_secs(), value.subsec_nanos());
        self.integer(&mut seconds)?;
        self.small(&mut nanos)?;
        if nanos >= 1_000_000_000 {
            return None;
        }
        *value = Duration::new(seconds, nanos);
        Some(())
    }

    pub(crate) fn window(&mut self, value: &mut Window) -> Passed {
        let (mut start, mut end) = (value.start(), value.end());
        self.time(&mut start)?;
        self.time(&mut end)?;
        if self.is_reading() {
            *value = Window::new(start, end)?;
        }
        Some(())
    }

    pub(crate) fn tally(&mut self, value: &mut Tally) -> Passed {
        self.count(&mut value.hits)?;
        self.count(&mut value.trials)
    }

    pub(crate) fn verdict(&mut self, value: &mut Verdict) -> Passed {
        let verdicts = [Verdict::Fail, Verdict::Inconclusive, Verdict::Pass];
        let mut place = verdicts.iter().position(|verdict| verdict == value)? as u8;
        self.byte(&mut place)?;
        *value = *verdicts.get(usize::from(place))?;
        Some(())
    }

    /// As many numbers as there are.
    pub(crate) fn floats<'v>(&mut self, values: impl IntoIterator<Item = &'v mut f64>) -> Passed {
        values.into_iter().try_for_each(|value| self.float(value))
    }

    /// What may be there; `blank` is what it is read into.
    pub(crate) fn option<T>(
        &mut self,
        value: &mut Option<T>,
        blank: impl FnOnce() -> T,
        pass: impl FnOnce(&mut Self, &mut T) -> Passed,
    ) -> Passed {
        let mut there = value.is_some();
        self.flag(&mut there)?;
        if self.is_reading() {
            *value = there.then(blank);
        }
        value.as_mut().map_or(Some(()), |value| pass(self, value))
    }

    /// Any number of what takes a byte at least; `blank` is what each is read into.
    pub(crate) fn list<T>(
        &mut self,
        values: &mut Vec<T>,
        mut blank: impl FnMut() -> T,
        mut pass: impl FnMut(&mut Self, &mut T) -> Passed,
    ) -> Passed {
        let mut length = values.len() as u64;
        self.integer(&mut length)?;
        if !self.is_reading() {
            return values.iter_mut().try_for_each(|value| pass(self, value));
        }
        values.clear();
        for _ in 0..length {
            let mut value = blank();
            pass(self, &mut value)?;
            values.push(value);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T>(mut value: T, mut blank: T, pass: impl Fn(&mut Tape<'_>, &mut T) -> Passed) -> T {
        let mut bytes = Vec::new();
        pass(&mut Tape::Writing(&mut bytes), &mut value).unwrap();
        let mut tape = Tape::Reading(&bytes);
        pass(&mut tape, &mut blank).unwrap();
        assert!(tape.is_at_end());
        for length in 0..bytes.len() {
            assert_eq!(pass(&mut Tape::Reading(&bytes[..length]), &mut blank), None, "{length} bytes");
        }
        pass(&mut Tape::Reading(&bytes), &mut blank).unwrap();
        blank
    }

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX] {
            assert_eq!(there_and_back(value, 7, |tape, value| tape.integer(value)), value);
        }
        for value in [0.0, -0.0, 0.1, f64::MIN_POSITIVE / 2.0, f64::NEG_INFINITY, f64::NAN, -f64::NAN] {
            assert_eq!(
                there_and_back(value, 7.0, |tape, value| tape.float(value)).to_bits(),
                value.to_bits()
            );
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        let mut number = 0;
        for bytes in [&[0x80; 9][..], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(Tape::Reading(bytes).integer(&mut number), None, "{bytes:?}");
        }
        assert_eq!(Tape::Reading(&[0xff, 0xff, 0xff, 0xff, 0x10]).small(&mut 0), None);
        let (mut bytes, mut most) = (Vec::new(), u64::MAX);
        Tape::Writing(&mut bytes).integer(&mut most).unwrap();
        assert_eq!(Tape::Reading(&bytes).count(&mut number), None);
        assert_eq!(Tape::Reading(&bytes).list(&mut Vec::new(), || 0, Tape::byte), None);
        assert_eq!(Tape::Reading(&bytes).text(&mut String::new()), None);
        assert_eq!(Tape::Reading(&[2]).flag(&mut false), None);
    }
}
