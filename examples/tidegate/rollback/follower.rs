//! Tells what happens to a watch and to the rollback that it begins: as a picture, a line or a document for each
//! record.

use std::{
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tidegate::{
    canary::{RolloutId, RouteId, WallClock},
    registry::Log,
    rollback::{Ledger, Line, Look, Undo, Vigil},
};
use tokio::sync::Notify;

use super::{
    frame::frame,
    run,
    view::{Step, View, returns_by, steps},
};
use crate::{
    answer, failure,
    picture::Screen,
    words::{plain, time},
};

/// What a watch that is kept in this process has seen in its last span.
pub(super) type Looks = Arc<Mutex<Vec<Look>>>;

pub(super) struct Follower {
    log: Arc<dyn Log>,
    route: RouteId,
    id: RolloutId,
    watches: Ledger<Vigil>,
    rollbacks: Option<Ledger<Undo>>,
    looks: Looks,
    form: Form,
    /// How many lines of the watch and of its rollback were told.
    told: (usize, usize),
}

enum Form {
    Documents,
    Lines,
    Picture(Screen),
}

impl Follower {
    pub(super) async fn new(
        log: Arc<dyn Log>,
        route: RouteId,
        id: RolloutId,
        looks: Looks,
        json: bool,
    ) -> Result<Self> {
        let form = match Screen::of_answers() {
            _ if json => Form::Documents,
            Some(screen) => Form::Picture(screen),
            None => Form::Lines,
        };
        let watches = Ledger::open(Arc::clone(&log), &route).await?;
        Ok(Self { log, route, id, watches, rollbacks: None, looks, form, told: (0, 0) })
    }

    pub(super) const fn draws(&self) -> bool {
        matches!(self.form, Form::Picture(_))
    }

    /// Reads what has happened since.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        self.watches.catch_up().await?;
        if let Some(rollbacks) = &mut self.rollbacks {
            rollbacks.catch_up().await?;
        } else if self.returns() {
            self.rollbacks = Some(Ledger::open(Arc::clone(&self.log), &self.route).await?);
        }
        Ok(())
    }

    /// Whether it goes back, or has: then there is a second journal.
    fn returns(&self) -> bool {
        let latest = self.watches.latest().filter(|(id, _)| *id == self.id);
        latest.is_some_and(|(_, vigil)| returns_by(vigil.state()).is_some())
    }

    /// Tells what was read; whether anybody still reads that.
    pub(super) fn tell(&mut self, clock: WallClock) -> Result<bool> {
        let watch = steps(&self.watches, &self.id, None);
        let Some((_, vigil)) = watch.last() else { return Ok(true) };
        let rollback = match (returns_by(vigil.state()), &self.rollbacks) {
            (Some(id), Some(rollbacks)) => steps(rollbacks, id, None),
            _ => Vec::new(),
        };
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let done = match &mut self.form {
            Form::Picture(screen) => match View::of(&self.id, &watch, &rollback, looks, clock.now()) {
                Some(view) => screen.draw(&frame(&view, screen.paper())),
                None => Ok(()),
            },
            Form::Documents => lines(true, &watch, &rollback, &mut self.told),
            Form::Lines => lines(false, &watch, &rollback, &mut self.told),
        };
        match done {
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => done.map(|()| true).context("cannot write the answer"),
        }
    }

    /// Shows what happens, for as long as it is let. Nothing that goes wrong with that is the watch's.
    pub(super) async fn show(&mut self, happened: &Notify, clock: WallClock) {
        let mut is_read = true;
        loop {
            // A store that is away is the watch's to tell of.
            let known = self.catch_up().await;
            if is_read && known.is_ok() {
                is_read = self.tell(clock).unwrap_or(false);
            }
            // Clocks on the picture move on, even while nothing happens, and a rollback rings no bell.
            let second = pin!(tokio::time::sleep(Duration::from_secs(1)));
            if self.draws() || self.returns() || known.is_err() {
                tokio::select! {
                    () = happened.notified() => {}
                    () = second => {}
                }
            } else {
                happened.notified().await;
            }
        }
    }

    /// What happened last is shown, whatever it was.
    pub(super) async fn show_the_end(&mut self, clock: WallClock) {
        if let Err(error) = self.catch_up().await.and_then(|()| self.tell(clock).map(drop)) {
            failure::warn(&error, "the end is not shown");
        }
    }
}

/// Says what was not told yet, in the order of time.
fn lines(
    json: bool,
    watch: &[Step<Vigil>],
    rollback: &[Step<Undo>],
    told: &mut (usize, usize),
) -> io::Result<()> {
    let of_watch = watch.iter().skip(told.0).map(|(line, vigil)| (line.at, of_watch(json, line, vigil)));
    let of_rollback =
        rollback.iter().skip(told.1).map(|(line, undo)| (line.at, run::told(json, "rollback", line, undo)));
    let mut new: Vec<_> = of_watch.chain(of_rollback).collect();
    new.sort_by_key(|(at, _)| *at);
    *told = (watch.len(), rollback.len());
    new.iter().try_for_each(|(_, line)| answer::say(line))
}

fn of_watch(json: bool, line: &Line<Vigil>, vigil: &Vigil) -> String {
    let state = plain(&vigil.state().to_string());
    if json {
        let line = serde_json::to_value(line).unwrap_or(Value::Null);
        return json!({ "kind": "record", "line": line, "state": state }).to_string();
    }
    format!("{}  the watch {state}", time(line.at))
}
