//! What a guard decides by the channel's history.

use std::{sync::Arc, time::Duration};

use tidegate_canary::{Patience, RouteJournal, Slot, Weight, metrics::Verdict};
use tidegate_registry::{Channels, Move, Stamp};

use super::Guard;
use crate::{
    Error, Ledger, Look, Order, Record, Undo, Verification, VigilEvent, Watch,
    search::{Found, Leaving, Reading, Search},
};

/// How long a deployer may take to say what runs, before it is gone back all the same, and a router what traffic there is.
const ASKED: Duration = Duration::from_secs(2);

impl Guard {
    /// The time is over.
    pub(super) async fn expire(&self, verdict: Verdict) -> Result<VigilEvent, Error> {
        let watch = self.vigil().watch();
        let history = self.history().await?;
        if let Some(moved) = moved(&history, watch) {
            return Ok(moved);
        }
        if let (Verdict::Pass, Some(head)) = (verdict, history.last()) {
            // It was watched to the end and is good, so it is a last known good from now on.
            let stamp = Stamp { by: format!("watch {}", self.id), at: self.world.clock.now() };
            let channels = Channels::new(Arc::clone(&self.world.log));
            let name = watch.release.model.name();
            channels.settle(name, &watch.channel, head.seq, stamp).await.map_err(Error::Registry)?;
        }
        Ok(VigilEvent::Expired { verdict })
    }

    /// Whether to go back, where something is wrong.
    pub(super) async fn decide(
        &self,
        why: &[String],
        by: Option<&str>,
        blind: bool,
    ) -> Result<VigilEvent, Error> {
        let (watch, now) = (self.vigil().watch(), self.world.clock.now());
        let history = self.history().await?;
        if let Some(moved) = moved(&history, watch) {
            return Ok(moved);
        }
        if by.is_none() {
            let braked = watch.brakes.check(&history, now).err().map(|braked| braked.to_string());
            if let Some(why) = braked {
                return Ok(VigilEvent::Held { why, looks: self.unsaid(), passed_over: Vec::new() });
            }
            // What runs there now was put there by somebody else, and nothing speaks against that.
            if let Some(why) = self.displaced(ASKED).await {
                return Ok(VigilEvent::Held { why, looks: self.unsaid(), passed_over: Vec::new() });
            }
        }
        let reason = match by {
            Some(by) => format!("{by}: {}", why.join("; ")),
            None => why.join("; "),
        };
        let search = Search {
            world: &self.world,
            route: &watch.route,
            leaving: Leaving::This(&watch.release),
            channel: &watch.channel,
            target: &watch.target,
            reading: match watch.verify {
                Verification::Before => Reading::Within(watch.patience),
                Verification::Ahead | Verification::Never => Reading::No,
            },
            unsure: false,
        };
        let found = match self.find(&search).await {
            Ok(found) => found,
            // A registry that is slow, or damaged in part. Nothing goes by itself to what may be condemned.
            Err(error @ Error::Unsure { .. }) => {
                let (why, looks) = (error.to_string(), self.unsaid());
                return Ok(VigilEvent::Held { why, looks, passed_over: Vec::new() });
            }
            Err(Error::NoTarget(none)) => {
                let (why, looks) = (none.to_string(), self.unsaid());
                return Ok(VigilEvent::Held { why, looks, passed_over: none.passed_over() });
            }
            Err(error) => return Err(error),
        };
        // Somebody may have begun while it was looked for.
        if by.is_none()
            && let Some(why) = self.somebody_goes_back().await?
        {
            return Ok(VigilEvent::Held { why, looks: self.unsaid(), passed_over: Vec::new() });
        }
        let order = Order::to(watch.route.clone(), watch.channel.clone(), found, reason);
        // That nothing was seen, or that a person says so, says nothing against the content.
        let quarantine = watch.quarantine && by.is_none() && !blind;
        let (recovery, drain, patience) = (watch.recovery.clone(), watch.drain, watch.ready_within);
        let (by, watch) = (by.map(str::to_owned), Some(self.id.clone()));
        let order = Order { drain, patience, quarantine, recovery, by, watch, ..order };
        let id = format!("{}/{}", self.id, self.ledger.lines().len());
        let id = id.parse().map_err(Error::Name)?;
        Ok(VigilEvent::Begun { id, order: Box::new(order), looks: self.unsaid() })
    }

    /// Where it goes back to. What is in quarantine may be read for as long as the watch has patience.
    async fn find(&self, search: &Search<'_>) -> Result<Found, Error> {
        let clock = self.world.clock;
        let mut patience = Patience::new(clock, clock.now() + self.vigil().watch().patience);
        loop {
            match search.run(&mut self.ahead.damaged.clone()).await {
                Err(Error::Unsure { .. }) if patience.wait(String::new).await.is_ok() => {}
                found => return found,
            }
        }
    }

    /// What was seen in the last span, unless the alarm before has said so.
    fn unsaid(&self) -> Vec<Look> {
        match self.ledger.lines().last().map(|line| &line.record) {
            Some(Record::Happen(VigilEvent::Alarmed { .. })) => Vec::new(),
            _ => self.lookout.for_journal(),
        }
    }

    /// Says so where a rollback of the route is under way that this watch has not ordered: it is somebody's decision.
    pub(super) async fn somebody_goes_back(&self) -> Result<Option<String>, Error> {
        let ledger = Ledger::<Undo>::open(Arc::clone(&self.world.log), &self.vigil().watch().route).await?;
        let others = ledger
            .latest()
            .filter(|(_, undo)| !undo.state().is_end() && undo.order().watch.as_ref() != Some(&self.id));
        Ok(others.map(|(id, undo)| format!("rollback {id} to {} is under way already", undo.order().to)))
    }

    /// Whether a rollout is under way on the route and has taken all traffic from what is guarded, for now.
    pub(super) async fn is_without_traffic(&self) -> bool {
        let route = &self.vigil().watch().route;
        let journal = RouteJournal::open(Arc::clone(&self.world.log), route).await;
        let is_open =
            |journal: RouteJournal| journal.latest().is_some_and(|(_, rollout)| !rollout.state().is_end());
        if !journal.is_ok_and(is_open) {
            return false;
        }
        // One that does not answer is no reason to keep from anybody that nothing is seen.
        match tokio::time::timeout(ASKED, self.world.router.observe(route)).await {
            Ok(Ok(observed)) => observed.traffic.weight(Slot::Stable) == Weight::NONE,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    pub(super) async fn moved(&self) -> Result<Option<VigilEvent>, Error> {
        Ok(moved(&self.history().await?, self.vigil().watch()))
    }

    pub(super) async fn history(&self) -> Result<Vec<Move>, Error> {
        let watch = self.vigil().watch();
        let channels = Channels::new(Arc::clone(&self.world.log));
        let mut patience = Patience::new(self.world.clock, self.world.clock.now() + watch.patience);
        loop {
            match channels.history(watch.release.model.name(), &watch.channel).await {
                Ok(history) => return Ok(history),
                Err(error) if error.is_transient() && patience.wait(String::new).await.is_ok() => {}
                Err(error) => return Err(Error::Registry(error)),
            }
        }
    }
}

/// Whether the channel points elsewhere by now, or nowhere.
fn moved(history: &[Move], watch: &Watch) -> Option<VigilEvent> {
    let head = history.last()?;
    match head.ended {
        Some(_) => Some(VigilEvent::Moved { to: None }),
        None if head.to != watch.release.model => Some(VigilEvent::Moved { to: Some(head.to.clone()) }),
        None => None,
    }
}
