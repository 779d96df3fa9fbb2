//! Runs a rollout: does what it owes, and writes down what happened before believing it.

use std::{fmt, sync::Arc};

use tidegate_metrics::MetricsSource;
use tidegate_registry::{Log, ModelStore};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Calendar, Deployer, Entry, Error, Event, Gatekeepers, Plan, Record, Request, Rollout, RolloutId,
    RouteJournal, State, TrafficRouter, WallClock, doors::Doors, perform::perform,
};

/// What a rollout acts on and is recorded in.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a world is made as a literal")]
pub struct World {
    /// Where versions live.
    pub store: Arc<dyn ModelStore>,
    /// Where journals and channels live.
    pub log: Arc<dyn Log>,
    /// Where observations come from.
    pub metrics: Arc<dyn MetricsSource>,
    /// What moves traffic.
    pub router: Arc<dyn TrafficRouter>,
    /// What makes versions run.
    pub deployer: Arc<dyn Deployer>,
    /// Who lets it go on, by the names in its plan.
    pub gates: Gatekeepers,
    /// What time it is.
    pub clock: WallClock,
}

/// Runs one rollout to its end.
///
/// Its one rule: *what is not in the journal did not happen*. Every duty is absolute and idempotent, so a
/// driver may be killed anywhere; [`open`](Self::open) with the same id goes on where the journal ends.
/// Whoever opens it takes the route with a new fence, so an older driver that still runs stops by itself.
pub struct Driver {
    world: World,
    journal: RouteJournal,
    requests: mpsc::Receiver<Asked>,
    listeners: Vec<Listener>,
}

/// Asks things of a rollout that is being driven. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Asked>,
}

type Listener = Box<dyn Fn(&Entry, &Rollout) + Send + Sync>;
type Asked = (Request, oneshot::Sender<Result<(), Error>>);

impl Driver {
    /// Takes the plan's route and opens the rollout `id`, or continues it where its journal ends.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when another rollout is under way on the route, [`Error::Held`] when a rollback is;
    /// [`Error::PlanChanged`] when `id` was opened with another plan, [`Error::IdUsed`] when others have followed
    /// it since; [`Error::Superseded`] when somebody else took the route at this moment;
    /// otherwise the journal's errors.
    pub async fn open(world: World, id: RolloutId, plan: Plan) -> Result<(Self, Handle), Error> {
        let mut journal = RouteJournal::open(Arc::clone(&world.log), &plan.route).await?;
        let record = match journal.latest() {
            Some((open, rollout)) if *open == id && !rollout.follows(&plan) => {
                return Err(Error::PlanChanged { id });
            }
            // A rollout that is over stays as it is, whoever opens it again.
            Some((open, rollout)) if *open == id => {
                (!rollout.state().is_end()).then_some(Record::Resume { id })
            }
            _ => Some(Record::Open { id, plan: Box::new(plan) }),
        };
        if let Some(record) = record {
            journal.write(Entry { at: world.clock.now(), record }).await?;
        }
        let (sender, requests) = mpsc::channel(16);
        Ok((Self { world, journal, requests, listeners: Vec::new() }, Handle { requests: sender }))
    }

    /// Calls `listener` with everything that happens from now on, once it is durable.
    ///
    /// What must not be lost when the process dies is read from the [`RouteJournal`] instead.
    #[must_use]
    pub fn on_record(mut self, listener: impl Fn(&Entry, &Rollout) + Send + Sync + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// The rollout as it is.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        let (_, rollout) = self.journal.latest().expect("a driver has opened its rollout");
        rollout
    }

    /// Does what is owed until nothing is, and returns the end.
    ///
    /// # Errors
    ///
    /// [`Error::Superseded`] when somebody else took the route; [`Error::Unattended`] when it waits for a
    /// person and every [`Handle`] is gone; otherwise the journal's errors. After any of them the rollout
    /// is where its journal says, and nothing is acted on any more.
    pub async fn run(mut self) -> Result<State, Error> {
        let mut attended = true;
        let mut doors = Doors::default();
        while !self.rollout().state().is_end() {
            let (id, rollout) = self.journal.latest().expect("a driver has opened its rollout");
            if rollout.awaits_person() && !attended {
                return Err(Error::Unattended);
            }
            let fence = self.journal.fence().expect("a journal with an open rollout has a line");
            doors.tend(&self.world, id, rollout);
            let owed = perform(&self.world, id, rollout, fence);
            let season = season(self.world.clock, rollout);
            tokio::select! {
                biased;
                request = self.requests.recv(), if attended => match request {
                    Some((request, reply)) => self.obey(request, reply).await?,
                    None => attended = false,
                },
                event = season => self.happen(event).await?,
                event = doors.answer() => self.happen(event).await?,
                event = owed => self.happen(event?).await?,
            }
        }
        Ok(self.rollout().state().clone())
    }

    /// A request that makes no sense is answered; it does not end the rollout.
    async fn obey(
        &mut self,
        request: Request,
        reply: oneshot::Sender<Result<(), Error>>,
    ) -> Result<(), Error> {
        let (answer, result) = match self.happen(Event::Ask(request)).await {
            Err(Error::Illegal(illegal)) => (Err(Error::Illegal(illegal)), Ok(())),
            Ok(()) => (Ok(()), Ok(())),
            Err(error) => (Err(Error::Stopped), Err(error)),
        };
        // Whoever asked may have gone; what they asked for has happened all the same.
        let _gone = reply.send(answer);
        result
    }

    async fn happen(&mut self, event: Event) -> Result<(), Error> {
        let entry = Entry { at: self.world.clock.now(), record: Record::Happen(event) };
        tracing::debug!(record = ?entry.record, "journaling");
        self.journal.write(entry.clone()).await?;
        let rollout = self.rollout();
        tracing::info!(route = %rollout.plan().route, state = %rollout.state(), "rollout");
        for listener in &self.listeners {
            listener(&entry, rollout);
        }
        Ok(())
    }
}

/// Returns once the freezes of the plan say otherwise than the rollout knows.
async fn season(clock: WallClock, rollout: &Rollout) -> Event {
    let freezes = &rollout.plan().freeze;
    while rollout.state().is_before_promotion() {
        let now = Calendar::any(freezes, clock.now());
        match (now.inside, rollout.knows_of_freeze()) {
            (true, false) => {
                let on = freezes.iter().filter(|freeze| freeze.now(clock.now()).inside);
                let why = on.map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Event::Frozen { why };
            }
            (false, true) => return Event::Thawed,
            _ => {}
        }
        let Some(change) = now.changes else { break };
        clock.sleep_until(change).await;
    }
    std::future::pending().await
}

impl Handle {
    /// Asks for something, and returns once it is journaled.
    ///
    /// # Errors
    ///
    /// [`Error::Illegal`] when that is not possible now, [`Error::Stopped`] when the driver has ended.
    pub async fn ask(&self, request: Request) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send((request, reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("world", &self.world)
            .field("rollout", self.rollout())
            .finish_non_exhaustive()
    }
}
