//! Runs a rollback: takes the route, does what is owed, and writes down what happened before believing it.

mod abort;
mod record;
mod taken;
mod way;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::future::join_all;
use tidegate_canary::{
    Actuator, Entry, Fence, NotDone, Patience, Readiness, RolloutId, RouteId, RouteJournal, Side, Slot,
    World, metrics::Window,
};
use tidegate_registry::{BoxError, Seq};
use tracing::{Instrument as _, Span, field};

use self::way::WITHIN;
use crate::{
    Duty, Error, Event, Order, Record, State, Undo,
    ledger::{Ledger, Line, Machine},
    telemetry::UndoStage,
};

/// Runs one rollback to its end.
///
/// It first writes one record into the route's journal: whatever drove the route before is over and fenced
/// off. Its own events lie in a journal beside, so that [`open`](Self::open) with the same id goes on
/// where a killed one stopped, and nothing is done twice.
pub struct Rollback {
    world: World,
    id: RolloutId,
    ledger: Ledger<Undo>,
    fence: Fence,
    holds: bool,
    opened: SystemTime,
    looks: Duration,
    listeners: Vec<Listener>,
    /// What is told of where it is, while it is driven.
    stage: Option<UndoStage>,
}

type Listener = Box<dyn Fn(&Line<Undo>, &Undo) + Send + Sync>;

