//! One reading of a journal for a recipient.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate_registry::{self as registry, Seq};
use tracing::Instrument as _;

use super::{
    Notice, Undelivered,
    courier::Courier,
    cursor::{Cursor, Delivery, decode},
    narrate::Narrate,
};
use crate::{Error, patience::chain, telemetry::noticed};

/// How long a recipient may take for one notice.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// However long the recipient asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// So many records without news are noted down as read.
const STRIDE: u64 = 1_000;

/// A recipient that does not take what it is brought.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<SystemTime>,
    pause: Duration,
}

/// One reading of the journal.
pub(super) struct Round<'a, N> {
    courier: &'a Courier<N>,
    trouble: &'a mut Trouble,
    cursor: Cursor,
    narrator: N,
    /// The next record to read.
    next: Seq,
    /// The first record that is to be told; those before it are only read.
    due: Seq,
    /// How many records to ask for.
    batch: usize,
}

/// Whether a round can go on.
pub(super) enum Course {
    Holds,
    /// Somebody has set the cursor back.
    SetBack,
}

impl<'a, N: Narrate> Round<'a, N> {
    /// From where the cursor stands.
    pub(super) fn new(courier: &'a Courier<N>, trouble: &'a mut Trouble, cursor: Cursor) -> Self {
        let (from, due) = cursor.last().map_or((Seq::FIRST, Seq::FIRST), |last| (last.from(), last.next()));
        let narrator = courier.narrator.clone();
        Self { courier, trouble, cursor, narrator, next: from, due, batch: 1 }
    }

    /// Tells everything up to the end of the journal.
    pub(super) async fn finish(&mut self) -> Result<Course, Error> {
        loop {
            if let Course::SetBack = self.look().await? {
                return Ok(Course::SetBack);
            }
            let records = self.courier.read(self.next, self.batch).await?;
            let found = records.len();
            for bytes in records {
                if let Course::SetBack = self.take(&bytes).await? {
                    return Ok(Course::SetBack);
                }
            }
            if found < self.batch {
                self.batch = 1;
                return Ok(Course::Holds);
            }
            self.batch = (2 * self.batch).min(Courier::<N>::MOST);
        }
    }

    /// Looks whether somebody else has moved the cursor.
    async fn look(&mut self) -> Result<Course, Error> {
        let mut tries = Tries::default();
        while let Err(error) = self.cursor.catch_up().await {
            tries.after(error).await?;
        }
        Ok(self.sort())
    }

    /// Takes in where the cursor is now.
    fn sort(&mut self) -> Course {
        match self.cursor.last().map(Delivery::next) {
            Some(next) if next < self.due => Course::SetBack,
            Some(next) => {
                // Another courier was faster, or this one has written that.
                self.due = next;
                Course::Holds
            }
            None => Course::Holds,
        }
    }

    async fn take(&mut self, bytes: &Bytes) -> Result<Course, Error> {
        let seq = self.next;
        let notice = match decode::<N::Line>(&self.courier.journal, seq, bytes) {
            Ok(entry) => self.narrator.tell(seq, &entry),
            // A later version of this program may know what it says; it is for that one to tell.
            Err(error @ registry::Error::TooNew { .. }) => return Err(Error::Journal(error)),
            Err(error) => self.narrator.cannot_read(seq, &error.into()),
        };
        self.next = seq.next();
        let worth = |notice: &Notice| notice.severity >= self.courier.least || notice.incident.is_some();
        match notice.filter(worth) {
            _ if seq < self.due => Ok(Course::Holds),
            Some(notice) => self.deliver(seq, &notice).await,
            None if seq.get() - self.due.get() >= STRIDE => {
                self.note(Delivery::Passed { seq, opened: self.narrator.opened() }).await
            }
            None => Ok(Course::Holds),
        }
    }

