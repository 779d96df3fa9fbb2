//! The journals of this crate: what was ordered under which id, and everything that happened.

use std::{fmt, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_canary::{Entry, RolloutId, RouteId};
use tidegate_registry::{self as registry, BoxError, Journal, Log, LogKey, Seq};

use crate::Error;

/// What a line of a journal of this crate says, where `O` is what was ordered and `E` what can happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Record<O, E> {
    /// Something happened to what is open.
    Happen(E),
    /// Something begins; whatever was open before is over.
    Open {
        /// Its id.
        id: RolloutId,
        /// What is wanted.
        order: Box<O>,
    },
    /// Another driver continues what is open.
    Resume {
        /// Its id.
        id: RolloutId,
    },
}

/// A pure machine that a journal is replayed into: an [`Undo`](crate::Undo) or a [`Vigil`](crate::Vigil).
pub trait Machine: Clone + Send + Sized + Sync {
    /// What it is begun with.
    type Order: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What can happen to it.
    type Event: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync;

    /// The kind of its log.
    const KIND: &'static str;

    /// A machine to which nothing has happened.
    fn begin(order: Self::Order, at: SystemTime) -> Self;

    /// Takes in what happened.
    ///
    /// # Errors
    ///
    /// Why that is not possible. Nothing has changed then.
    fn happen(&mut self, event: &Self::Event, at: SystemTime) -> Result<(), BoxError>;
}

/// One line of the journal of `M`.
pub type Line<M> = Entry<Record<<M as Machine>::Order, <M as Machine>::Event>>;

/// A view of the journal of the rollbacks or watches of one route, with what it adds up to. Whoever writes the next
/// line owns it.
pub struct Ledger<M: Machine> {
    pub(crate) log: Arc<dyn Log>,
    journal: Journal<Line<M>>,
    ids: Vec<RolloutId>,
    latest: Option<(RolloutId, M)>,
    lines: Vec<Line<M>>,
}

impl<M: Machine> Ledger<M> {
    /// Reads the journal of `route`.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when it cannot be read, [`Error::JournalBroken`] when it does not replay.
    pub async fn open(log: Arc<dyn Log>, route: &RouteId) -> Result<Self, Error> {
        let key = LogKey::new(M::KIND, route.as_str()).expect("a route id is a valid log id");
        let (journal, lines) = Journal::open(Arc::clone(&log), key).await.map_err(Error::Registry)?;
        let mut this = Self { log, journal, ids: Vec::new(), latest: None, lines: Vec::new() };
        this.take_in(Seq::FIRST, lines, |_, _| Ok(()))?;
        Ok(this)
    }

    /// Writes the next line and takes it in. [`Error::Superseded`] when somebody else wrote it.
    pub(crate) async fn write(&mut self, line: Line<M>) -> Result<(), Error> {
        // Nothing that does not replay may reach the journal.
        if let (Record::Happen(event), Some((_, machine))) = (&line.record, &self.latest) {
            machine.clone().happen(event, line.at).map_err(Error::Refused)?;
        }
        let seq = self.journal.append(&line).await.map_err(|error| match error {
            registry::Error::SeqTaken { .. } => Error::Superseded,
            error => Error::Registry(error),
        })?;
        self.take_in(seq, vec![line], |_, _| Ok(()))
    }

    /// Writes `event`, asked from outside, behind whatever others write. [`Error::Refused`] once that is not possible.
    pub(crate) async fn insist(&mut self, event: M::Event, at: SystemTime) -> Result<(), Error> {
        loop {
            self.catch_up().await?;
            let last = self.lines().last().ok_or(Error::NothingOpened { kind: M::KIND })?.at;
            // Clocks differ; a journal does not go back in time for that.
            let line = Entry { at: at.max(last), record: Record::Happen(event.clone()) };
            match self.write(line).await {
                // Somebody else wrote at this moment. Perhaps it is not possible any more.
                Err(Error::Superseded) => {}
                result => return result,
            }
        }
    }

    /// Reads what others have written since, and whether that was anything.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn catch_up(&mut self) -> Result<bool, Error> {
        let before = self.lines.len();
        self.take_news(|_, _| Ok(())).await?;
        Ok(self.lines.len() > before)
    }

    /// Reads what others have written since, and calls `each` with it; what it refuses ends the reading.
    pub(crate) async fn take_news(
        &mut self,
        each: impl FnMut(&Line<M>, &M) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let seq = self.journal.next();
        let lines = self.journal.catch_up().await.map_err(Error::Registry)?;
        self.take_in(seq, lines, each)
    }

    /// Whether others have written since. One that cannot be asked has nothing new to say.
    pub(crate) async fn is_behind(&self) -> bool {
        self.journal.is_behind().await.unwrap_or(false)
    }

    /// What was opened last, with its id.
    #[must_use]
    pub const fn latest(&self) -> Option<&(RolloutId, M)> {
        self.latest.as_ref()
    }

    /// Every line, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[Line<M>] {
        &self.lines
    }

    pub(crate) fn knows(&self, id: &RolloutId) -> bool {
        self.ids.contains(id)
    }

    fn take_in(
        &mut self,
        first: Seq,
        lines: Vec<Line<M>>,
        mut each: impl FnMut(&Line<M>, &M) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (i, line) in lines.into_iter().enumerate() {
            let broken = |source| Error::JournalBroken { seq: first.plus(i), source };
            match (&line.record, &mut self.latest) {
                (Record::Open { id, order }, _) => {
                    self.ids.push(id.clone());
                    self.latest = Some((id.clone(), M::begin((**order).clone(), line.at)));
                }
                (Record::Happen(event), Some((_, machine))) => {
                    machine.happen(event, line.at).map_err(broken)?;
                }
                (Record::Resume { id }, Some((open, _))) if id == open => {}
                (Record::Happen(_) | Record::Resume { .. }, _) => {
                    return Err(broken("it is about something that was not opened before it".into()));
                }
            }
            let (_, machine) = self.latest.as_ref().expect("a line was taken in");
            each(&line, machine)?;
            self.lines.push(line);
        }
        Ok(())
    }
}

impl<M: Machine> fmt::Debug for Ledger<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("ids", &self.ids).finish_non_exhaustive()
    }
}
