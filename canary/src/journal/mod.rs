//! The journal of a route: who drives it, by which plan, and everything that happened.

mod account;
mod entry;
mod keeping;
mod pen;
mod snapshot;

use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tidegate_registry::{self as registry, Invalid, Journal, Log, Seq};

use self::account::Account;
pub use self::entry::Entry;
pub(crate) use self::{keeping::Keeping, pen::Pen};
use crate::{Error, Event, Fence, Plan, Request, Rollout, RouteId, WallClock};

/// The caller's name for a rollout, such as the id of a pipeline run. Opening the same id again continues
/// the rollout; so it is also what makes a retried pipeline safe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId(String);

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

/// One writer's view of a route's journal, line by line, with what it adds up to.
///
/// Only the rollout that was opened last is replayed: those before it are over.
#[derive(Debug)]
pub struct RouteJournal {
    pen: Pen,
    entries: Vec<Entry>,
}

impl RouteJournal {
    /// Reads a route's journal.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] when it cannot be read, [`Error::JournalBroken`] when it does not replay.
    pub async fn open(log: Arc<dyn Log>, route: &RouteId) -> Result<Self, Error> {
        let (pen, entries) = Pen::read(log, route).await?;
        Ok(Self { pen, entries })
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

    /// [Takes the route](Self::seize) as this view shows it: [`Error::Superseded`] when somebody else has written since.
    ///
    /// # Errors
    ///
    /// That, and [`Error::Journal`].
    pub async fn take(&mut self, by: &str, at: SystemTime) -> Result<Fence, Error> {
        let at = self.pen.account().at().map_or(at, |last| at.max(last));
        let entry = Entry { at, record: Record::Seize { by: by.to_owned() } };
        self.pen.write(&entry).await?;
        self.entries.push(entry);
        Ok(self.fence().expect("it has just written"))
    }

    /// Gives back a route that `by` had seized. Of one that `by` does not hold any more nothing is written: whoever has
    /// begun since is not disturbed.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`].
    pub async fn release(log: Arc<dyn Log>, route: &RouteId, by: &str, at: SystemTime) -> Result<(), Error> {
        let entry = Entry { at, record: Record::Release { by: by.to_owned() } };
        let Ok(mut pen) = Pen::take_up(Arc::clone(&log), route).await else {
            // Who holds it is not said by a journal that does not replay.
            return Self::add(log, route, entry).await.map(drop);
        };
        while pen.account().holder() == Some(by) {
            match pen.write(&entry).await {
                Err(Error::Superseded) => pen.catch_up(|_, _| Ok(())).await?,
                result => return result,
            }
        }
        Ok(())
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

    /// Asks something of the rollout that this view shows, whoever drives it and wherever: its driver takes it in
    /// when it next [looks](crate::Driver::looking_every); where none runs, whoever opens the rollout again does.
    ///
    /// # Errors
    ///
    /// [`Error::Illegal`] when that is not possible now, [`Error::Followed`] when another rollout has been opened since
    /// this view was read, [`Error::NothingOpened`] when there is no rollout to ask;
    /// otherwise the journal's errors. Unless it is `Ok` nothing was asked, but for a write whose fate
    /// [is unknown](registry::Error::CommitUnknown).
    pub async fn ask(&mut self, request: Request, at: SystemTime) -> Result<(), Error> {
        let record = Record::Happen(Event::Ask(request));
        let shown = self.latest().map(|(id, _)| id.clone());
        loop {
            self.catch_up().await?;
            if let (Some(shown), Some((id, _))) = (&shown, self.latest())
                && shown != id
            {
                return Err(Error::Followed { by: id.clone() });
            }
            // Clocks differ; a journal does not go back in time for that.
            let at = self.pen.account().at().map_or(at, |last| at.max(last));
            let entry = Entry { at, record: record.clone() };
            match self.pen.write(&entry).await {
                // Somebody else wrote at this moment. Perhaps it is not possible any more.
                Err(Error::Superseded) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.entries.push(entry);
                    return Ok(());
                }
            }
        }
    }

    /// Reads what others have written since, and whether that was anything.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn catch_up(&mut self) -> Result<bool, Error> {
        let before = self.entries.len();
        let entries = &mut self.entries;
        self.pen
            .catch_up(|entry, _| {
                entries.push(entry);
                Ok(())
            })
            .await?;
        Ok(self.entries.len() > before)
    }

    /// Returns once somebody else has written, looking every so often. A log that does not answer is asked again.
    pub async fn overtaken(&self, clock: WallClock, every: Duration) {
        self.pen.overtaken(clock, every).await;
    }

    /// Every line, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The rollout that was opened last, with its id.
    #[must_use]
    pub const fn latest(&self) -> Option<&(RolloutId, Rollout)> {
        self.pen.latest()
    }

    /// Who has seized the route and not released it.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.pen.account().holder()
    }

    /// The right of whoever wrote the last line. It rises with every line, so that even an order of the same
    /// driver that was overtaken on its way cannot undo a later one.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.pen.fence()
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
