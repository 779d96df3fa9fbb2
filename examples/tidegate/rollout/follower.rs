//! Tells what happens to a rollout, as it happens: as a picture, a line or a document for each record.

use std::{io, time::SystemTime};

use anyhow::{Context as _, Result};
use serde_json::json;
use tidegate::{
    canary::{Entry, Record, Rollout, RolloutId, RouteJournal, State, report},
    registry::Seq,
};

use super::{
    frame::frame,
    target::latest,
    view::{self, View},
};
use crate::{
    answer,
    picture::Screen,
    words::{plain, time},
};

pub(super) struct Follower {
    journal: RouteJournal,
    id: RolloutId,
    form: Form,
    /// The rollout as of the last record that was told, and how many were.
    told: Option<(Rollout, usize)>,
    /// What it waited for then.
    waits: Vec<String>,
}

enum Form {
    Documents,
    Lines,
    Picture(Screen),
}

impl Follower {
    /// Of the rollout that was opened last.
    pub(super) fn new(journal: RouteJournal, json: bool) -> Result<Self> {
        let id = latest(&journal)?.0.clone();
        let form = match Screen::of_answers() {
            _ if json => Form::Documents,
            Some(screen) => Form::Picture(screen),
            None => Form::Lines,
        };
        Ok(Self { journal, id, form, told: None, waits: Vec::new() })
    }

    /// The rollout as it was when it was looked at last. Another one, opened since, is none of ours.
    pub(super) fn rollout(&self) -> Option<&Rollout> {
        self.journal.latest().filter(|(id, _)| *id == self.id).map(|(_, rollout)| rollout)
    }

    pub(super) const fn id(&self) -> &RolloutId {
        &self.id
    }

    pub(super) const fn draws(&self) -> bool {
        matches!(self.form, Form::Picture(_))
    }

    /// Reads what has happened since.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        self.journal.catch_up().await?;
        Ok(())
    }

    /// Tells what was read; whether anybody still reads that.
    pub(super) fn tell(&mut self, now: SystemTime) -> Result<bool> {
        let done = match &mut self.form {
            Form::Picture(screen) => {
                let Some(view) = View::of(&self.journal, now).filter(|view| *view.id == self.id) else {
                    return Ok(true);
                };
                screen.draw(&frame(&view, screen.paper()))
            }
            Form::Documents => self.lines(true),
            Form::Lines => self.lines(false),
        };
        match done {
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => done.map(|()| true).context("cannot write the answer"),
        }
    }

    fn lines(&mut self, json: bool) -> io::Result<()> {
        let all = self.journal.entries();
        let begin = all.iter().rposition(|entry| self.opens(entry)).unwrap_or(all.len());
        let (mut rollout, told) = match self.told.take() {
            Some(told) => told,
            None => match view::replayed(&all[begin..=begin]) {
                Some((_, rollout)) => (rollout, begin),
                None => return Ok(()),
            },
        };
        for (n, entry) in all.iter().enumerate().skip(told) {
            if n > begin {
                if matches!(entry.record, Record::Open { .. }) {
                    break;
                }
                view::take(&mut rollout, entry);
            }
            let view = View { id: &self.id, rollout: &rollout, entries: &all[begin..=n], now: entry.at };
            answer::say(&if json { document(&view, n) } else { line(&view) })?;
            let waits = view.waits();
            if !json && waits != self.waits {
                waits.iter().try_for_each(|wait| answer::say(&format!("  {wait}")))?;
                self.waits = waits;
            }
        }
        self.told = Some((rollout, all.len()));
        Ok(())
    }

    fn opens(&self, entry: &Entry) -> bool {
        matches!(&entry.record, Record::Open { id, .. } if *id == self.id)
    }
}

/// `2026-11-29 07:12:01 UTC  the traffic is in force; the rollout is judging the candidate (step 2)`
fn line(view: &View<'_>) -> String {
    let Some(entry) = view.entries.last() else { return String::new() };
    let said = report::sentence(&entry.record);
    let state = match view.rollout.state() {
        state if state.is_end() => super::end::sentence(view.rollout),
        state @ (State::Shift { .. } | State::Analyse { .. } | State::Gate { .. }) => state.to_string(),
        state => state.doing().to_owned(),
    };
    plain(&format!("{}  {said} — {state}", time(entry.at)))
}

fn document(view: &View<'_>, n: usize) -> String {
    let Some(entry) = view.entries.last() else { return String::new() };
    json!({
        "seq": Seq::FIRST.plus(n),
        "at": humantime::format_rfc3339_millis(entry.at).to_string(),
        "record": entry.record,
        "said": report::sentence(&entry.record),
        "rollout": view.json(),
    })
    .to_string()
}
