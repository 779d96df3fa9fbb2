//! The journal of a route: who drives it, by which plan, and everything that happened.

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_registry::{self as registry, Invalid, Journal, Log, Seq};

use crate::{Error, Event, Fence, Plan, Rollout, RouteId};

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
    /// Another driver continues the rollout that is open, and owns the route.
    Resume {
        /// Its id.
        id: RolloutId,
    },
    /// Somebody takes the route away from whoever drives it, and owns it.
    Seize {
        /// Who.
        by: String,
    },
}

/// One writer's view of a route's journal, with what it adds up to.
#[derive(Debug)]
pub struct RouteJournal {
    journal: Journal<Entry>,
    entries: Vec<Entry>,
    latest: Option<(RolloutId, Rollout)>,
    fence: Option<Fence>,
}

impl RouteJournal {
    /// Reads a route's journal.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] when it cannot be read, [`Error::JournalBroken`] when it does not replay.
    pub async fn open(log: Arc<dyn Log>, route: &RouteId) -> Result<Self, Error> {
        let (journal, entries) = Journal::open(log, route.log_key()).await.map_err(Error::Journal)?;
        let mut this = Self { journal, entries: Vec::new(), latest: None, fence: None };
        let mut seq = Seq::FIRST;
        for entry in entries {
            this.take_in(entry, seq)?;
            seq = seq.next();
        }
        Ok(this)
    }

    /// Takes the route: the rollout that is open, if any, is over, and its driver is fenced off.
    ///
    /// Somebody else's writing at the same moment does not get in the way: this reads on and tries again.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] and [`Error::JournalBroken`].
    pub async fn seize(&mut self, by: &str, at: SystemTime) -> Result<Fence, Error> {
        loop {
            let entry = Entry { at, record: Record::Seize { by: by.to_owned() } };
            match self.write(entry).await {
                // Each loss means that somebody else wrote; a driver stops at our record at the latest.
                Err(Error::Superseded) => self.catch_up().await?,
                result => return result.map(Fence::new),
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

    /// The right of whoever owns the route.
    #[must_use]
    pub const fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// Writes the next line and takes it in. [`Error::Superseded`] when somebody else wrote it.
    pub(crate) async fn write(&mut self, entry: Entry) -> Result<Seq, Error> {
        // Nothing that does not replay may reach the journal.
        let mut probe = Fold { latest: self.latest.clone(), fence: self.fence };
        probe.take_in(&entry, self.journal.next())?;
        let seq = self.journal.append(&entry).await.map_err(|error| match error {
            registry::Error::SeqTaken { .. } => Error::Superseded,
            error => Error::Journal(error),
        })?;
        self.latest = probe.latest;
        self.fence = probe.fence;
        self.entries.push(entry);
        Ok(seq)
    }

    async fn catch_up(&mut self) -> Result<(), Error> {
        let first = self.journal.next();
        let entries = self.journal.catch_up().await.map_err(Error::Journal)?;
        for (i, entry) in entries.into_iter().enumerate() {
            self.take_in(entry, first.plus(i))?;
        }
        Ok(())
    }

    fn take_in(&mut self, entry: Entry, seq: Seq) -> Result<(), Error> {
        let mut fold = Fold { latest: self.latest.take(), fence: self.fence };
        let result = fold.take_in(&entry, seq);
        (self.latest, self.fence) = (fold.latest, fold.fence);
        result.map_err(|error| Error::JournalBroken { seq, source: error.into() })?;
        self.entries.push(entry);
        Ok(())
    }
}

/// What a journal adds up to.
struct Fold {
    latest: Option<(RolloutId, Rollout)>,
    fence: Option<Fence>,
}

impl Fold {
    fn take_in(&mut self, entry: &Entry, seq: Seq) -> Result<(), Error> {
        let open =
            self.latest.as_ref().filter(|(_, rollout)| !rollout.state().is_end()).map(|(id, _)| id.clone());
        match (&entry.record, &mut self.latest) {
            (Record::Open { id, plan }, _) => {
                if let Some(id) = open {
                    return Err(Error::Busy { id });
                }
                self.latest = Some((id.clone(), Rollout::new((**plan).clone())));
                self.fence = Some(Fence::new(seq));
            }
            (Record::Resume { .. }, Some(_)) => self.fence = Some(Fence::new(seq)),
            (Record::Happen(event), Some((_, rollout))) => rollout.apply(event, entry.at)?,
            (Record::Seize { by }, latest) => {
                if let Some((_, rollout)) = latest {
                    rollout.apply(&Event::Seize { by: by.clone() }, entry.at)?;
                }
                self.fence = Some(Fence::new(seq));
            }
            (Record::Happen(_) | Record::Resume { .. }, None) => {
                let source = "it is about a rollout, but none was opened before it".into();
                return Err(Error::JournalBroken { seq, source });
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
