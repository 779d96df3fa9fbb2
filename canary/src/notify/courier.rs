//! Brings what a journal says to somebody who is to know it.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::try_join_all;
use serde::{Deserialize, de::IgnoredAny};
use tidegate_registry::{self as registry, Invalid, Log, LogKey, Seq};

use super::{
    Narrate, Narrator, Recipient, Severity,
    cursor::{Cursor, Delivery, decode},
    round::{Course, Round, Trouble, note, patiently},
};
use crate::{Entry, Error, RouteId, WallClock, telemetry::notices_begin};

/// Follows a journal, by default that of a route, and brings what it means to one recipient.
///
/// # What it keeps
///
/// * **At least once.** A notice is sent until the recipient takes it, and only then the cursor moves on. The cursor is
///   a log beside the journal, of kind `notice` and named after recipient and journal, so that a courier of the same name
///   goes on wherever the one before it died. What had been sent but not yet noted down comes again, under the same
///   [`Notice::id`](super::Notice::id): a receiver that remembers ids does nothing twice.
/// * **In order.** No notice is sent before the one before it was taken or given up.
/// * **By itself.** Each recipient has its own courier, so that one who does not answer holds up nobody else.
/// * **Several at once**, in several processes, may bring a notice twice, never not at all.
/// * **Given up** is a notice only when it can never be taken ([`Undelivered::Rejected`](super::Undelivered::Rejected)), or when the recipient has
///   taken nothing for so long as the [patience](Self::with_patience) lasts and the notice is that old too. That is
///   noted down, and [`replay_from`](Self::replay_from) sends it again.
///
/// A log that is unavailable is asked again for as long as it takes. Of the journal at most 16 records are held at a
/// time, and of the rollout what its evidence takes.
#[derive(Clone)]
pub struct Courier<N = Narrator> {
    log: Arc<dyn Log>,
    pub(super) narrator: N,
    pub(super) journal: LogKey,
    pub(super) key: LogKey,
    pub(super) recipient: Arc<dyn Recipient>,
    pub(super) clock: WallClock,
    pause: Duration,
    pub(super) patience: Duration,
    pub(super) least: Severity,
    start: Option<Seq>,
}

impl Courier {
    /// What happens to the rollouts of `route`, for a recipient that is called `name` in its log.
    ///
    /// # Errors
    ///
    /// Those of [`following`](Self::following).
    pub fn new(
        log: Arc<dyn Log>,
        route: RouteId,
        name: &str,
        recipient: impl Recipient,
        clock: WallClock,
    ) -> Result<Self, Invalid> {
        Self::following(log, Narrator::new(route), name, recipient, clock)
    }
}

impl<N: Narrate> Courier<N> {
    /// Records that are held at a time.
    pub(super) const MOST: usize = 16;

    /// What `narrator` tells of its journal, for a recipient that is called `name` in its log: couriers of one name and
    /// one journal share a cursor. Names have 1 to 40 lower-case letters, digits and `-`.
    ///
    /// A recipient that is new begins with what was opened last.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the name is not valid.
    pub fn following(
        log: Arc<dyn Log>,
        narrator: N,
        name: &str,
        recipient: impl Recipient,
        clock: WallClock,
    ) -> Result<Self, Invalid> {
        let journal = narrator.journal();
        Ok(Self {
            key: Cursor::key(&journal, name)?,
            log,
            narrator,
            journal,
            recipient: Arc::new(recipient),
            clock,
            pause: Duration::from_secs(5),
            patience: Duration::from_secs(24 * 3600),
            least: Severity::Info,
            start: None,
        })
    }

    /// How long it waits between looks at the journal; default 5 s. A look that finds nothing costs two requests.
    #[must_use]
    pub const fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long a recipient may take nothing, before what is older than this is given up; default a day.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Brings what is at least this severe, and what opens or resolves an incident; default everything.
    #[must_use]
    pub const fn with_least(mut self, least: Severity) -> Self {
        self.least = least;
        self
    }

    /// Where a recipient that is new begins: at this record of the journal. [`Seq::FIRST`] is everything.
    #[must_use]
    pub const fn starting_at(mut self, seq: Seq) -> Self {
        self.start = Some(seq);
        self
    }

