//! Watches on a route that others use as well: rollouts to other versions, people who move the channel and go back by
//! hand, drills, watches of other names, and couriers whose recipient is down. Any of them is killed at any moment.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tidegate_canary::{
    Deployer, Driver, Event as RouteEvent, Fence, Plan, Record as RouteRecord, Release, Request, RolloutId,
    RouteId, RouteJournal, Slot, State as RolloutState, Traffic, TrafficRouter, World,
    metrics::{
        self, Criterion, Measurement, Metric, MetricsSource, Observation, Selector, Statistic, Window,
    },
    notify::{self, Courier, Narrate, Notice, Recipient, Undelivered},
    testkit::{Fault, Flaky},
};
use tidegate_registry::{Cause, Channel, Expect, Lifecycle, ModelRef, ModelStore as _, Move, Seq, Stamp};
use tidegate_rollback::{
    Guard, Intent, Ledger, Line, Machine, Order, Record, Recovery, Rollback, State, Target, Undo, Vigil,
    VigilEvent, VigilRequest, Vigilance, Watch, drill,
    notify::{Narrator, Tell},
};
use tokio::task::JoinHandle;

use crate::{
    chaos::{self, FlakyLog, Watched, raise},
    stage::{self, Requests, Stage},
};

/// So many crowds in a quick run; each takes a tenth of a second.
const SEEDS: u64 = 24;

/// For so many steps there is a crowd; then everybody goes home and what was begun comes to its end.
const STEPS: usize = 250;

/// Which versions are ill, and since when.
#[derive(Clone, Debug)]
struct Health(Vec<(String, SystemTime)>);

#[async_trait]
impl MetricsSource for Health {
    async fn observe(
        &self,
        _: &Metric,
        side: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        let is_ill = |(version, since): &(String, SystemTime)| {
            side.get("version") == Some(version.as_str()) && window.end() > *since
        };
        let failed = if self.0.iter().any(is_ill) { 400 } else { 5 };
        Ok(Observation::proportion(failed, 1_000).unwrap().into())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the seed says")
    }
}

/// A recipient that is down until somebody mends it.
#[derive(Clone, Debug, Default)]
struct Mailbox {
    up: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Recipient for Mailbox {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        if !self.up.load(Ordering::Relaxed) {
            let (recipient, source) = ("the mailbox".to_owned(), "it is down".into());
            return Err(Undelivered::Unavailable { recipient, retry_after: None, source });
        }
        self.taken.lock().unwrap().push(notice.id.clone());
        Ok(())
    }
}

struct Crowd {
    stage: Stage,
    world: World,
    watched: Watched,
    mailbox: Mailbox,
    chance: fastrand::Rng,
    tasks: Vec<JoinHandle<()>>,
    /// The watches and rollouts by their names, and the drill, as they were opened.
    watches: Vec<(RolloutId, Watch)>,
    rollouts: Vec<(RolloutId, Plan)>,
    drilled: Option<(RolloutId, Order)>,
    named: usize,
}

impl Crowd {
    async fn new(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
        assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
        for version in ["fraud@1.2.0", "fraud@1.3.0"] {
            stage::publish(&stage.store, version, stage.clock.now()).await;
        }
        let mut ill = Vec::new();
        for version in ["1.1.0", "1.2.0", "1.3.0"] {
            if chance.u8(..10) < 6 {
                ill.push((version.to_owned(), stage.clock.now() + Duration::from_secs(chance.u64(..9_000))));
            }
        }
        let watched = Watched::new(&stage.router, &stage.deployer, &stage.plan().route);
        let world = World {
            router: Arc::new(watched.faulty(seed)),
            deployer: Arc::new(watched.faulty(seed ^ 1)),
            metrics: Arc::new(Flaky::new(Health(ill), seed ^ 2).with_share(Fault::Before, 0.1)),
            log: Arc::new(FlakyLog::new(&stage.store, seed ^ 3, 60).with_reads()),
            ..stage.world()
        };
        Self {
            stage,
            world,
            watched,
            mailbox: Mailbox::default(),
            chance,
            tasks: Vec::new(),
            watches: Vec::new(),
            rollouts: Vec::new(),
            drilled: None,
            named: 0,
        }
    }

    fn route(&self) -> RouteId {
        self.stage.plan().route.clone()
    }

    fn name(&mut self, who: &str) -> RolloutId {
        self.named += 1;
        format!("{who}-{}", self.named).parse().unwrap()
    }

