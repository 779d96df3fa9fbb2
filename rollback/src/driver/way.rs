//! How things stand before a rollback moves anything, and the freeing of the candidate's slot.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_canary::{Actuator, NotDone, Patience, Readiness, Slot, Traffic, Weight, World};
use tidegate_registry::{Channels, Move, Seq};

use super::Rollback;
use crate::{
    Event, Order, Way,
    instead::{How, Instead, instead_of},
};

/// How long the registry may take to say what speaks against a rollback.
pub(super) const WITHIN: Duration = Duration::from_secs(2);

impl Rollback {
    /// Cheap on purpose: in an incident traffic moves first, and whoever runs the target verifies its bytes
    /// when it loads them.
    pub(super) async fn verify(&self, until: SystemTime) -> Result<Event, NotDone> {
        let order = self.undo().order();
        let mut patience = Patience::new(self.world.clock, until);
        let digest =
            patience.until("the registry", || self.world.store.manifest(&order.to.model)).await?.digest;
        if digest != order.to.digest {
            let why = format!(
                "{} has the content {digest} in the registry, not {} as ordered",
                order.to, order.to.digest
            );
            return Err(NotDone::Failed(why));
        }
        self.expect_unmoved(&mut patience).await?;
        self.admit(&mut patience).await?;
        Ok(Event::Verified { way: self.way(&mut patience).await? })
    }

    /// Whoever has moved the channel since it was ordered has decided otherwise, and no traffic is to move against that. A
    /// registry that does not answer says nothing to what a person has ordered; what nobody has, waits for it.
    pub(super) async fn expect_unmoved(&self, patience: &mut Patience) -> Result<(), NotDone> {
        let Order { to, channel, by, watch, head, .. } = self.undo().order();
        let Some(head) = *head else { return Ok(()) };
        let channels = Channels::new(Arc::clone(&self.world.log));
        let ask = || channels.history(to.model.name(), channel);
        let history = if by.is_none() && watch.is_some() {
            Some(patience.until("the registry", ask).await?)
        } else {
            tokio::time::timeout(WITHIN, ask()).await.ok().and_then(Result::ok)
        };
        match history.and_then(|history| self.moved_since(head, &history)) {
            Some(why) => Err(NotDone::Failed(why)),
            None => Ok(()),
        }
    }

    /// Where the channel points by its `history`, if it was moved after `head`.
    fn moved_since(&self, head: Seq, history: &[Move]) -> Option<String> {
        let last = history.last()?;
        if last.seq == head && last.ended.is_none() {
            return None;
        }
        let now = if last.ended.is_some() { "to nothing".to_owned() } else { format!("to {}", last.to) };
        let channel = &self.undo().order().channel;
        Some(format!("{channel} points {now} since {}, after this was ordered", last.stamp))
    }

    /// Whether the channel was moved after `recorded`, by which this has moved it. Nothing comes back by itself against
    /// that, so this waits for the registry, whoever has ordered it.
    pub(super) async fn moved(&self, recorded: Seq, until: SystemTime) -> Result<Option<Event>, NotDone> {
        let Order { to, channel, .. } = self.undo().order();
        let channels = Channels::new(Arc::clone(&self.world.log));
        let mut patience = Patience::new(self.world.clock, until);
        let history = patience.until("the registry", || channels.history(to.model.name(), channel)).await?;
        Ok(self.moved_since(recorded, &history).map(|why| Event::Moved { why }))
    }

    /// What the registry would refuse to record is refused before traffic moves, content in quarantine above all. A
    /// registry that does not answer has nothing against what a person has ordered who knew that it does not; anything else
    /// waits for it.
    async fn admit(&self, patience: &mut Patience) -> Result<(), NotDone> {
        let Order { to, channel, choice, .. } = self.undo().order();
        let (channels, cause) = (Channels::new(Arc::clone(&self.world.log)), self.cause());
        let ask = || channels.unmet(&to.model, channel, &cause, self.world.clock.now());
        let unmet = if choice.as_ref().is_some_and(|choice| choice.unsure.is_some()) {
            tokio::time::timeout(WITHIN, ask()).await.ok().and_then(Result::ok).unwrap_or_default()
        } else {
            patience.until("the registry", ask).await?
        };
        if unmet.is_empty() {
            return Ok(());
        }
        let unmet: Vec<_> = unmet.iter().map(ToString::to_string).collect();
        Err(NotDone::Failed(format!("{channel} does not take {to}: {}", unmet.join("; "))))
    }

