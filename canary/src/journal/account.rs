//! What the lines of a route's journal add up to.

use std::{collections::BTreeSet, time::SystemTime};

use tidegate_registry::Seq;

use super::{Entry, Record, RolloutId};
use crate::{BoxError, Error, Event, Request, Rollout};

/// What the lines of a route's journal add up to, without the lines.
///
/// Only the rollout that was opened last is replayed: those before it are over, and a route that was used
/// for years must not take longer to roll back.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Every rollout that was ever opened.
    pub(super) ids: BTreeSet<RolloutId>,
    pub(super) holder: Option<String>,
    pub(super) latest: Option<(RolloutId, Rollout)>,
    /// The records that say what plan the latest follows, or may: that which opened it, and other plans after it.
    pub(super) plans: Vec<Seq>,
    /// When the last line was written.
    pub(super) at: Option<SystemTime>,
}

impl Account {
    /// The rollout that was opened last, with its id.
    pub(crate) const fn latest(&self) -> Option<&(RolloutId, Rollout)> {
        self.latest.as_ref()
    }

    /// Who has seized the route and not released it.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// When the last line was written.
    pub(crate) const fn at(&self) -> Option<SystemTime> {
        self.at
    }

    /// Takes in many lines, the first of which is record `seq`.
    pub(super) fn take_all(&mut self, seq: Seq, entries: &[Entry]) -> Result<(), Error> {
        let opened = entries.iter().rposition(|entry| matches!(entry.record, Record::Open { .. }));
        for (i, entry) in entries.iter().enumerate() {
            if opened.is_none_or(|opened| i >= opened) {
                self.take(seq.plus(i), entry)?;
            } else {
                self.note(entry);
            }
        }
        Ok(())
    }

    /// Takes in the next line, record `seq`.
    pub(super) fn take(&mut self, seq: Seq, entry: &Entry) -> Result<(), Error> {
        self.note(entry);
        self.replay(seq, entry).map_err(|source| Error::JournalBroken { seq, source })
    }

    /// Whether the line may be written.
    pub(super) fn admit(&self, entry: &Entry) -> Result<(), Error> {
        match (&entry.record, &self.latest) {
            (Record::Open { .. }, _) if self.holder.is_some() => {
                Err(Error::Held { by: self.holder.clone().unwrap_or_default() })
            }
            (Record::Open { .. }, Some((open, rollout))) if !rollout.state().is_end() => {
                Err(Error::Busy { id: open.clone() })
            }
            (Record::Open { id, .. }, _) if self.ids.contains(id) => Err(Error::IdUsed { id: id.clone() }),
            (Record::Happen(event), Some((_, rollout))) => Ok(rollout.check(event, entry.at)?),
            (Record::Happen(_) | Record::Resume { .. }, None) => Err(Error::NothingOpened),
            _ => Ok(()),
        }
    }

    /// What is known of a line without replaying it.
    fn note(&mut self, entry: &Entry) {
        self.at = Some(entry.at);
        match &entry.record {
            Record::Open { id, .. } => drop(self.ids.insert(id.clone())),
            Record::Seize { by } => self.holder = Some(by.clone()),
            Record::Release { by } if self.holder.as_ref() == Some(by) => self.holder = None,
            _ => {}
        }
    }

    fn replay(&mut self, seq: Seq, entry: &Entry) -> Result<(), BoxError> {
        match (&entry.record, &mut self.latest) {
            (Record::Open { id, plan }, _) => {
                self.latest = Some((id.clone(), Rollout::new((**plan).clone())));
                self.plans = vec![seq];
            }
            (Record::Happen(event), Some((_, rollout))) => {
                rollout.apply(event, entry.at)?;
                if let Event::Ask(Request::Replace { .. }) = event {
                    self.plans.push(seq);
                }
            }
            (Record::Resume { id }, Some((open, _))) if id == open => {}
            (Record::Seize { by }, Some((_, rollout))) => {
                rollout.apply(&Event::Seize { by: by.clone() }, entry.at)?;
            }
            (Record::Release { .. } | Record::Seize { .. }, _) => {}
            (Record::Happen(_) | Record::Resume { .. }, _) => {
                return Err("it is about a rollout that was not opened before it".into());
            }
        }
        Ok(())
    }
}