    /// What the channel points to, by a registry that always answers.
    async fn in_service(&self) -> Release {
        self.release(&self.stage.moves().await.last().unwrap().to).await
    }

    async fn release(&self, model: &ModelRef) -> Release {
        Release::from(&self.stage.store.manifest(model).await.unwrap())
    }

    async fn ledger<M: Machine>(&self) -> Ledger<M> {
        Ledger::open(Arc::new(self.stage.store.clone()), &self.route()).await.unwrap()
    }

    async fn journal(&self) -> RouteJournal {
        RouteJournal::open(Arc::new(self.stage.store.clone()), &self.route()).await.unwrap()
    }

    /// Somebody does something.
    async fn step(&mut self) {
        let (over, running) = self.tasks.drain(..).partition(JoinHandle::is_finished);
        self.tasks = running;
        raise::<()>(over).await;
        match self.chance.u8(..24) {
            0..=2 if !self.tasks.is_empty() => {
                let killed = self.chance.usize(..self.tasks.len());
                self.tasks[killed].abort();
            }
            3..=6 => self.guard().await,
            7..=9 => self.roll_out().await,
            10 => self.go_back().await,
            11 | 12 => self.drill().await,
            13 | 14 => self.ask_watch().await,
            15 => self.move_channel().await,
            16 => self.call_off().await,
            17 => self.ask_rollout().await,
            18 | 19 => self.carry(),
            20 => self.mailbox.up.store(self.chance.bool(), Ordering::Relaxed),
            _ => {}
        }
        let pause = self.chance.u64(1..120);
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }

    /// Keeps the last watch, or opens one of another name of what is in service.
    async fn guard(&mut self) {
        if self.watches.is_empty() || self.chance.u8(..3) == 0 {
            let criteria =
                vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15).with_alpha(0.001)];
            let mut watch = Watch::new(self.route(), self.in_service().await);
            watch.recovery = self.chance.bool().then(|| Recovery::new(criteria.clone()));
            watch.criteria = criteria;
            watch.lasts = Duration::from_secs(self.chance.u64(1_200..7_200));
            watch.quarantine = self.chance.bool();
            watch.brakes.cool_down = Duration::from_secs(self.chance.u64(..1_200));
            let id = self.name("watch");
            self.watches.push((id, watch));
        }
        let (id, watch) = self.watches.last().unwrap().clone();
        // Whoever is refused, for whichever reason, does nothing.
        if let Ok(guard) = Guard::open(self.world.clone(), id, watch).await {
            self.tasks.push(tokio::spawn(async move { drop(guard.run().await) }));
        }
    }

    /// Goes on with the rollout that is open, or opens another one.
    async fn roll_out(&mut self) {
        let journal = self.journal().await;
        let open = journal.latest().filter(|(_, rollout)| !rollout.state().is_end());
        if open.is_none() {
            let mut spec = self.stage.spec();
            spec.stable = self.in_service().await;
            let versions = ["fraud@1.1.0", "fraud@1.2.0", "fraud@1.3.0"];
            let candidate = versions[self.chance.usize(..versions.len())].parse().unwrap();
            spec.candidate = self.release(&candidate).await;
            let Ok(plan) = spec.build() else { return };
            let id = self.name("ci");
            self.rollouts.push((id, plan));
        }
        let (id, plan) = self.rollouts.last().unwrap().clone();
        if let Ok((driver, handle)) = Driver::open(self.world.clone(), id, plan).await {
            self.tasks.push(tokio::spawn(async move {
                let _handle = handle;
                drop(driver.run().await);
            }));
        }
    }

    async fn order(&self, target: &Target) -> Option<Order> {
        let name = self.stage.stable.model.name().clone();
        let intent = Intent::new(self.route(), name, "a person says so").to(target.clone());
        let (order, _) = Order::choose(&self.world, intent).await.ok()?;
        Some(Order { drain: Duration::from_secs(10), by: Some("ada".to_owned()), ..order })
    }

    /// A person goes back, or on with that.
    async fn go_back(&mut self) {
        let ledger = self.ledger::<Undo>().await;
        let rollback = match ledger.latest().filter(|(_, undo)| !undo.state().is_end()) {
            Some((id, _)) => Rollback::resume(self.world.clone(), &self.route(), id).await.ok().flatten(),
            None => match self.order(&Target::LastGood).await {
                Some(order) => Rollback::open(self.world.clone(), self.name("inc"), order).await.ok(),
                None => None,
            },
        };
        if let Some(rollback) = rollback {
            self.tasks.push(tokio::spawn(async move { drop(rollback.run().await) }));
        }
    }

    async fn drill(&mut self) {
        let held = self.journal().await.holder().is_some_and(|by| by.starts_with("drill "));
        if !held && let Some(order) = self.order(&Target::LastGood).await {
            self.drilled = Some((self.name("drill"), order));
        }
        if let Some((id, order)) = self.drilled.clone() {
            let world = self.world.clone();
            self.tasks.push(tokio::spawn(async move { drop(drill(&world, &id, order).await) }));
        }
    }

    async fn ask_watch(&mut self) {
        let (by, reason) = (|| "ada".to_owned(), || "because".to_owned());
        let request = match self.chance.u8(..8) {
            0 => VigilRequest::Stop { by: by(), reason: reason() },
            1 => VigilRequest::RollBack { by: by(), reason: reason() },
            2 => VigilRequest::Alarm { by: by(), reason: reason() },
            3 | 4 => VigilRequest::Hold { by: by(), reason: reason() },
            _ => VigilRequest::Resume { by: by() },
        };
        if let Ok(mut ledger) = Ledger::<Vigil>::open(Arc::clone(&self.world.log), &self.route()).await {
            let _answer = ledger.ask(request, self.stage.clock.now()).await;
        }
    }

    /// A person says that what runs in the stable slot is what is in service, and that it is good.
    async fn move_channel(&self) {
        let Some(running) = self.stage.deployer.status(Slot::Stable).await.unwrap().ready().cloned() else {
            return;
        };
        let (channels, production) = (self.stage.channels(), Channel::production());
        let stamp = || Stamp { by: "ada".to_owned(), at: self.stage.clock.now() };
        let moved =
            channels.promote(&running.model, &production, &Expect::Any, Cause::Promote, stamp()).await;
        // Content in quarantine is refused.
        if let Ok(moved) = moved {
            let _settled = channels.settle(running.model.name(), &production, moved.seq, stamp()).await;
        }
    }

    async fn call_off(&self) {
        if let Ok(mut ledger) = Ledger::<Undo>::open(Arc::clone(&self.world.log), &self.route()).await {
            let _answer = ledger.abort("ada", "because", self.stage.clock.now()).await;
        }
    }

    async fn ask_rollout(&mut self) {
        let (by, reason) = (|| "ada".to_owned(), || "because".to_owned());
        let request = match self.chance.u8(..4) {
            0 => Request::Abort { by: by(), reason: reason() },
            1 => Request::Hold { by: by() },
            2 => Request::Promote { by: by(), reason: reason() },
            _ => Request::Resume { by: by() },
        };
        if let Ok(mut journal) = RouteJournal::open(Arc::clone(&self.world.log), &self.route()).await {
            let _answer = journal.ask(request, self.stage.clock.now()).await;
        }
    }

    fn couriers<N: Narrate>(&self, narrator: N) -> Courier<N> {
        let (log, clock) = (Arc::clone(&self.world.log), self.stage.clock);
        let courier = Courier::following(log, narrator, "mail", self.mailbox.clone(), clock).unwrap();
        courier.starting_at(Seq::FIRST).with_patience(Duration::from_secs(365 * 24 * 3600))
    }

    /// A courier for one of the journals; perhaps there is one already.
    fn carry(&mut self) {
        let route = self.route();
        self.tasks.push(match self.chance.u8(..3) {
            0 => {
                let courier = self.couriers(Narrator::<Vigil>::new(route));
                tokio::spawn(async move { drop(courier.run().await) })
            }
            1 => {
                let courier = self.couriers(Narrator::<Undo>::new(route));
                tokio::spawn(async move { drop(courier.run().await) })
            }
            _ => {
                let courier = self.couriers(notify::Narrator::new(route));
                tokio::spawn(async move { drop(courier.run().await) })
            }
        });
    }

    /// Everybody goes home, and what was begun comes to its end; whatever stands in the way is tried again.
    async fn end(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        raise(self.tasks.drain(..)).await;
        for _ in 0..200 {
            if self.is_over().await {
                return;
            }
            Box::pin(self.finish()).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let (watch, undo) = (self.ledger::<Vigil>().await, self.ledger::<Undo>().await);
        let journal = self.journal().await;
        panic!(
            "it does not end: the watch {:?}, the rollback {:?}, the rollout {:?}, held by {:?}",
            watch.latest().map(|(_, vigil)| vigil.state().to_string()),
            undo.latest().map(|(_, undo)| undo.state().to_string()),
            journal.latest().map(|(_, rollout)| rollout.state().to_string()),
            journal.holder(),
        );
    }

    async fn is_over(&self) -> bool {
        let (watches, rollbacks) = (self.ledger::<Vigil>().await, self.ledger::<Undo>().await);
        let journal = self.journal().await;
        journal.holder().is_none()
            && watches.latest().is_none_or(|(_, vigil)| vigil.state().is_end())
            && rollbacks.latest().is_none_or(|(_, undo)| undo.state().is_end())
            && journal.latest().is_none_or(|(_, rollout)| rollout.state().is_end())
    }

    async fn finish(&self) {
        let now = self.stage.clock.now();
        let watches = self.ledger::<Vigil>().await;
        if let Some((id, vigil)) = watches.latest().filter(|(_, vigil)| !vigil.state().is_end()) {
            let stop = VigilRequest::Stop { by: "ada".to_owned(), reason: "it is late".to_owned() };
            let _answer = self.ledger::<Vigil>().await.ask(stop, now).await;
            if let Ok(guard) = Guard::open(self.world.clone(), id.clone(), vigil.watch().clone()).await {
                let _end = guard.run().await;
            }
            return;
        }
        let rollbacks = self.ledger::<Undo>().await;
        if let Some((id, undo)) = rollbacks.latest() {
            if !undo.state().is_end() {
                if let Ok(Some(rollback)) = Rollback::resume(self.world.clone(), &self.route(), id).await {
                    let _end = rollback.run().await;
                }
                return;
            }
            // One that was killed at its end gives the route back so.
            let _answer = self.ledger::<Undo>().await.abort("ada", "it is late", now).await;
        }
        let mut journal = self.journal().await;
        if journal.holder().is_some_and(|by| by.starts_with("drill "))
            && let Some((id, order)) = self.drilled.clone()
        {
            let _end = drill(&self.world, &id, order).await;
            return;
        }
        if journal.latest().is_some_and(|(_, rollout)| !rollout.state().is_end()) {
            let abort = Request::Abort { by: "ada".to_owned(), reason: "it is late".to_owned() };
            let _answer = journal.ask(abort, now).await;
            let (id, plan) = self.rollouts.last().unwrap().clone();
            if let Ok((driver, handle)) = Driver::open(self.world.clone(), id, plan).await {
                let _end = driver.run().await;
                drop(handle);
            }
        }
    }

    /// What must hold at the end, whoever was first.
    async fn check(&self) {
        let (watches, rollbacks) = (self.ledger::<Vigil>().await, self.ledger::<Undo>().await);
        let (journal, moves) = (self.journal().await, self.stage.moves().await);
        let traffic = self.stage.router.observe(&self.route()).await.unwrap().traffic;
        for slot in traffic.slots() {
            let status = self.stage.deployer.status(slot).await.unwrap();
            assert!(status.ready().is_some(), "{traffic} while {slot} is {status:?}");
        }
        assert_moved_once(&rollbacks, &moves);
        self.assert_nothing_by_itself_against_a_person(&watches, &rollbacks, &moves).await;
        self.assert_drills_moved_nothing(&journal);
        self.assert_served(&rollbacks, &journal, &moves).await;
        replayed::<Vigil>(watches.lines());
        replayed::<Undo>(rollbacks.lines());
    }

    /// A watch orders one rollback at most; none while a person holds it; none from what was gone back to; and none to
    /// what was in quarantine.
    async fn assert_nothing_by_itself_against_a_person(
        &self,
        watches: &Ledger<Vigil>,
        rollbacks: &Ledger<Undo>,
        moves: &[Move],
    ) {
        let mut held = false;
        for line in watches.lines() {
            match &line.record {
                Record::Open { .. }
                | Record::Happen(VigilEvent::Ask(
                    VigilRequest::Resume { .. } | VigilRequest::RollBack { .. },
                )) => {
                    held = false;
                }
                Record::Happen(VigilEvent::Ask(VigilRequest::Hold { .. })) => held = true,
                Record::Happen(VigilEvent::Begun { .. }) => assert!(!held, "it went past a person"),
                _ => {}
            }
        }
        let lifecycle = Lifecycle::new(Arc::new(self.stage.store.clone()));
        let quarantines = lifecycle.quarantines(self.stage.stable.model.name()).await.unwrap();
        let mut ordered = BTreeSet::new();
        for line in rollbacks.lines() {
            let Record::Open { order, .. } = &line.record else { continue };
            let Some(watch) = &order.watch else { continue };
            assert!(ordered.insert(watch.clone()), "two rollbacks of watch {watch}");
            if order.by.is_some() {
                continue;
            }
            let head = moves.iter().find(|moved| Some(moved.seq) == order.head).unwrap();
            let returned =
                matches!(head.cause, Cause::Rollback { .. }) && head.from.as_ref() != Some(&head.to);
            assert!(!returned, "{} was gone back to, and left by itself", head.to);
            let condemned = quarantines.get(&order.to.digest);
            assert!(condemned.is_none_or(|since| since.stamp.at >= line.at), "{} is condemned", order.to);
        }
    }

    /// By the right of a drill traffic is told once more what it is.
    fn assert_drills_moved_nothing(&self, journal: &RouteJournal) {
        for (fence, before, after) in self.watched.moved() {
            let by =
                journal.entries().iter().zip(0..).find(|(_, seq)| Fence::new(Seq::FIRST.plus(*seq)) == fence);
            if let Some((entry, _)) = by
                && let RouteRecord::Seize { by } = &entry.record
                && by.starts_with("drill ")
            {
                assert_eq!(before, after, "{by} moved traffic");
            }
        }
    }

    /// What the last of them says of traffic is so.
    async fn assert_served(&self, rollbacks: &Ledger<Undo>, journal: &RouteJournal, moves: &[Move]) {
        let traffic = self.stage.router.observe(&self.route()).await.unwrap().traffic;
        let stable = self.stage.deployer.status(Slot::Stable).await.unwrap();
        let last = journal.entries().iter().rev().find_map(|entry| match &entry.record {
            RouteRecord::Open { .. } => Some(None),
            RouteRecord::Seize { by } if by.starts_with("rollback ") => Some(Some(by.clone())),
            _ => None,
        });
        match last.flatten() {
            Some(by) => {
                let (id, undo) = rollbacks.latest().unwrap();
                assert_eq!(by, format!("rollback {id}"));
                if matches!(undo.state(), State::Done { .. }) {
                    assert_eq!(traffic, Traffic::stable());
                    assert_eq!(stable.ready(), Some(&undo.order().to));
                }
                if let Some(took) = undo.unjudged() {
                    assert!(undo.state().to_string().contains(&took.rollout.to_string()), "{}", undo.state());
                }
            }
            None => {
                let (_, rollout) = journal.latest().unwrap();
                match rollout.state() {
                    RolloutState::Promoted | RolloutState::Unsettled { .. } => {
                        assert_eq!(stable.ready(), Some(&rollout.plan().candidate));
                        assert_eq!(traffic, Traffic::stable());
                    }
                    // One whose plan did not fit the route has moved nothing.
                    RolloutState::RolledBack { .. } if began(journal) => {
                        assert_eq!(traffic, Traffic::stable())
                    }
                    _ => {}
                }
            }
        }
        assert!(moves.last().unwrap().ended.is_none());
    }

    /// Everybody is told everything, in the order of each journal, however long the recipient was down.
    async fn assert_told(&self) {
        self.mailbox.up.store(true, Ordering::Relaxed);
        let route = self.route();
        let (watches, rollbacks) = (self.ledger::<Vigil>().await, self.ledger::<Undo>().await);
        let journal = self.journal().await;
        self.told(Narrator::<Vigil>::new(route.clone()), watches.lines()).await;
        self.told(Narrator::<Undo>::new(route.clone()), rollbacks.lines()).await;
        self.told(notify::Narrator::new(route), journal.entries()).await;
    }

    async fn told<N: Narrate>(&self, narrator: N, lines: &[N::Line]) {
        let mut tells = narrator.clone();
        let tell = |(i, line)| tells.tell(Seq::FIRST.plus(i), line);
        let wanted: Vec<String> = lines.iter().enumerate().filter_map(tell).map(|notice| notice.id).collect();
        let courier = self.couriers(narrator);
        for _ in 0..50 {
            if courier.catch_up().await.is_ok() {
                break;
            }
        }
        let of_journal: BTreeSet<&String> = wanted.iter().collect();
        let mut first = Vec::new();
        for id in self.mailbox.taken.lock().unwrap().iter().filter(|id| of_journal.contains(id)) {
            if !first.contains(id) {
                first.push(id.clone());
            }
        }
        assert_eq!(first, wanted);
    }
}