    /// Where the way back begins. What runs in the slots only has to be known where the candidate's has traffic.
    async fn way(&self, patience: &mut Patience) -> Result<Way, NotDone> {
        let World { deployer, router, .. } = &self.world;
        let order = self.undo().order();
        let is_target = |seen: &Readiness| seen.ready() == Some(&order.to);
        if deployer.in_place() {
            return Ok(Way::InPlace);
        }
        // Whatever keeps the router or the deployer from saying how things stand says nothing of the target.
        let of = |who: &'static str| move |not_done: NotDone| not_done.unreached(who);
        let observed = patience.until("the router", || router.observe(&order.route)).await;
        let traffic = observed.map_err(of("the router"))?.traffic;
        if !traffic.slots().any(|slot| slot == Slot::Candidate) {
            // One that does not answer only costs the short way: the target is staged, as it is where it runs nowhere.
            let there = tokio::time::timeout(WITHIN, deployer.status(Slot::Stable)).await;
            let there = there.is_ok_and(|seen| seen.is_ok_and(|seen| is_target(&seen)));
            return Ok(if there { Way::There } else { Way::Free });
        }
        let stable = patience.until("the deployer", || deployer.status(Slot::Stable)).await;
        let stable = stable.map_err(of("the deployer"))?;
        if is_target(&stable) {
            return Ok(Way::There);
        }
        let candidate = patience.until("the deployer", || deployer.status(Slot::Candidate)).await;
        let candidate = candidate.map_err(of("the deployer"))?;
        let is_idle = traffic.weight(Slot::Stable) == Weight::NONE;
        Ok(match stable.ready() {
            _ if is_target(&candidate) => Way::Staged,
            None => Way::Occupied,
            // What has no traffic now is not given all of it: it may be what was left before.
            Some(_) if is_idle => Way::Occupied,
            Some(_) => Way::Busy,
        })
    }

    /// Whether another release has replaced the target, which was recorded by `recorded`, where releases replace each other
    /// in place. Only what is displaced may be put back: what was deployed is somebody's decision.
    pub(super) async fn displaced(&self, recorded: Seq) -> Result<Option<Event>, NotDone> {
        let Order { to, channel, .. } = self.undo().order();
        let Some(Instead { runs, how, why }) = instead_of(to, &*self.world.deployer, WITHIN).await else {
            return Ok(None);
        };
        // One that does not answer says nothing here; nothing is put back before it does.
        let channels = Channels::new(Arc::clone(&self.world.log));
        let history = tokio::time::timeout(WITHIN, channels.history(to.model.name(), channel)).await;
        let history = history.ok().and_then(Result::ok).unwrap_or_default();
        if let Some(moved) = self.moved_since(recorded, &history) {
            return Ok(Some(Event::Moved { why: format!("{moved}; {why}") }));
        }
        match how {
            How::Displaced => Ok(Some(Event::Displaced { runs, why })),
            How::Deployed | How::Starting => Err(NotDone::Failed(why)),
        }
    }

    /// Frees the candidate's slot of traffic, which never goes to a side that is not ready.
    pub(super) async fn clear(&self, hands: &Actuator<'_>, until: SystemTime) -> Result<Event, NotDone> {
        let status = || self.world.deployer.status(Slot::Stable);
        let stable = Patience::new(self.world.clock, until).until("the deployer", status).await?;
        if stable.ready().is_none() {
            return Ok(Event::Verified { way: Way::Occupied });
        }
        hands.route(&self.undo().order().route, &Traffic::stable(), &[], false, until).await?;
        Ok(Event::Routed)
    }
}
