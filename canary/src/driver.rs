//! Runs a rollout: does what it owes, and writes down what happened before believing it.

use std::{collections::BTreeSet, fmt, num::NonZeroU64, sync::Arc, time::Duration};

use tidegate_metrics::MetricsSource;
use tidegate_registry::{Log, ModelStore};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span, field};

use crate::{
    Deployer, Entry, Error, Event, Gatekeepers, Plan, Record, Request, Rollout, RolloutId, State,
    TrafficRouter, WallClock,
    doors::Doors,
    journal::{Keeping, Pen},
    perform::perform,
    telemetry::Stage,
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
    looks: Duration,
    snapshots: u64,
    journal: Pen,
    requests: mpsc::Receiver<Asked>,
    listeners: Vec<Listener>,
    /// What is told of where the rollout is, while it is driven.
    stage: Option<Stage>,
}

/// Asks things of a rollout that is being driven. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Asked>,
}

type Listener = Box<dyn Fn(&Entry, &Rollout) + Send + Sync>;
/// Behind a pointer, since a channel has room for many, and a rollout that waits has one of them.
type Asked = Box<(Request, oneshot::Sender<Result<(), Error>>)>;

impl Driver {
    const LOOKS: Duration = Duration::from_secs(2);
    const SNAPSHOTS: u64 = 256;

    /// Takes the plan's route and opens the rollout `id`, or continues it where its journal ends.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when another rollout is under way on the route, [`Error::Held`] when a rollback is;
    /// [`Error::PlanChanged`] when `id` was opened with another plan, [`Error::IdUsed`] when others have followed
    /// it since; [`Error::Superseded`] when somebody else took the route at this moment;
    /// otherwise the journal's errors.
    pub async fn open(world: World, id: RolloutId, plan: Plan) -> Result<(Self, Handle), Error> {
        let mut journal = Pen::take_up(Arc::clone(&world.log), &plan.route).await?;
        loop {
            let record = match journal.latest() {
                Some((open, rollout)) if *open == id && !rollout.follows(&plan) => {
                    return Err(Error::PlanChanged { id });
                }
                // A rollout that is over stays as it is, whoever opens it again.
                Some((open, rollout)) if *open == id && rollout.state().is_end() => break,
                Some((open, _)) if *open == id => Record::Resume { id: id.clone() },
                _ => Record::Open { id: id.clone(), plan: Box::new(plan.clone()) },
            };
            match journal.write(&Entry { at: world.clock.now(), record }).await {
                Ok(()) => break,
                // If somebody only asked for something, it can still be opened.
                Err(Error::Superseded) => journal.hear(|_, _| ()).await?,
                Err(error) => return Err(error),
            }
        }
        let (sender, requests) = mpsc::channel(16);
        let (looks, snapshots) = (Self::LOOKS, Self::SNAPSHOTS);
        let world = world.traced();
        let driver = Self { world, looks, snapshots, journal, requests, listeners: Vec::new(), stage: None };
        Ok((driver, Handle { requests: sender }))
    }

    /// Looks every so often whether others have written into the journal: what they [ask](crate::RouteJournal::ask) it
    /// does, and when they have taken the route it stops. The default is 2 s; each look reads one record of the
    /// log.
    #[must_use]
    pub const fn looking_every(mut self, pause: Duration) -> Self {
        self.looks = pause;
        self
    }

    /// Keeps a [snapshot](Log::keep) of the journal after so many records at least, so that whoever opens the rollout
    /// next need not read and judge again what came before. The default is 256. It is kept while nothing is owed that
    /// moves traffic, and where it cannot be, opening takes longer, and that is all.
    #[must_use]
    pub const fn snapshot_every(mut self, records: NonZeroU64) -> Self {
        self.snapshots = records.get();
        self
    }

    /// Calls `listener` with everything that happens from now on, once it is durable.
    ///
    /// What must not be lost when the process dies is read from the [`RouteJournal`](crate::RouteJournal) instead.
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
    pub async fn run(self) -> Result<State, Error> {
        // Made here, it is a part of the span in which this is awaited.
        let span = self.span();
        Box::pin(self.drive().instrument(span)).await
    }

    fn span(&self) -> Span {
        let (id, rollout) = self.journal.latest().expect("a driver has opened its rollout");
        let plan = rollout.plan();
        tracing::info_span!(
            "tidegate.rollout",
            tidegate.rollout = %id,
            tidegate.route = %plan.route,
            tidegate.stable = %plan.stable,
            tidegate.candidate = %plan.candidate,
            tidegate.end = field::Empty
        )
    }

