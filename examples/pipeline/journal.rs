//! The journal of a release, in the registry that the release is brought to: whoever writes its next line drives the
//! release, and whoever was overtaken learns of it before it does anything more.

use std::{sync::Arc, time::SystemTime};

use anyhow::Result;
use tidegate::registry::{self, Log, LogKey, ModelRef, Seq};

use crate::{
    failure::Failure,
    progress::{Entry, Event, Progress},
};

#[derive(Debug)]
pub(crate) struct Journal {
    journal: registry::Journal<Entry>,
    progress: Progress,
}

/// The log of a release: one for each version that is brought to users.
pub(crate) fn key(model: &ModelRef) -> LogKey {
    LogKey::new("release", model.to_string()).expect("a version is a valid log id")
}

impl Journal {
    pub(crate) async fn open(log: Arc<dyn Log>, model: &ModelRef) -> Result<Self> {
        let (journal, entries) = registry::Journal::open(log, key(model)).await?;
        let mut progress = Progress::default();
        let mut seq = Seq::FIRST;
        for entry in &entries {
            progress.apply(seq, entry);
            seq = seq.next();
        }
        Ok(Self { journal, progress })
    }

    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes what happened, and only then counts it as happened.
    pub(crate) async fn write(&mut self, at: SystemTime, event: Event) -> Result<()> {
        let entry = Entry { at, event };
        match self.journal.append(&entry).await {
            Ok(seq) => {
                self.progress.apply(seq, &entry);
                Ok(())
            }
            Err(registry::Error::SeqTaken { .. }) => {
                let why = "another program drives this release now; this one has ended";
                Err(Failure::Other(why.to_owned()).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
