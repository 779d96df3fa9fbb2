//! The rollouts of this service, each driven by a task.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate::{
    canary::{
        Deployer as _, Driver, Entry, Error, Event, Fence, Handle, Plan, Readiness, Record, Rollout,
        RolloutId, RouteJournal, Slot, Weight, Workload,
    },
    registry::{Journal, LogKey, Seq},
};

use crate::{
    command::Command,
    platform::Platform,
    problem::{Kind, Problem, in_words},
    start::Start,
    view::View,
};

/// All that were started here. Clones share them.
#[derive(Clone)]
pub(crate) struct Rollouts(Arc<Shared>);

struct Shared {
    platform: Platform,
    /// Which there are, and who started them: what no journal of a route says. Starts are one after the other.
    started: tokio::sync::Mutex<Journal<Started>>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Started {
    id: RolloutId,
    by: String,
    /// The plan as it was sent: the same again is the same start.
    document: Value,
    /// With what it left open pinned, so that it stays the same whatever becomes of channels meanwhile.
    plan: Plan,
}

#[derive(Default)]
struct Memory {
    /// Those that are not over, and the latest of those that are. The latest last.
    known: Vec<Known>,
    /// Over long since. Their ids are not free for that.
    forgotten: BTreeSet<RolloutId>,
}

struct Known {
    started: Arc<Started>,
    view: View,
    /// There while it is driven.
    handle: Option<Handle>,
}

/// So many are listed, and remembered once they are over.
const MOST: usize = 200;
/// How long to wait before an unavailable registry is asked again: at first, and at most.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

impl Rollouts {
    /// Goes on with all that are not over.
    pub(crate) async fn go_on(platform: Platform) -> anyhow::Result<Self> {
        let log = platform.log();
        let key = LogKey::new("release-service", "rollouts")?;
        let (journal, records) = Journal::<Started>::open(Arc::clone(&log), key).await?;
        let this = Self(Arc::new(Shared {
            platform,
            started: tokio::sync::Mutex::new(journal),
            memory: Mutex::default(),
        }));
        let mut started = Vec::<Started>::new();
        for record in records {
            // Of a start that failed and was made again, the last counts.
            started.retain(|known| known.id != record.id);
            started.push(record);
        }
        let routes: BTreeSet<_> = started.iter().map(|started| started.plan.route.clone()).collect();
        let mut journals = BTreeMap::new();
        for route in routes {
            let journal = match RouteJournal::open(Arc::clone(&log), &route).await {
                Err(error) if error.is_transient() => {
                    return Err(error).with_context(|| format!("the journal of {route}"));
                }
                opened => opened,
            };
            journals.insert(route, journal);
        }
        for started in started {
            match &journals[&started.plan.route] {
                Ok(journal) => this.take_up(started, journal).await,
                // The rollouts of other routes are none the worse for it.
                Err(error) => {
                    let started = Arc::new(started);
                    this.show(&started, &Rollout::new(started.plan.clone()), this.now());
                    this.trouble(&started.id, in_words(error));
                }
            }
        }
        Ok(this)
    }