    async fn drive(mut self) -> Result<State, Error> {
        self.stage = Some(Stage::find(self.rollout(), self.world.clock.now()));
        let mut attended = true;
        let mut doors = Doors::default();
        let mut keeping = Keeping::default();
        while !self.rollout().state().is_end() {
            if self.rollout().awaits_person() && !attended {
                return Err(Error::Unattended);
            }
            keeping.tend(&self.world.log, &mut self.journal, self.snapshots);
            let (id, rollout) = self.journal.latest().expect("a driver has opened its rollout");
            let fence = self.journal.fence().expect("a journal with an open rollout has a line");
            doors.tend(&self.world, id, rollout);
            let step = self.stage.as_ref().map_or_else(Span::none, |stage| stage.span.clone());
            let owed = perform(&self.world, id, rollout, fence).instrument(step);
            let season = season(self.world.clock, rollout);
            let overtaken = self.journal.overtaken(self.world.clock, self.looks);
            tokio::select! {
                biased;
                request = self.requests.recv(), if attended => match request {
                    Some(asked) => self.obey(*asked).await?,
                    None => attended = false,
                },
                () = overtaken => self.hear().await?,
                // Where somebody asked for something at this moment, another thing may be owed now.
                event = season => drop(self.happen(&event).await?),
                event = doors.answer() => drop(self.happen(&event).await?),
                event = owed => drop(self.happen(&event?).await?),
                () = keeping.done() => {}
            }
        }
        Ok(self.rollout().state().clone())
    }

    /// A request that makes no sense is answered; it does not end the rollout.
    async fn obey(
        &mut self,
        (request, reply): (Request, oneshot::Sender<Result<(), Error>>),
    ) -> Result<(), Error> {
        let event = Event::Ask(request);
        let asked = async {
            while !self.happen(&event).await? {}
            Ok(())
        };
        let (answer, result) = match asked.await {
            Err(Error::Illegal(illegal)) => (Err(Error::Illegal(illegal)), Ok(())),
            Ok(()) => (Ok(()), Ok(())),
            Err(error) => (Err(Error::Stopped), Err(error)),
        };
        // Whoever asked may have gone; what they asked for has happened all the same.
        let _gone = reply.send(answer);
        result
    }

    /// Writes down that `event` happened, unless somebody else wrote at this moment. Then their requests have been
    /// taken in instead, and the answer is `false`.
    async fn happen(&mut self, event: &Event) -> Result<bool, Error> {
        let entry = Entry { at: self.world.clock.now(), record: Record::Happen(event.clone()) };
        tracing::debug!(record = ?entry.record, "journaling");
        match self.journal.write(&entry).await {
            Err(Error::Superseded) => self.hear().await.map(|()| false),
            Err(error) => Err(error),
            Ok(()) => {
                let (_, rollout) = self.journal.latest().expect("a driver has opened its rollout");
                tell(&self.listeners, &mut self.stage, &entry, rollout);
                Ok(true)
            }
        }
    }

    /// Takes in what others have asked.
    async fn hear(&mut self) -> Result<(), Error> {
        let (listeners, stage) = (&self.listeners, &mut self.stage);
        let heard = self.journal.hear(|entry, rollout| tell(listeners, stage, entry, rollout)).await;
        let (_, rollout) = self.journal.latest().expect("a driver has opened its rollout");
        if let (Err(Error::Superseded), Some(stage)) = (&heard, &mut self.stage) {
            stage.overtaken(rollout, self.world.clock.now());
        }
        heard
    }
}

fn tell(listeners: &[Listener], stage: &mut Option<Stage>, entry: &Entry, rollout: &Rollout) {
    if let Some(stage) = stage {
        stage.take(entry, rollout);
    }
    tracing::info!(route = %rollout.plan().route, state = %rollout.state(), "rollout");
    for listener in listeners {
        listener(entry, rollout);
    }
}

/// Returns once other freezes of the plan are on than the rollout knows.
async fn season(clock: WallClock, rollout: &Rollout) -> Event {
    let freezes = &rollout.plan().freeze;
    while rollout.state().is_before_promotion() {
        let now: Vec<_> = freezes.iter().map(|freeze| freeze.now(clock.now())).collect();
        let on: BTreeSet<_> = (0..freezes.len()).filter(|&i| now[i].inside).collect();
        if on != *rollout.freezes() {
            let why = on.iter().map(|&i| freezes[i].to_string()).collect::<Vec<_>>().join(", ");
            return if on.is_empty() { Event::Thawed } else { Event::Frozen { on, why } };
        }
        let Some(change) = now.iter().filter_map(|now| now.changes).min() else { break };
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
        self.requests.send(Box::new((request, reply))).await.map_err(|_| Error::Stopped)?;
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