/// Whether the rollout that was opened last has found the route at rest, and has begun.
fn began(journal: &RouteJournal) -> bool {
    let lines = journal.entries().iter().rev();
    lines
        .take_while(|entry| !matches!(entry.record, RouteRecord::Open { .. }))
        .any(|entry| matches!(entry.record, RouteRecord::Happen(RouteEvent::Checked)))
}

/// The channel says of each rollback once that it has moved, and only of those that have got that far.
fn assert_moved_once(rollbacks: &Ledger<Undo>, moves: &[Move]) {
    let mut id = None;
    let mut recorded = BTreeSet::new();
    for line in rollbacks.lines() {
        match &line.record {
            Record::Open { id: opened, .. } => id = Some(opened.to_string()),
            Record::Happen(tidegate_rollback::Event::Recorded { .. }) => {
                recorded.insert(id.clone().unwrap());
            }
            _ => {}
        }
    }
    let of = |moved: &Move| match &moved.cause {
        Cause::Rollback { id, .. } => Some(id.clone()),
        _ => None,
    };
    let moved: Vec<String> = moves.iter().filter_map(of).collect();
    let distinct: BTreeSet<&String> = moved.iter().collect();
    assert_eq!(distinct.len(), moved.len(), "a rollback has moved the channel twice: {moved:?}");
    for id in &recorded {
        assert!(distinct.contains(id), "rollback {id} says that the channel has moved");
    }
}