    /// Goes on with one that was started, unless it is over.
    async fn take_up(&self, started: Started, journal: &RouteJournal) {
        // One that was never opened did not begin: whoever started it got no answer, and may start it again.
        let Some((rollout, at)) = replay(journal.entries(), &started.id) else { return };
        let started = Arc::new(Started { plan: rollout.plan().clone(), ..started });
        self.show(&started, &rollout, at);
        if !rollout.state().is_end() {
            // Before anybody can ask things of it.
            let opened = self.open(&started).await;
            tokio::spawn(self.clone().drive(started, opened));
        }
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<View> {
        self.memory().known.iter().rev().take(MOST).map(|known| known.view.clone()).collect()
    }

    pub(crate) fn get(&self, id: &str) -> Result<View, Problem> {
        let memory = self.memory();
        let found = memory.known.iter().find(|known| known.view.id.to_string() == id);
        found.map(|known| known.view.clone()).ok_or_else(|| Problem::no_rollout(id))
    }

    /// Starts a rollout, unless that was done already; and whether it was not. Once begun it is done, even if whoever
    /// asked hangs up.
    pub(crate) async fn start(&self, start: Start, by: String) -> Result<(View, bool), Problem> {
        let this = self.clone();
        let begun = tokio::spawn(async move { this.begin(&start, &by).await });
        begun.await.unwrap_or_else(|error| {
            Err(Problem::new(Kind::Unusable, error.to_string(), "Tell the makers of this service."))
        })
    }

    async fn begin(&self, start: &Start, by: &str) -> Result<(View, bool), Problem> {
        let id = start.id.get();
        let mut journal = self.0.started.lock().await;
        if let Some(view) = self.before(id, &start.plan)? {
            return Ok((view, false));
        }
        let plan = start.pin(self.0.platform.registry()).await?;
        self.make_ready(id, &plan).await?;
        // Written down first: should this program end here, it finds on its next start what it has begun.
        let (id, by, document) = (id.clone(), by.to_owned(), start.plan.clone());
        let started = Arc::new(Started { id, by, document, plan });
        journal.catch_up().await?;
        journal.append(&started).await?;
        match self.open(&started).await {
            Ok(driver) => {
                let id = started.id.to_string();
                tokio::spawn(self.clone().drive(started, Ok(driver)));
                Ok((self.get(&id)?, true))
            }
            // It may be open all the same. Nothing moves traffic that is not seen here and cannot be aborted.
            Err(error) if error.is_transient() => {
                self.show(&started, &Rollout::new(started.plan.clone()), self.now());
                let problem = Problem::new(Kind::Unavailable, in_words(&error), "Send the same again later.");
                tokio::spawn(self.clone().drive(started, Err(error)));
                Err(problem)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What came of the same start, if it was made before. Another one cannot have its id.
    fn before(&self, id: &RolloutId, document: &Value) -> Result<Option<View>, Problem> {
        let memory = self.memory();
        if memory.forgotten.contains(id) {
            return Err(Error::IdUsed { id: id.clone() }.into());
        }
        match memory.known.iter().find(|known| known.started.id == *id) {
            Some(known) if known.started.document != *document => {
                Err(Error::PlanChanged { id: id.clone() }.into())
            }
            known => Ok(known.map(|known| known.view.clone())),
        }
    }

    /// Asks something of a rollout, and answers once that is in its journal.
    pub(crate) async fn ask(&self, id: &str, command: Command, by: &str) -> Result<View, Problem> {
        let View { said, trouble, .. } = self.get(id)?;
        let handle = {
            let memory = self.memory();
            memory
                .known
                .iter()
                .find(|known| known.view.id.to_string() == id)
                .and_then(|known| known.handle.clone())
        };
        let Some(handle) = handle else {
            return Err(match trouble {
                Some(trouble) => {
                    Problem::new(Kind::Unavailable, trouble, "Ask again once this service drives it.")
                }
                None => Problem::new(Kind::NotPossible, said, "Start another rollout, or roll back."),
            });
        };
        handle.ask(command.request(by)).await?;
        self.get(id)
    }

    /// Refuses a route that somebody else has, before anything is written. On a platform that is new, what is in
    /// service is made to run first. A rollout's fences are at least as high.
    async fn make_ready(&self, id: &RolloutId, plan: &Plan) -> Result<(), Problem> {
        let world = self.0.platform.world(&plan.route);
        let journal = RouteJournal::open(world.log, &plan.route).await?;
        if let Some(by) = journal.holder() {
            return Err(Error::Held { by: by.to_owned() }.into());
        }
        if let Some((other, rollout)) = journal.latest()
            && other != id
            && !rollout.state().is_end()
        {
            return Err(Error::Busy { id: other.clone() }.into());
        }
        if world.deployer.status(Slot::Stable).await? == Readiness::Absent {
            let fence = journal.fence().unwrap_or(Fence::new(Seq::FIRST));
            let stable = Workload { slot: Slot::Stable, release: plan.stable.clone(), share: Weight::FULL };
            world.deployer.ensure(&stable, fence).await?;
        }
        Ok(())
    }

    /// Takes its route. From then on it can be asked things.
    async fn open(&self, started: &Arc<Started>) -> Result<Driver, Error> {
        let world = self.0.platform.world(&started.plan.route);
        let (driver, handle) = Driver::open(world, started.id.clone(), started.plan.clone()).await?;
        self.show(started, driver.rollout(), self.now());
        self.attend(&started.id, Some(handle));
        Ok(driver)
    }

    /// Drives one to its end. A registry that is away is waited for.
    async fn drive(self, started: Arc<Started>, mut opened: Result<Driver, Error>) {
        let [shortest, longest] = PAUSES;
        let mut pause = shortest;
        loop {
            let driven = match opened {
                Ok(driver) => {
                    // The registry was there.
                    pause = shortest;
                    let (this, of) = (self.clone(), Arc::clone(&started));
                    let driver = driver.on_record(move |entry, rollout| this.show(&of, rollout, entry.at));
                    driver.run().await
                }
                Err(error) => Err(error),
            };
            self.attend(&started.id, None);
            let Err(error) = driven else { return };
            tracing::warn!(rollout = %started.id, error = in_words(&error), "not driven");
            self.trouble(&started.id, in_words(&error));
            if !error.is_transient() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
            opened = self.open(&started).await;
        }
    }

    /// What is seen of a rollout from now on.
    fn show(&self, started: &Arc<Started>, rollout: &Rollout, at: SystemTime) {
        let view = View::of(&started.id, &started.by, rollout, at);
        let mut memory = self.memory();
        let Memory { known, forgotten } = &mut *memory;
        if let Some(shown) = known.iter_mut().find(|known| known.started.id == started.id) {
            shown.view = view;
            return;
        }
        known.push(Known { started: Arc::clone(started), view, handle: None });
        while known.len() > MOST
            && let Some(oldest) = known.iter().position(|known| known.view.status.is_over())
        {
            forgotten.insert(known.remove(oldest).view.id);
        }
    }

    fn attend(&self, id: &RolloutId, handle: Option<Handle>) {
        if let Some(known) = self.memory().known.iter_mut().find(|known| known.view.id == *id) {
            known.handle = handle;
        }
    }

    fn trouble(&self, id: &RolloutId, trouble: String) {
        if let Some(known) = self.memory().known.iter_mut().find(|known| known.view.id == *id) {
            known.view.trouble = Some(trouble);
        }
    }

    fn now(&self) -> SystemTime {
        self.0.platform.clock().now()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rollout as its route's journal has it, whichever came after it, and when something happened to it last.
fn replay(entries: &[Entry], id: &RolloutId) -> Option<(Rollout, SystemTime)> {
    let opens = |entry: &Entry| matches!(&entry.record, Record::Open { id: opened, .. } if opened == id);
    let (first, rest) = entries[entries.iter().position(opens)?..].split_first()?;
    let Record::Open { plan, .. } = &first.record else { return None };
    let (mut rollout, mut at) = (Rollout::new((**plan).clone()), first.at);
    for entry in rest {
        let event = match &entry.record {
            Record::Open { .. } => break,
            Record::Happen(event) => event.clone(),
            Record::Seize { by } => Event::Seize { by: by.clone() },
            _ => continue,
        };
        // What comes after its end is not about it.
        if rollout.apply(&event, entry.at).is_ok() {
            at = entry.at;
        }
    }
    Some((rollout, at))
}
