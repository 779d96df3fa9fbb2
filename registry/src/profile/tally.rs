//! Parameters, counted by data type.

use std::collections::BTreeMap;

use super::reading::{Damage, shown};

/// Data types in one file; there are a few dozen in all formats together.
const MOST_DTYPES: usize = 64;

/// How many elements the tensors of a file have, by data type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) dtypes: BTreeMap<String, u64>,
    pub(super) parameters: u64,
}

impl Tally {
    /// Counts a tensor.
    pub(super) fn count(&mut self, dtype: &str, elements: u64) -> Result<(), Damage> {
        self.parameters = self.parameters.checked_add(elements).ok_or(Damage::overflow())?;
        if let Some(sum) = self.dtypes.get_mut(dtype) {
            // Not above `parameters`, which has just been checked.
            *sum += elements;
        } else if self.dtypes.len() < MOST_DTYPES {
            self.dtypes.insert(dtype.to_owned(), elements);
        } else {
            return Err(Damage::new("it has more than 64 data types"));
        }
        Ok(())
    }

    /// As [`count`](Self::count), for a type that the file names itself.
    pub(super) fn count_unknown(&mut self, dtype: &str, elements: u64) -> Result<(), Damage> {
        self.count(&shown(dtype), elements)
    }

    /// Adds what another file holds; nothing where the sum does not fit.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Damage> {
        let mut sum = self.clone();
        for (dtype, elements) in &other.dtypes {
            sum.count(dtype, *elements)?;
        }
        *self = sum;
        Ok(())
    }

    /// The type of most parameters, where it is one that makes weights smaller.
    pub(super) fn small(&self) -> Option<&str> {
        const SMALL: [&str; 6] = ["I2", "I4", "I8", "U2", "U4", "U8"];
        const FAMILIES: [&str; 8] = ["F4", "F6", "F8", "IQ", "MXFP", "NVFP", "Q", "TQ"];
        let (dtype, _) = self.dtypes.iter().max_by_key(|(_, elements)| **elements)?;
        let small =
            SMALL.contains(&dtype.as_str()) || FAMILIES.iter().any(|family| dtype.starts_with(family));
        small.then_some(dtype)
    }
}

/// The number of elements of a tensor: the product of its dimensions, one for none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements(u64);

impl Default for Elements {
    fn default() -> Self {
        Self(1)
    }
}

impl Elements {
    pub(super) fn times(&mut self, dimension: u64) -> Result<(), Damage> {
        self.0 = self.0.checked_mul(dimension).ok_or(Damage::overflow())?;
        Ok(())
    }

    pub(super) const fn product(self) -> u64 {
        self.0
    }
}