    /// Follows the journal until it is dropped, which it may be at any moment, or until going on is hopeless.
    /// Gives why.
    pub async fn run(&self) -> Error {
        let mut trouble = Trouble::default();
        loop {
            match self.follow(&mut trouble).await {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    }

    /// Brings what there is and returns once the recipient has been told everything, or it was given up.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] when going on is hopeless.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let mut trouble = Trouble::default();
        while let Course::SetBack = self.round(&mut trouble).await?.finish().await? {}
        Ok(())
    }

    /// Has everything from this record of the journal on sent again. A courier that runs does so at its next look.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`].
    pub async fn replay_from(&self, seq: Seq, by: &str) -> Result<(), Error> {
        let mut cursor = self.cursor().await?;
        let placed = Delivery::Placed { next: seq, by: by.to_owned() };
        // Whoever wrote in between was about to go on; this is what counts.
        while cursor.last() != Some(&placed) {
            cursor.write(&placed, self.clock.now()).await.map_err(Error::Journal)?;
        }
        Ok(())
    }

    /// All that was noted down about the recipient, oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`].
    pub async fn deliveries(&self) -> Result<Vec<Entry<Delivery>>, Error> {
        let records = self.log.read(&self.key, Seq::FIRST).await.map_err(Error::Journal)?;
        let entry = |(i, bytes): (usize, &Bytes)| decode(&self.key, Seq::FIRST.plus(i), bytes);
        records.iter().enumerate().map(entry).collect::<registry::Result<_>>().map_err(Error::Journal)
    }

    async fn follow(&self, trouble: &mut Trouble) -> Result<(), Error> {
        let mut round = self.round(trouble).await?;
        while let Course::Holds = round.finish().await? {
            tokio::time::sleep(self.pause).await;
        }
        Ok(())
    }

    async fn cursor(&self) -> Result<Cursor, Error> {
        patiently(|| Cursor::open(Arc::clone(&self.log), self.key.clone())).await
    }

    /// From where the cursor stands.
    async fn round<'a>(&'a self, trouble: &'a mut Trouble) -> Result<Round<'a, N>, Error> {
        notices_begin();
        let mut cursor = self.cursor().await?;
        while cursor.last().is_none() {
            let next = match self.start {
                Some(start) => start,
                None => self.latest().await?,
            };
            // From now on it is durable, so that nothing which is opened later is missed.
            let placed = Delivery::Placed { next, by: "the first start".to_owned() };
            note(&mut cursor, &placed, self.clock.now()).await?;
        }
        Ok(Round::new(self, trouble, cursor))
    }

    /// The latest record that opened something, or the first of all.
    async fn latest(&self) -> Result<Seq, Error> {
        let (mut latest, mut next) = (Seq::FIRST, Seq::FIRST);
        loop {
            let records = self.read(next, Self::MOST).await?;
            for (i, bytes) in records.iter().enumerate() {
                if opens(bytes) {
                    latest = next.plus(i);
                }
            }
            next = next.plus(records.len());
            if records.len() < Self::MOST {
                return Ok(latest);
            }
        }
    }

    /// So many records of the journal, or those that there are.
    pub(super) async fn read(&self, from: Seq, most: usize) -> Result<Vec<Bytes>, Error> {
        let records = patiently(|| {
            try_join_all((0..most).map(|i| {
                let (key, seq) = (&self.journal, from.plus(i));
                async move { self.log.record(key, seq).await }
            }))
        });
        Ok(records.await?.into_iter().map_while(|record| record).collect())
    }
}

/// Whether a record opens something, as far as it can be read.
fn opens(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Line {
        record: Opening,
    }
    #[derive(Deserialize)]
    struct Opening {
        open: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Line>(bytes).is_ok_and(|line| line.record.open.is_some())
}

impl<N> fmt::Debug for Courier<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier")
            .field("key", &self.key)
            .field("recipient", &self.recipient)
            .field("pause", &self.pause)
            .field("patience", &self.patience)
            .field("least", &self.least)
            .finish_non_exhaustive()
    }
}
