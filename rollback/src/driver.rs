//! Runs a rollback: takes the route, does what is owed, and writes down what happened before believing it.

use std::{fmt, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_canary::{
    Actuator, Entry, Fence, NotDone, Patience, RolloutId, RouteId, RouteJournal, Slot, World,
};
use tidegate_registry::{self as registry, Cause, Channels, Expect, Journal, LogKey, Seq, Stamp};

use crate::{Duty, Error, Event, Order, State, Undo, Way};

/// Runs one rollback to its end.
///
/// It first writes one record into the route's journal: whatever drove the route before is over and fenced
/// off. Its own events lie in a journal beside, so that [`open`](Self::open) with the same id goes on
/// where a killed one stopped, and nothing is done twice.
pub struct Rollback {
    world: World,
    id: RolloutId,
    journal: Journal<Entry<Record>>,
    undo: Undo,
    fence: Fence,
    holds: bool,
    listeners: Vec<Listener>,
}

/// What a line of a rollback's journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Record {
    /// Something happened to the rollback that is open.
    Happen(Event),
    /// A rollback begins.
    Open {
        /// Its id.
        id: RolloutId,
        /// Its order.
        order: Box<Order>,
    },
}

type Listener = Box<dyn Fn(&Entry<Record>, &Undo) + Send + Sync>;

impl Rollback {
    /// Takes the order's route and opens the rollback `id`, or continues it where its journal ends.
    ///
    /// The target is looked at before anything is taken: a wrong order leaves a rollout under way alone. A
    /// rollback of another id that was not finished on this route is over: the newest order counts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOrder`] and [`Error::OtherContent`] before anything was changed; [`Error::OrderChanged`]
    /// when `id` was opened with another order, [`Error::IdUsed`] when others have followed it since;
    /// [`Error::Superseded`] when another rollback was opened at this moment; otherwise the journals' errors.
    pub async fn open(world: World, id: RolloutId, order: Order) -> Result<Self, Error> {
        order.check()?;
        let (mut journal, past) = read(&world, &order.route).await?;
        let undo = match past.latest {
            Some((open, undo)) if open == id && *undo.order() != order => {
                return Err(Error::OrderChanged { id });
            }
            Some((open, undo)) if open == id => undo,
            _ if past.ids.contains(&id) => return Err(Error::IdUsed { id }),
            _ => {
                // A store that is away does not stop it here: looking at the target is the first thing it does.
                if let Ok(manifest) = world.store.manifest(&order.to.model).await
                    && manifest.digest != order.to.digest
                {
                    return Err(Error::OtherContent { to: order.to, found: manifest.digest });
                }
                let at = world.clock.now();
                let record = Record::Open { id: id.clone(), order: Box::new(order.clone()) };
                write(&mut journal, &Entry { at, record }).await?;
                Undo::new(order, at)
            }
        };
        Self::take(world, id, journal, undo).await
    }

