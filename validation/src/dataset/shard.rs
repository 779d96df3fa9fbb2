//! One share of the questions, for a run that is spread over machines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tidegate_registry::Digest;

/// Share `index` of `count`, counted from 0 and written `0/4`, as an Indexed Job of Kubernetes counts.
///
/// A question belongs to the share that its id names: the first eight bytes of the id's SHA-256, as a
/// big-endian number, modulo `count`. So each question is in exactly one share, whatever else is in
/// the dataset and in which order, and this will not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    count: u32,
}

/// What is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is no share of a dataset; write `i/n` with i from 0 and below n, such as 0/4")]
pub struct InvalidShard {
    written: String,
}

impl Shard {
    /// Everything: the only share of one.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// Share `index`, from 0, of `count`; `None` if there is no such share.
    #[must_use]
    pub const fn new(index: u32, count: u32) -> Option<Self> {
        if index < count { Some(Self { index, count }) } else { None }
    }

    /// Which share it is, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many shares there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Whether the question of this id belongs to it.
    #[must_use]
    pub fn holds(self, id: &str) -> bool {
        Self::of(id, self.count) == self
    }

    /// The share of `count` that the question of this id belongs to.
    pub(crate) fn of(id: &str, count: u32) -> Self {
        if count <= 1 {
            return Self::ALL;
        }
        // Below `count`, so it is a u32.
        Self { index: (Digest::of(id).word() % u64::from(count)) as u32, count }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(s: &str) -> Result<Self, InvalidShard> {
        let parse = || {
            let (index, count) = s.split_once('/')?;
            Self::new(index.parse().ok()?, count.parse().ok()?)
        };
        parse().ok_or_else(|| InvalidShard { written: crate::excerpt::excerpt(s, 40) })
    }
}

impl TryFrom<String> for Shard {
    type Error = InvalidShard;

    fn try_from(text: String) -> Result<Self, InvalidShard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_in_one_share() {
        for id in (0..1_000).map(|i| format!("case-{i}")) {
            let shares = (0..7).filter(|&i| Shard::new(i, 7).unwrap().holds(&id));
            assert_eq!(shares.count(), 1, "{id}");
        }
    }

    /// `int.from_bytes(hashlib.sha256(b"capital-fr").digest()[:8], "big") % 5` in Python.
    #[test]
    fn a_question_stays_in_its_share() {
        let share = |id| (0..5).find(|&i| Shard::new(i, 5).unwrap().holds(id)).unwrap();
        assert_eq!([share("capital-fr"), share("a"), share(""), share("東京")], GOLDEN);
    }

    const GOLDEN: [u32; 4] = [2, 0, 2, 4];

    #[test]
    fn shares_are_written_as_they_are_read() {
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        for wrong in ["4/4", "0/0", "1", "", "-1/3", "a/b", "1/2/3", "1/99999999999"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