impl Rollback {
    const LOOKS: Duration = Duration::from_secs(2);

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
        Self::begin(world.traced(), id, order).await
    }

    /// In a world that is traced already.
    pub(crate) async fn begin(world: World, id: RolloutId, order: Order) -> Result<Self, Error> {
        order.check()?;
        let mut ledger = Ledger::<Undo>::open(Arc::clone(&world.log), &order.route).await?;
        match ledger.latest() {
            Some((open, undo)) if *open == id && !undo.order().wants_what(&order) => {
                return Err(Error::OrderChanged { id });
            }
            Some((open, _)) if *open == id => {}
            _ if ledger.knows(&id) => return Err(Error::IdUsed { id }),
            _ => {
                // A store that is away does not stop it here: looking at the target is the first thing it does.
                if let Ok(manifest) = world.store.manifest(&order.to.model).await
                    && manifest.digest != order.to.digest
                {
                    return Err(Error::OtherContent { to: order.to, found: manifest.digest });
                }
                let record = Record::Open { id: id.clone(), order: Box::new(order) };
                ledger.write(Entry { at: world.clock.now(), record }).await?;
            }
        }
        Self::take(world, id, ledger).await
    }

    /// Continues the rollback `id` of `route` by the order in its journal, if it is the latest there and not
    /// over.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub async fn resume(world: World, route: &RouteId, id: &RolloutId) -> Result<Option<Self>, Error> {
        let ledger = Ledger::<Undo>::open(Arc::clone(&world.log), route).await?;
        match ledger.latest() {
            Some((open, undo)) if open == id && !undo.state().is_end() => {
                Self::take(world.traced(), id.clone(), ledger).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn take(world: World, id: RolloutId, ledger: Ledger<Undo>) -> Result<Self, Error> {
        let (fence, opened) = (Fence::new(Seq::FIRST), world.clock.now());
        let mut this = Self {
            world,
            id,
            ledger,
            fence,
            holds: false,
            opened,
            looks: Self::LOOKS,
            listeners: Vec::new(),
            stage: None,
        };
        let (log, route) = (Arc::clone(&this.world.log), this.undo().order().route.clone());
        if this.undo().state().is_end() {
            // One that was killed after its last event has not released the route yet; otherwise whoever opens a
            // rollback that is over changes nothing.
            let journal = RouteJournal::open(log, &route).await.map_err(Error::Route)?;
            this.holds = journal.holder() == Some(&this.holder());
        } else {
            let seized = RouteJournal::seize(log, &route, &this.holder(), this.world.clock.now()).await;
            this.fence = seized.map_err(Error::Route)?;
            this.holds = true;
        }
        Ok(this)
    }

    /// How far it is.
    #[must_use]
    pub fn undo(&self) -> &Undo {
        let (_, undo) = self.ledger.latest().expect("a driver has opened its rollback");
        undo
    }

    /// Under which name it holds the route.
    fn holder(&self) -> String {
        holder(&self.id)
    }

    /// Calls `listener` with every line that this driver writes, once it is durable.
    #[must_use]
    pub fn on_record(mut self, listener: impl Fn(&Line<Undo>, &Undo) + Send + Sync + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// As if it had been opened at `opened`, where whoever runs it opens it again and again.
    pub(crate) const fn since(mut self, opened: SystemTime) -> Self {
        self.opened = opened;
        self
    }

    /// Looks every so often whether somebody [calls it off](Ledger::abort). The default is 2 s.
    #[must_use]
    pub const fn looking_every(mut self, pause: Duration) -> Self {
        self.looks = pause;
        self
    }

    /// Does what is owed until nothing is, and returns the end.
    ///
    /// # Errors
    ///
    /// [`Error::Superseded`] when somebody else took the route; otherwise the journal's errors. After
    /// any of them the rollback is where its journal says, and nothing is acted on any more.
    pub async fn run(self) -> Result<State, Error> {
        // Made here, it is a part of the span in which this is awaited.
        let span = self.span();
        Box::pin(self.drive().instrument(span)).await
    }

    fn span(&self) -> Span {
        let order = self.undo().order();
        tracing::info_span!(
            "tidegate.rollback",
            tidegate.rollback = %self.id,
            tidegate.route = %order.route,
            tidegate.from = %order.from,
            tidegate.to = %order.to,
            tidegate.end = field::Empty
        )
    }

    async fn drive(mut self) -> Result<State, Error> {
        self.stage = Some(UndoStage::find(self.undo()));
        while !self.undo().state().is_end() {
            let step = self.stage.as_ref().map_or_else(Span::none, |stage| stage.span.clone());
            let performed = tokio::select! {
                biased;
                () = self.overtaken() => None,
                performed = self.perform().instrument(step) => Some(performed),
            };
            let event = match performed {
                None => {
                    self.hear().await?;
                    continue;
                }
                Some(Ok(event)) => event,
                Some(Err(NotDone::Superseded)) => return Err(Error::Superseded),
                Some(Err(error)) => self.undo().given_up(error),
            };
            let line = Entry { at: self.world.clock.now(), record: Record::Happen(event) };
            match self.ledger.write(line.clone()).await {
                Ok(()) => {
                    let (_, undo) = self.ledger.latest().expect("a driver has opened its rollback");
                    tell(&self.id, &self.listeners, &mut self.stage, &line, undo);
                }
                // Perhaps it was called off at this moment.
                Err(Error::Superseded) => self.hear().await?,
                Err(error) => return Err(error),
            }
        }
        if self.holds {
            let (log, route) = (Arc::clone(&self.world.log), &self.undo().order().route);
            let released = RouteJournal::release(log, route, &self.holder(), self.world.clock.now()).await;
            released.map_err(Error::Route)?;
        }
        Ok(self.undo().state().clone())
    }

    /// Waits until others have written into the journal.
    async fn overtaken(&self) {
        let clock = self.world.clock;
        while !self.ledger.is_behind().await {
            clock.sleep_until(clock.now() + self.looks).await;
        }
    }

    /// Takes in that somebody calls it off. Whoever writes anything else has taken it over.
    async fn hear(&mut self) -> Result<(), Error> {
        let (id, listeners, stage) = (&self.id, &self.listeners, &mut self.stage);
        self.ledger
            .take_news(|line, undo| match &line.record {
                Record::Happen(Event::Aborted { .. } | Event::Took(_)) => {
                    tell(id, listeners, stage, line, undo);
                    Ok(())
                }
                _ => Err(Error::Superseded),
            })
            .await
    }

    /// When to give up on what is owed now. Nobody was patient while nobody ran it.
    fn until(&self) -> SystemTime {
        self.undo().until().max(self.opened + self.undo().order().patience)
    }

    async fn perform(&self) -> Result<Event, NotDone> {
        let World { router, deployer, clock, .. } = &self.world;
        let hands = Actuator { router: &**router, deployer: &**deployer, clock: *clock, fence: self.fence };
        let order = self.undo().order();
        let until = self.until();
        Ok(match self.undo().duty() {
            Duty::Clear => self.clear(&hands, until).await?,
            Duty::Condemn => {
                self.condemn(until).await?;
                Event::Condemned
            }
            Duty::Ensure { slot } => {
                // Where it replaces what is in service, it has traffic at once.
                match *self.undo().state() {
                    State::Replace => self.expect_unmoved(&mut Patience::new(*clock, until)).await?,
                    State::Reassert { recorded } => {
                        if let Some(moved) = self.moved(recorded, until).await? {
                            return Ok(moved);
                        }
                    }
                    _ => {}
                }
                hands.ensure(&order.workload(slot), until).await?;
                Event::Ready
            }
            Duty::Nothing => unreachable!("the loop ends with the rollback"),
            Duty::Observe { window, due, side } => {
                clock.sleep_until(due).await;
                let State::Prove { recorded, .. } = *self.undo().state() else {
                    unreachable!("only what is proven is observed")
                };
                match self.displaced(recorded).await? {
                    Some(displaced) => displaced,
                    None => self.observe(window, &side).await,
                }
            }
            Duty::Record => Event::Recorded { seq: self.record(until).await? },
            Duty::Remove => {
                // A rollout that was seized may have had one; most have not, and then no deployer need know the slot.
                let baseline = tokio::time::timeout(WITHIN, deployer.status(Slot::Baseline)).await;
                if baseline.is_ok_and(|seen| seen.is_ok_and(|seen| seen != Readiness::Absent)) {
                    hands.remove(Slot::Baseline, until).await?;
                }
                hands.remove(Slot::Candidate, until).await?;
                Event::Removed
            }
            Duty::Route { traffic, on } => {
                if *self.undo().state() == State::Shift {
                    self.expect_unmoved(&mut Patience::new(*clock, until)).await?;
                }
                hands.route(&order.route, &traffic, &[order.workload(on)], false, until).await?;
                Event::Routed
            }
            Duty::Verify => match self.taken(until).await? {
                Some(took) => Event::Took(took),
                None => self.verify(until).await?,
            },
            Duty::Wait { until } => {
                clock.sleep_until(until).await;
                Event::Elapsed
            }
        })
    }

    async fn observe(&self, window: Window, side: &Side) -> Event {
        let criteria = self.undo().order().recovery.iter().flat_map(|recovery| &recovery.criteria);
        let World { metrics, clock, .. } = &self.world;
        // A look must be over before the next is due.
        let patience = window.length();
        let see =
            criteria.map(|criterion| side.observe(&**metrics, &criterion.metric, window, *clock, patience));
        Event::Observed { window, seen: join_all(see).await }
    }
}

/// Under which name a rollback holds a route.
fn holder(id: &RolloutId) -> String {
    format!("{HOLDER}{id}")
}

/// Which rollback it is that holds a route under this name, if it is one.
fn held_by(holder: &str) -> Option<RolloutId> {
    holder.strip_prefix(HOLDER)?.parse().ok()
}

const HOLDER: &str = "rollback ";

fn tell(
    id: &RolloutId,
    listeners: &[Listener],
    stage: &mut Option<UndoStage>,
    line: &Line<Undo>,
    undo: &Undo,
) {
    if let Some(stage) = stage {
        stage.take(line.at, undo);
    }
    let Order { route, to, reason, .. } = undo.order();
    tracing::warn!(rollback = %id, %route, %to, %reason, state = %undo.state(), "rollback");
    for listener in listeners {
        listener(line, undo);
    }
}

impl Machine for Undo {
    type Event = Event;
    type Order = Order;

    const KIND: &'static str = "rollback";

    fn begin(order: Order, at: SystemTime) -> Self {
        Self::new(order, at)
    }

    fn happen(&mut self, event: &Event, at: SystemTime) -> Result<(), BoxError> {
        self.apply(event, at).map_err(Into::into)
    }
}

impl fmt::Debug for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollback").field("id", &self.id).field("undo", self.undo()).finish_non_exhaustive()
    }
}
