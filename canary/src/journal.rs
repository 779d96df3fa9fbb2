//! The journal of a route: who drives it, by which plan, and everything that happened.

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_registry::{self as registry, Invalid, Journal, Log, Seq};

use crate::{BoxError, Error, Event, Fence, Plan, Rollout, RouteId};

/// The caller's name for a rollout, such as the id of a pipeline run. Opening the same id again continues
/// the rollout; so it is also what makes a retried pipeline safe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId(String);

/// One line of a journal: of a route's, unless another kind of record is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Entry<R = Record> {
    /// When, by the clock of whoever wrote it.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
    /// What.
    #[serde(flatten)]
    pub record: R,
}

/// What a line of a route's journal says. Records are for ever: the form of one never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Record {
    /// Something happened to the rollout that is open.
    Happen(Event),
    /// A rollout begins, and its driver owns the route.
    Open {
        /// Its id.
        id: RolloutId,
        /// Its plan.
        plan: Box<Plan>,
    },
    /// Whoever had seized the route is done with it: rollouts may be opened again.
    Release {
        /// Who.
        by: String,
    },
    /// Another driver continues the rollout that is open, and owns the route.
    Resume {
        /// Its id.
        id: RolloutId,
    },
    /// Somebody takes the route away from whoever drives it, and holds it until the release.
    Seize {
        /// Who.
        by: String,
    },
}

/// One writer's view of a route's journal, with what it adds up to.
///
/// Only the rollout that was opened last is replayed: those before it are over, and a route that was used
/// for years must not take longer to roll back.
#[derive(Debug)]
pub struct RouteJournal {
    journal: Journal<Entry>,
    entries: Vec<Entry>,
    latest: Option<(RolloutId, Rollout)>,
    holder: Option<String>,
}

impl RouteJournal {
    /// Reads a route's journal.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] when it cannot be read, [`Error::JournalBroken`] when it does not replay.
    pub async fn open(log: Arc<dyn Log>, route: &RouteId) -> Result<Self, Error> {
        let (journal, entries) = Journal::open(log, route.log_key()).await.map_err(Error::Journal)?;
        let mut this = Self { journal, entries: Vec::new(), latest: None, holder: None };
        let opened = entries.iter().rposition(|entry| matches!(entry.record, Record::Open { .. }));
        for (i, entry) in entries.iter().enumerate() {
            let seq = Seq::FIRST.plus(i);
            this.hold(&entry.record);
            if opened.is_none_or(|opened| i >= opened) {
                this.replay(entry).map_err(|source| Error::JournalBroken { seq, source })?;
            }
        }
        this.entries = entries;
        Ok(this)
    }

    /// Takes the route: the rollout that is open, if any, is over, its driver is fenced off, and no other can
    /// be opened before the [`release`](Self::release).
    ///
    /// It works on a journal that does not replay, too: a way back must not depend on how one got there.
    /// Somebody else's writing at the same moment does not get in the way.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`].
    pub async fn seize(log: Arc<dyn Log>, route: &RouteId, by: &str, at: SystemTime) -> Result<Fence, Error> {
        Self::add(log, route, Entry { at, record: Record::Seize { by: by.to_owned() } }).await.map(Fence::new)
    }

    /// Gives back a route that `by` had seized. If somebody else has seized it since, it stays with them.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`].
    pub async fn release(log: Arc<dyn Log>, route: &RouteId, by: &str, at: SystemTime) -> Result<(), Error> {
        Self::add(log, route, Entry { at, record: Record::Release { by: by.to_owned() } }).await.map(|_| ())
    }

    async fn add(log: Arc<dyn Log>, route: &RouteId, entry: Entry) -> Result<Seq, Error> {
        let mut journal = Journal::at_end(log, route.log_key()).await.map_err(Error::Journal)?;
        loop {
            match journal.append(&entry).await {
                // Each loss means that somebody else wrote; a driver stops at our record at the latest.
                Err(registry::Error::SeqTaken { .. }) => journal.skip().await.map_err(Error::Journal)?,
                result => return result.map_err(Error::Journal),
            }
        }
    }

    /// Every line, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The rollout that was opened last, with its id.
    #[must_use]
    pub const fn latest(&self) -> Option<&(RolloutId, Rollout)> {
        self.latest.as_ref()
    }

    /// Who has seized the route and not released it.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// The right of whoever wrote the last line. It rises with every line, so that even an order of the same
    /// driver that was overtaken on its way cannot undo a later one.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.journal.next().previous().map(Fence::new)
    }

    /// Writes the next line and takes it in. [`Error::Superseded`] when somebody else wrote it.
    pub(crate) async fn write(&mut self, entry: Entry) -> Result<(), Error> {
        // Nothing that does not replay may reach the journal.
        self.admit(&entry)?;
        let seq = self.journal.append(&entry).await.map_err(|error| match error {
            registry::Error::SeqTaken { .. } => Error::Superseded,
            error => Error::Journal(error),
        })?;
        self.hold(&entry.record);
        self.replay(&entry).map_err(|source| Error::JournalBroken { seq, source })?;
        self.entries.push(entry);
        Ok(())
    }

    fn admit(&self, entry: &Entry) -> Result<(), Error> {
        match (&entry.record, &self.latest) {
            (Record::Open { .. }, _) if self.holder.is_some() => {
                Err(Error::Held { by: self.holder.clone().unwrap_or_default() })
            }
            (Record::Open { .. }, Some((open, rollout))) if !rollout.state().is_end() => {
                Err(Error::Busy { id: open.clone() })
            }
            (Record::Open { id, .. }, _) if self.knows(id) => Err(Error::IdUsed { id: id.clone() }),
            (Record::Happen(event), Some((_, rollout))) => Ok(rollout.check(event, entry.at)?),
            _ => Ok(()),
        }
    }

    fn knows(&self, id: &RolloutId) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(&entry.record, Record::Open { id: known, .. } if known == id))
    }

    fn hold(&mut self, record: &Record) {
        match record {
            Record::Seize { by } => self.holder = Some(by.clone()),
            Record::Release { by } if self.holder.as_ref() == Some(by) => self.holder = None,
            _ => {}
        }
    }

    fn replay(&mut self, entry: &Entry) -> Result<(), BoxError> {
        match (&entry.record, &mut self.latest) {
            (Record::Open { id, plan }, _) => {
                self.latest = Some((id.clone(), Rollout::new((**plan).clone())))
            }
            (Record::Happen(event), Some((_, rollout))) => rollout.apply(event, entry.at)?,
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

impl FromStr for RolloutId {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        if s.is_empty() || s.len() > 200 || s.chars().any(char::is_control) {
            return Err(Invalid::new("rollout id", s, "use 1 to 200 bytes without control characters"));
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RolloutId {
    type Error = Invalid;

    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<RolloutId> for String {
    fn from(id: RolloutId) -> Self {
        id.0
    }
}
