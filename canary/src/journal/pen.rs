//! Writing a route's journal.

use std::{sync::Arc, time::Duration};

use tidegate_registry::{self as registry, Journal, Log, LogKey, Seq};

use super::{Account, Entry, Record, RolloutId, snapshot};
use crate::{BoxError, Error, Event, Fence, Rollout, RouteId, WallClock};

/// The right to write the next line of a route's journal, for as long as nobody else has.
#[derive(Debug)]
pub(crate) struct Pen {
    journal: Journal<Entry>,
    account: Account,
    /// The last record that is in a snapshot, as far as is known.
    kept: Option<Seq>,
}

impl Pen {
    /// At the end of the journal, with every line.
    pub(super) async fn read(log: Arc<dyn Log>, route: &RouteId) -> Result<(Self, Vec<Entry>), Error> {
        let (journal, entries) = Journal::open(log, route.log_key()).await.map_err(Error::Journal)?;
        let mut account = Account::default();
        account.take_all(Seq::FIRST, &entries)?;
        Ok((Self { journal, account, kept: None }, entries))
    }

    /// At the end of the journal. Of its lines only those are read that are not in the newest snapshot; one that is
    /// of no use, or that they do not follow from, is as good as none.
    pub(crate) async fn take_up(log: Arc<dyn Log>, route: &RouteId) -> Result<Self, Error> {
        match Self::after_snapshot(&log, &route.log_key()).await {
            Ok(Some(pen)) => return Ok(pen),
            Ok(None) => {}
            Err(error) => tracing::warn!(%route, error, "a snapshot is of no use, reading the whole journal"),
        }
        Self::read(log, route).await.map(|(pen, _)| pen)
    }

    async fn after_snapshot(log: &Arc<dyn Log>, key: &LogKey) -> Result<Option<Self>, BoxError> {
        let Some(snapshot) = log.snapshot(key).await? else { return Ok(None) };
        let mut account = snapshot::open(&**log, key, &snapshot).await?;
        let (journal, entries) = Journal::open_after(Arc::clone(log), key.clone(), snapshot.seq).await?;
        account.take_all(snapshot.seq.next(), &entries)?;
        Ok(Some(Self { journal, account, kept: Some(snapshot.seq) }))
    }

    /// What all lines add up to.
    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    /// The rollout that was opened last, with its id.
    pub(crate) const fn latest(&self) -> Option<&(RolloutId, Rollout)> {
        self.account.latest()
    }

    /// The right of whoever wrote the last line.
    pub(crate) fn fence(&self) -> Option<Fence> {
        self.journal.next().previous().map(Fence::new)
    }

    /// Writes the next line and takes it in. [`Error::Superseded`] when somebody else wrote it.
    pub(crate) async fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        // Nothing that does not replay may reach the journal.
        self.account.admit(entry)?;
        let seq = self.journal.append(entry).await.map_err(|error| match error {
            registry::Error::SeqTaken { .. } => Error::Superseded,
            error => Error::Journal(error),
        })?;
        self.account.take(seq, entry)
    }

    /// Takes in what others have written since, and calls `each` with it.
    pub(super) async fn catch_up(
        &mut self,
        mut each: impl FnMut(Entry, Option<&(RolloutId, Rollout)>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let seq = self.journal.next();
        let entries = self.journal.catch_up().await.map_err(Error::Journal)?;
        for (i, entry) in entries.into_iter().enumerate() {
            self.account.take(seq.plus(i), &entry)?;
            each(entry, self.account.latest())?;
        }
        Ok(())
    }

    /// Takes in what others have asked since, and calls `each` with it. [`Error::Superseded`] when they wrote
    /// anything else: the route is theirs.
    pub(crate) async fn hear(&mut self, mut each: impl FnMut(&Entry, &Rollout)) -> Result<(), Error> {
        self.catch_up(|entry, latest| match (&entry.record, latest) {
            (Record::Happen(Event::Ask(_)), Some((_, rollout))) => {
                each(&entry, rollout);
                Ok(())
            }
            _ => Err(Error::Superseded),
        })
        .await
    }

    /// Returns once somebody else has written, looking every so often. That a log does not answer is found out
    /// by the next who writes.
    pub(crate) async fn overtaken(&self, clock: WallClock, every: Duration) {
        while !self.journal.is_behind().await.unwrap_or(false) {
            clock.sleep_until(clock.now() + every).await;
        }
    }

    /// How many records there are beyond the last snapshot.
    pub(super) fn tail(&self) -> u64 {
        self.journal.next().get() - self.kept.map_or(Seq::FIRST, Seq::next).get()
    }

    /// A snapshot to be [kept](snapshot::Draft::keep), from which on the next one counts. `None` where the rollout is
    /// over, and nothing is gained by one.
    pub(super) fn draft(&mut self) -> Option<snapshot::Draft> {
        let seq = self.journal.next().previous()?;
        self.kept = Some(seq);
        snapshot::Draft::new(&self.account, self.journal.key().clone(), seq)
    }
}