    async fn deliver(&mut self, seq: Seq, notice: &Notice) -> Result<Course, Error> {
        let courier = self.courier;
        let opened = self.narrator.opened();
        loop {
            // Meanwhile somebody else may have brought it, or have been told to begin again.
            if let Course::SetBack = self.look().await? {
                return Ok(Course::SetBack);
            }
            if seq < self.due {
                return Ok(Course::Holds);
            }
            let span = tracing::debug_span!(
                "tidegate.notice.deliver",
                tidegate.notice = notice.id,
                tidegate.recipient = courier.key.id()
            );
            let delivered = courier.recipient.deliver(notice).instrument(span);
            let sent = tokio::time::timeout(ANSWER_WITHIN, delivered).await;
            let error = match sent {
                Ok(Ok(())) => {
                    noticed("delivered");
                    *self.trouble = Trouble::default();
                    return self.note(Delivery::Delivered { seq, opened }).await;
                }
                Ok(Err(error)) => error,
                Err(_) => late(courier),
            };
            let why = chain(&error);
            let since = *self.trouble.since.get_or_insert_with(|| courier.clock.now());
            let aged = |time: SystemTime| {
                courier.clock.now().duration_since(time).is_ok_and(|age| age >= courier.patience)
            };
            if matches!(error, Undelivered::Rejected { .. }) {
                // It answers, so others may be taken.
                *self.trouble = Trouble::default();
            } else if !(aged(since) && aged(notice.at)) {
                let pause = self.trouble.pause(&error);
                tracing::warn!(id = notice.id, recipient = courier.key.id(), ?pause, why, "a notice waits");
                noticed("waits");
                tokio::time::sleep(pause).await;
                continue;
            }
            tracing::error!(id = notice.id, recipient = courier.key.id(), why, "a notice is given up");
            noticed("given_up");
            return self.note(Delivery::GaveUp { seq, opened, why }).await;
        }
    }

    async fn note(&mut self, delivery: Delivery) -> Result<Course, Error> {
        note(&mut self.cursor, &delivery, self.courier.clock.now()).await?;
        Ok(self.sort())
    }
}

impl Trouble {
    /// How long to wait after this failure.
    fn pause(&mut self, error: &Undelivered) -> Duration {
        self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        match error {
            Undelivered::Unavailable { retry_after: Some(after), .. } => {
                self.pause.max(*after).min(LONGEST_WAIT)
            }
            Undelivered::Unavailable { .. } => self.pause,
            // Until a person has done something, there is no hurry.
            Undelivered::Refused { .. } | Undelivered::Rejected { .. } => LONGEST_PAUSE,
        }
    }
}

/// Tries of something that a log is asked for.
#[derive(Debug, Default)]
struct Tries(Duration);

impl Tries {
    /// Waits before the next one, unless that is hopeless.
    async fn after(&mut self, error: registry::Error) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(Error::Journal(error));
        }
        self.0 = (2 * self.0).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        tracing::warn!(error = chain(&error), pause = ?self.0, "the log of notices cannot be used");
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

/// Asks a log until it answers.
pub(super) async fn patiently<T, F>(call: impl Fn() -> F + Send) -> Result<T, Error>
where
    T: Send,
    F: Future<Output = registry::Result<T>> + Send,
{
    let mut tries = Tries::default();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => tries.after(error).await?,
        }
    }
}

/// Writes to the cursor until it is written, by whomever. The same bytes may be written again, so a lost answer does
/// no harm.
pub(super) async fn note(cursor: &mut Cursor, delivery: &Delivery, at: SystemTime) -> Result<(), Error> {
    let mut tries = Tries::default();
    while let Err(error) = cursor.write(delivery, at).await {
        tries.after(error).await?;
    }
    Ok(())
}

fn late<N>(courier: &Courier<N>) -> Undelivered {
    let why = format!("it did not answer within {:?}", ANSWER_WITHIN);
    Undelivered::Unavailable { recipient: courier.key.id().to_owned(), retry_after: None, source: why.into() }
}
