//! A route's journal, read once for everybody who looks at it.

use std::{ops::Range, sync::Arc, time::Duration, time::SystemTime};

use anyhow::Result;
use tidegate::{
    canary::{Entry, Error, Record, Request, RolloutId, RouteId, RouteJournal, report},
    registry::Log,
};
use tokio::sync::{Mutex, Notify, watch};

/// So often there is a look at a journal that somebody watches.
const PACE: Duration = Duration::from_millis(500);

/// A route, with its journal as far as it was read.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) route: RouteId,
    log: Arc<dyn Log>,
    reading: Mutex<Reading>,
    seen: watch::Sender<Seen>,
    /// Told when somebody begins to watch.
    wanted: Notify,
}

/// What was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many records there are; also the number of the last one.
    pub(crate) records: usize,
    /// Why there may be more.
    pub(crate) trouble: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Not there before it was first read, and after it turned out to be unreadable.
    journal: Option<RouteJournal>,
    /// The latest report, and the lines that it is about.
    drawn: Option<(Range<usize>, Arc<str>)>,
}

/// A journal, and the means to draw it.
pub(crate) struct Look<'a> {
    pub(crate) journal: &'a RouteJournal,
    drawn: &'a mut Option<(Range<usize>, Arc<str>)>,
}

impl Watched {
    /// Begins to watch as soon as anybody does.
    pub(crate) fn begin(log: Arc<dyn Log>, route: RouteId) -> Arc<Self> {
        let this = Arc::new(Self {
            route,
            log,
            reading: Mutex::default(),
            seen: watch::Sender::default(),
            wanted: Notify::new(),
        });
        tokio::spawn(keep_up(Arc::clone(&this)));
        this
    }

    /// Looks at the journal as it is now.
    pub(crate) async fn look<T>(&self, look: impl FnOnce(Look<'_>) -> T) -> Result<T, Error> {
        let mut reading = self.reading.lock().await;
        self.catch_up(&mut reading).await?;
        let Reading { journal, drawn } = &mut *reading;
        let journal = journal.as_ref().expect("it was just read");
        Ok(look(Look { journal, drawn }))
    }

    /// Writes a request as the next record, if `admit` has nothing against it.
    pub(crate) async fn ask<E: From<Error>>(
        &self,
        request: Request,
        at: SystemTime,
        admit: impl FnOnce(&RouteJournal) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reading = self.reading.lock().await;
        self.catch_up(&mut reading).await?;
        let journal = reading.journal.as_mut().expect("it was just read");
        admit(journal)?;
        let asked = journal.ask(request, at).await;
        let records = journal.entries().len();
        self.seen.send_if_modified(|seen| std::mem::replace(&mut seen.records, records) != records);
        Ok(asked?)
    }

    /// The records after the first `from`, by number and name, as far as they were read.
    pub(crate) async fn since(&self, from: usize) -> Vec<(usize, &'static str)> {
        let reading = self.reading.lock().await;
        let entries = reading.journal.as_ref().map_or(&[][..], RouteJournal::entries);
        let names = entries.iter().enumerate().skip(from);
        names.map(|(index, entry)| (index + 1, name(&entry.record))).collect()
    }

    /// Hears of every record that is read from now on; as long as anybody does, the journal is read at a steady pace.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Seen> {
        let receiver = self.seen.subscribe();
        self.wanted.notify_one();
        receiver
    }

    async fn catch_up(&self, reading: &mut Reading) -> Result<(), Error> {
        // Whatever interrupts this leaves nothing half read: it is opened anew then.
        let result = match reading.journal.take() {
            Some(mut journal) => match journal.catch_up().await {
                Err(error) if !error.is_transient() => Err(error),
                result => {
                    reading.journal = Some(journal);
                    result.map(drop)
                }
            },
            None => {
                let opened = RouteJournal::open(Arc::clone(&self.log), &self.route).await;
                opened.map(|journal| reading.journal = Some(journal))
            }
        };
        let records = reading.journal.as_ref().map(|journal| journal.entries().len());
        let trouble = result.as_ref().err().map(|error| Arc::from(in_words(error)));
        self.seen.send_if_modified(|seen| {
            let now = Seen { records: records.unwrap_or(seen.records), trouble };
            let changed = *seen != now;
            *seen = now;
            changed
        });
        result
    }
}

impl Look<'_> {
    /// The lines of rollout `id`, and of what came after it and before the next.
    pub(crate) fn extent(&self, id: &RolloutId) -> Option<Range<usize>> {
        let entries = self.journal.entries();
        let opens = |entry: &Entry| matches!(entry.record, Record::Open { .. });
        let start = entries
            .iter()
            .position(|entry| matches!(&entry.record, Record::Open { id: opened, .. } if opened == id))?;
        let end = entries[start + 1..].iter().position(opens).map_or(entries.len(), |next| start + 1 + next);
        // What came before the first one is told with it.
        let first = !entries[..start].iter().any(opens);
        Some(if first { 0 } else { start }..end)
    }

    /// The report on these lines. Everybody who wants the latest gets the same.
    pub(crate) fn draw(&mut self, lines: Range<usize>) -> Arc<str> {
        if let Some((drawn, report)) = self.drawn
            && *drawn == lines
        {
            return Arc::clone(report);
        }
        let entries = self.journal.entries();
        let report: Arc<str> =
            tokio::task::block_in_place(|| report::fragment(&entries[lines.clone()])).into();
        if lines.end == entries.len() {
            *self.drawn = Some((lines, Arc::clone(&report)));
        }
        report
    }
}

async fn keep_up(watched: Arc<Watched>) {
    let mut pace = tokio::time::interval(PACE);
    loop {
        pace.tick().await;
        while watched.seen.receiver_count() == 0 {
            watched.wanted.notified().await;
        }
        let mut reading = watched.reading.lock().await;
        if let Err(error) = watched.catch_up(&mut reading).await {
            tracing::debug!(route = %watched.route, error = in_words(&error), "a journal cannot be read");
        }
    }
}

/// An error with its causes.
pub(crate) fn in_words(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

fn name(record: &Record) -> &'static str {
    match record {
        Record::Happen(event) => event.name(),
        Record::Open { .. } => "open",
        Record::Release { .. } => "release",
        Record::Resume { .. } => "resumeDriver",
        Record::Seize { .. } => "seize",
        _ => "record",
    }
}