    /// Continues the rollback `id` of `route` by the order in its journal, if it is the latest there and not
    /// over.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub async fn resume(world: World, route: &RouteId, id: &RolloutId) -> Result<Option<Self>, Error> {
        let (journal, past) = read(&world, route).await?;
        match past.latest {
            Some((open, undo)) if open == *id && !undo.state().is_end() => {
                Self::take(world, open, journal, undo).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn take(
        world: World,
        id: RolloutId,
        journal: Journal<Entry<Record>>,
        undo: Undo,
    ) -> Result<Self, Error> {
        let mut this = Self {
            world,
            id,
            journal,
            undo,
            fence: Fence::new(Seq::FIRST),
            holds: false,
            listeners: Vec::new(),
        };
        let (log, route) = (Arc::clone(&this.world.log), &this.undo.order().route);
        if this.undo.state().is_end() {
            // One that was killed after its last event has not released the route yet; otherwise whoever opens a
            // rollback that is over changes nothing.
            let journal = RouteJournal::open(log, route).await;
            this.holds = journal.is_ok_and(|journal| journal.holder() == Some(&this.holder()));
        } else {
            let seized = RouteJournal::seize(log, route, &this.holder(), this.world.clock.now()).await;
            this.fence = seized.map_err(Error::Route)?;
            this.holds = true;
        }
        Ok(this)
    }

    /// Under which name it holds the route.
    fn holder(&self) -> String {
        format!("rollback {}", self.id)
    }

    /// Calls `listener` with every line that this driver writes, once it is durable.
    #[must_use]
    pub fn on_record(mut self, listener: impl Fn(&Entry<Record>, &Undo) + Send + Sync + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Does what is owed until nothing is, and returns the end.
    ///
    /// # Errors
    ///
    /// [`Error::Superseded`] when somebody else took the route; otherwise the journal's errors. After
    /// any of them the rollback is where its journal says, and nothing is acted on any more.
    pub async fn run(mut self) -> Result<State, Error> {
        while !self.undo.state().is_end() {
            let event = match self.perform().await {
                Ok(event) => event,
                Err(NotDone::Superseded) => return Err(Error::Superseded),
                Err(error) => Event::Failed { why: error.to_string() },
            };
            let entry = Entry { at: self.world.clock.now(), record: Record::Happen(event.clone()) };
            write(&mut self.journal, &entry).await?;
            self.undo.apply(&event, entry.at).expect("what a duty ends with is legal in its state");
            tracing::warn!(rollback = %self.id, route = %self.undo.order().route, to = %self.undo.order().to,
                reason = %self.undo.order().reason, state = %self.undo.state(), "rollback");
            for listener in &self.listeners {
                listener(&entry, &self.undo);
            }
        }
        let (log, route) = (Arc::clone(&self.world.log), &self.undo.order().route);
        RouteJournal::release(log, route, &self.holder(), self.world.clock.now())
            .await
            .map_err(Error::Route)?;
        Ok(self.undo.state().clone())
    }

    async fn perform(&self) -> Result<Event, NotDone> {
        let World { router, deployer, clock, .. } = &self.world;
        let hands = Actuator { router: &**router, deployer: &**deployer, clock: *clock, fence: self.fence };
        let order = self.undo.order();
        let until = self.undo.until();
        Ok(match self.undo.duty() {
            Duty::Ensure { slot } => {
                hands.ensure(&order.workload(slot), until).await?;
                Event::Ready
            }
            Duty::Nothing => unreachable!("the loop ends with the rollback"),
            Duty::Record => Event::Recorded { seq: self.record(until).await? },
            Duty::Remove => {
                hands.remove(Slot::Candidate, until).await?;
                Event::Removed
            }
            Duty::Route { traffic, on } => {
                let on: Vec<_> = on.map(|slot| order.workload(slot)).into_iter().collect();
                hands.route(&order.route, &traffic, &on, false, until).await?;
                Event::Routed
            }
            Duty::Verify => self.verify(until).await?,
            Duty::Wait { until } => {
                clock.sleep_until(until).await;
                Event::Elapsed
            }
        })
    }

    /// Cheap on purpose: in an incident traffic moves first, and whoever runs the target verifies its bytes
    /// when it loads them.
    async fn verify(&self, until: SystemTime) -> Result<Event, NotDone> {
        let order = self.undo.order();
        let mut patience = Patience::new(self.world.clock, until);
        let digest = loop {
            match self.world.store.manifest(&order.to.model).await {
                Ok(manifest) => break manifest.digest,
                Err(error) => patience.after_registry(error).await?,
            }
        };
        if digest != order.to.digest {
            let why = format!(
                "{} has the content {digest} in the registry, not {} as ordered",
                order.to, order.to.digest
            );
            return Err(NotDone::Failed(why));
        }
        let stable = self.world.deployer.status(Slot::Stable).await;
        // A deployer that cannot be asked is no reason to wait: the longer way does not need to know.
        if stable.as_ref().is_ok_and(|stable| stable.ready() == Some(&order.to)) {
            return Ok(Event::Verified { way: Way::There });
        }
        let traffic = loop {
            match self.world.router.observe(&order.route).await {
                Ok(observed) => break observed.traffic,
                Err(error) => patience.after(error).await?,
            }
        };
        let down = stable.is_ok_and(|stable| stable.ready().is_none());
        let way = match traffic.slots().any(|slot| slot == Slot::Candidate) {
            false => Way::Free,
            true if down => Way::Occupied,
            true => Way::Busy,
        };
        Ok(Event::Verified { way })
    }

    async fn record(&self, until: SystemTime) -> Result<Seq, NotDone> {
        let order = self.undo.order();
        let channels = Channels::new(Arc::clone(&self.world.log));
        let mut patience = Patience::new(self.world.clock, until);
        loop {
            let cause = Cause::Rollback { id: self.id.to_string(), reason: order.reason.clone() };
            let stamp = Stamp { by: self.holder(), at: self.world.clock.now() };
            // Where the channel already is does not matter: this says where traffic is.
            match channels.promote(&order.to.model, &order.channel, &Expect::Any, cause, stamp).await {
                Ok(moved) => return Ok(moved.seq),
                Err(error) => patience.after_registry(error).await?,
            }
        }
    }
}

async fn write(journal: &mut Journal<Entry<Record>>, entry: &Entry<Record>) -> Result<Seq, Error> {
    journal.append(entry).await.map_err(|error| match error {
        registry::Error::SeqTaken { .. } => Error::Superseded,
        error => Error::Registry(error),
    })
}

/// What a rollback journal adds up to.
#[derive(Default)]
struct Past {
    ids: Vec<RolloutId>,
    /// The rollback that was opened last, as its events left it.
    latest: Option<(RolloutId, Undo)>,
}

async fn read(world: &World, route: &RouteId) -> Result<(Journal<Entry<Record>>, Past), Error> {
    let key = LogKey::new("rollback", route.as_str()).expect("a route id is a valid log id");
    let (journal, entries) = Journal::open(Arc::clone(&world.log), key).await.map_err(Error::Registry)?;
    let mut past = Past::default();
    for (i, Entry { at, record }) in entries.into_iter().enumerate() {
        let seq = Seq::FIRST.plus(i);
        match (record, &mut past.latest) {
            (Record::Open { id, order }, _) => {
                past.ids.push(id.clone());
                past.latest = Some((id, Undo::new(*order, at)));
            }
            (Record::Happen(event), Some((_, undo))) => {
                undo.apply(&event, at)
                    .map_err(|source| Error::JournalBroken { seq, source: source.into() })?;
            }
            (Record::Happen(_), None) => {
                let source = "it is about a rollback, but none was opened before it".into();
                return Err(Error::JournalBroken { seq, source });
            }
        }
    }
    Ok((journal, past))
}

impl fmt::Debug for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollback").field("id", &self.id).field("undo", &self.undo).finish_non_exhaustive()
    }
}
