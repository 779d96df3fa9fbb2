//! The records of all shares of one run, read once it is over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, TryLockError},
    path::PathBuf,
};

use super::{
    Gaps, Record, RecordError,
    line::{Begin, Ended, Header, Past},
    reader::{Old, Reader, key},
};
use crate::{Reason, Shortage, Spending, dataset::Shard};

/// What one share of a run has written down.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) spent: Spending,
    begun: HashMap<String, Begin>,
    ended: HashMap<String, Ended>,
    past: HashMap<[u8; 16], Past>,
}

/// Every share of a run, by its number.
#[derive(Debug)]
pub(crate) struct Shares {
    count: u32,
    shares: BTreeMap<u32, Share>,
}

impl Share {
    /// Reads a record that nobody writes to any more; blocking.
    pub(crate) fn read(record: &Record) -> Result<Self, RecordError> {
        let path = &record.path;
        let failed = |source| RecordError::Io { path: path.clone(), source };
        let file = File::open(path).map_err(failed)?;
        file.try_lock_shared().map_err(|error| match error {
            TryLockError::WouldBlock => RecordError::Busy { path: path.clone() },
            TryLockError::Error(source) => failed(source),
        })?;
        let read = Reader::of_past(path).read(&file, |_| Ok(()));
        // As when a record is written: the lock is not to outlive this.
        drop(file.unlock());
        let Old { header, begun, ended, past, spent, .. } = read?;
        let Some(header) = header else {
            let why = "it is empty, as of a run that was killed at once".to_owned();
            return Err(RecordError::Malformed { path: path.clone(), line: 1, why });
        };
        Ok(Self { path: path.clone(), header, spent, begun, ended, past })
    }

    /// How `check` began, if it did.
    pub(crate) fn begun(&self, check: &str) -> Option<&Begin> {
        self.begun.get(check)
    }

    /// How `check` ended, if it did.
    pub(crate) fn ended(&self, check: &str) -> Option<&Ended> {
        self.ended.get(check)
    }

    /// What became of a trial, if it was made.
    pub(crate) fn past(&self, check: &str, case: &str, trial: u32) -> Option<&Past> {
        self.past.get(&key(check, case, trial))
    }

    /// What it lacks.
    pub(super) fn gaps(&self) -> Gaps {
        /// What an agent says may have something in it that is another each time.
        const MOST_DENIED: usize = 10;
        let (mut gaps, mut denied) = (Gaps::default(), BTreeSet::new());
        for past in self.past.values().filter(|past| past.lost) {
            match &past.reason {
                Some(reason) if is_spent(reason) => gaps.unscored += 1,
                reason => {
                    gaps.lost += 1;
                    if let Some(Reason::Denied { what }) = reason {
                        denied.insert(what);
                    }
                }
            }
        }
        gaps.denied = denied.into_iter().take(MOST_DENIED).cloned().collect();
        for (check, ended) in &self.ended {
            let Ended::Asked { unasked: Some(reason) } = ended else { continue };
            let checks = if is_spent(reason) { &mut gaps.short } else { &mut gaps.unasked };
            checks.push(check.clone());
        }
        gaps.short.sort_unstable();
        gaps.unasked.sort_unstable();
        gaps
    }

    pub(crate) const fn shard(&self) -> Shard {
        self.header.shard
    }
}

impl Shares {
    pub(crate) const fn new(count: u32) -> Self {
        Self { count, shares: BTreeMap::new() }
    }

    /// Adds a share; `Err` has the path of the record that is of the same one.
    pub(crate) fn add(&mut self, share: Share) -> Result<(), PathBuf> {
        let index = share.shard().index();
        match self.shares.get(&index) {
            Some(other) => Err(other.path.clone()),
            None => {
                self.shares.insert(index, share);
                Ok(())
            }
        }
    }

    /// Shares without a record.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Shard> {
        let missing = (0..self.count).filter(|index| !self.shares.contains_key(index));
        missing.filter_map(|index| Shard::new(index, self.count))
    }

    /// All shares, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Share> {
        self.shares.values()
    }

    /// The share that was to ask the question of this id.
    pub(crate) fn of(&self, case: &str) -> Option<&Share> {
        self.shares.get(&Shard::of(case, self.count).index())
    }
}

/// Whether the budget was used up, and not only the time, which another run has anew.
const fn is_spent(reason: &Reason) -> bool {
    match reason {
        Reason::Budget(shortage) => !matches!(shortage, Shortage::Time),
        _ => false,
    }
}
