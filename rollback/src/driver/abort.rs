//! Calling a rollback off from anywhere.

use std::{sync::Arc, time::SystemTime};

use tidegate_canary::{RolloutId, RouteJournal};

use super::{held_by, holder, taken::seized};
use crate::{Error, Event, Ledger, State, Undo};

impl Ledger<Undo> {
    /// Calls off the rollback that is open, whoever runs it and wherever, while no traffic has gone to its target: its
    /// driver takes that in when it next [looks](crate::Rollback::looking_every). The route is free again at once, whether
    /// a driver is there or was killed; so this also gives back a route that one which is over, or was overtaken, still holds.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when that is not possible any more, [`Error::NothingOpened`] when there is no rollback,
    /// [`Error::Route`] when it is called off and the route could not be given back: ask again; otherwise the journal's
    /// errors.
    pub async fn abort(&mut self, by: &str, reason: &str, at: SystemTime) -> Result<(), Error> {
        self.note_taken(at).await?;
        let aborted = Event::Aborted { by: by.to_owned(), reason: reason.to_owned() };
        match self.insist(aborted, at).await {
            Ok(()) => self.let_go(at).await.map(drop),
            Err(Error::Refused(_)) => {
                let (id, undo) = self.latest().expect("what refuses is open");
                let why = format!(
                    "rollback {id} can be called off only until traffic goes to its target, and it is {}; order another one to go elsewhere",
                    undo.state()
                );
                if self.let_go(at).await? {
                    return Ok(());
                }
                Err(Error::Refused(why.into()))
            }
            Err(error) => Err(error),
        }
    }

    /// A driver that was killed at once has not said yet what it has taken the route from.
    async fn note_taken(&mut self, at: SystemTime) -> Result<(), Error> {
        self.catch_up().await?;
        let Some((id, undo)) = self.latest() else { return Ok(()) };
        if *undo.state() != State::Verify || undo.took().is_some() {
            return Ok(());
        }
        let route = &undo.order().route;
        let seized = seized(Arc::clone(&self.log), route).await;
        let journal = RouteJournal::open(Arc::clone(&self.log), route).await.ok();
        // One that was killed before it took the route leaves it with the one before, which was killed as well.
        let is_left = |by: &str| {
            let holder = journal.as_ref().and_then(RouteJournal::holder);
            holder == Some(by) && held_by(by).is_some_and(|before| self.knows(&before))
        };
        match seized.filter(|(by, _)| *by == holder(id) || is_left(by)) {
            Some((_, took)) => match self.insist(Event::Took(took), at).await {
                // It has said so at this moment.
                Err(Error::Refused(_)) => Ok(()),
                result => result,
            },
            None => Ok(()),
        }
    }

    /// Gives the route back from whichever rollback that nobody is to go on with, and says whether it was still held.
    async fn let_go(&self, at: SystemTime) -> Result<bool, Error> {
        let (latest, undo) = self.latest().expect("what is over was opened");
        let route = &undo.order().route;
        let is_over = |id: &RolloutId| if id == latest { undo.state().is_end() } else { self.knows(id) };
        let holder = match RouteJournal::open(Arc::clone(&self.log), route).await {
            Ok(journal) => match journal.holder() {
                Some(holder) if held_by(holder).is_some_and(|id| is_over(&id)) => holder.to_owned(),
                _ => return Ok(false),
            },
            // Who holds it is not known of one that does not replay; giving back what another holds changes nothing.
            Err(_) if undo.state().is_end() => holder(latest),
            Err(_) => return Ok(false),
        };
        RouteJournal::release(Arc::clone(&self.log), route, &holder, at).await.map_err(Error::Route)?;
        Ok(true)
    }
}