/// The journal says it all: what can be replayed was written, and a machine that is over stays so.
fn replayed<M: Tell>(lines: &[Line<M>]) {
    let mut machine = None::<M>;
    for line in lines {
        match &line.record {
            Record::Open { order, .. } => machine = Some(M::begin((**order).clone(), line.at)),
            Record::Happen(event) => machine.as_mut().unwrap().happen(event, line.at).unwrap(),
            _ => {}
        }
    }
}

/// How often what happened in one crowd.
#[derive(Default)]
struct Seen {
    rollbacks: usize,
    by_watches: usize,
    called_off: usize,
    taken: usize,
    watches: usize,
    rollouts: usize,
    drills: usize,
}

async fn simulate(seed: u64) -> Seen {
    let mut crowd = Crowd::new(seed).await;
    for _ in 0..STEPS {
        crowd.step().await;
    }
    Box::pin(crowd.end()).await;
    crowd.check().await;
    crowd.assert_told().await;
    let (rollbacks, journal) = (crowd.ledger::<Undo>().await, crowd.journal().await);
    let mut seen = Seen::default();
    for line in rollbacks.lines() {
        match &line.record {
            Record::Open { order, .. } => {
                seen.rollbacks += 1;
                seen.by_watches += usize::from(order.watch.is_some());
            }
            Record::Happen(tidegate_rollback::Event::Aborted { .. }) => seen.called_off += 1,
            Record::Happen(tidegate_rollback::Event::Took(_)) => seen.taken += 1,
            _ => {}
        }
    }
    for entry in journal.entries() {
        match &entry.record {
            RouteRecord::Open { .. } => seen.rollouts += 1,
            RouteRecord::Seize { by } => seen.drills += usize::from(by.starts_with("drill ")),
            _ => {}
        }
    }
    let watches = crowd.ledger::<Vigil>().await;
    seen.watches = watches.lines().iter().filter(|line| matches!(line.record, Record::Open { .. })).count();
    assert!(watches.latest().is_none_or(|(_, vigil)| !matches!(vigil.state(), Vigilance::Watching)));
    seen
}

#[test]
fn whoever_is_on_the_route_it_ends_as_they_say() {
    let ends = chaos::ends(SEEDS, simulate);
    let sum = |of: fn(&Seen) -> usize| ends.iter().map(of).sum::<usize>();
    let counts = [
        ("rollbacks", sum(|seen| seen.rollbacks)),
        ("by watches", sum(|seen| seen.by_watches)),
        ("called off", sum(|seen| seen.called_off)),
        ("from rollouts", sum(|seen| seen.taken)),
        ("watches", sum(|seen| seen.watches)),
        ("rollouts", sum(|seen| seen.rollouts)),
        ("drills", sum(|seen| seen.drills)),
    ];
    println!("{counts:?}");
    if ends.len() as u64 == SEEDS {
        for (what, count) in counts {
            assert!(count > 3, "{count} {what}: what is to be seen does not happen");
        }
    }
}
