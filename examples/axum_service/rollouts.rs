//! The rollouts of this service, each driven by a task.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tidegate::{
    canary::{
        Deployer as _, Driver, Entry, Error, Event, Fence, Handle, Plan, Readiness, Record, Rollout,
        RolloutId, RouteId, RouteJournal, Slot, Weight, Workload,
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

/// All that were ever started here. Clones share them.
#[derive(Clone)]
pub(crate) struct Rollouts(Arc<Shared>);

struct Shared {
    platform: Platform,
    /// Which there are, and who started them: what no journal of a route says. Starts are one after the other.
    started: tokio::sync::Mutex<Journal<Started>>,
    /// The latest last.
    known: Mutex<Vec<Known>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Started {
    id: RolloutId,
    route: RouteId,
    by: String,
}

struct Known {
    plan: Plan,
    view: View,
    /// There while it is driven.
    handle: Option<Handle>,
}

/// So many are listed.
const MOST: usize = 200;
/// How long to wait before an unavailable registry is asked again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

impl Rollouts {
    /// Goes on with all that are not over.
    pub(crate) async fn go_on(platform: Platform) -> anyhow::Result<Self> {
        let log = platform.log();
        let key = LogKey::new("release-service", "rollouts")?;
        let (journal, records) = Journal::<Started>::open(Arc::clone(&log), key).await?;
        let this = Self(Arc::new(Shared {
            platform,
            started: tokio::sync::Mutex::new(journal),
            known: Mutex::default(),
        }));
        let mut started = Vec::<Started>::new();
        for record in records {
            // Of a start that failed and was made again, the last counts.
            started.retain(|known| known.id != record.id);
            started.push(record);
        }
        for Started { id, route, by } in started {
            let journal = RouteJournal::open(Arc::clone(&log), &route)
                .await
                .with_context(|| format!("the journal of {route}"))?;
            // One that was never opened did not begin: whoever started it got no answer, and may start it again.
            let Some((rollout, at)) = replay(journal.entries(), &id) else { continue };
            this.show(rollout.plan(), View::of(&id, &by, &rollout, at));
            if !rollout.state().is_end() {
                // Before anybody can ask things of it.
                let opened = this.open(&id, &by, rollout.plan()).await;
                tokio::spawn(this.clone().drive(id, by, rollout.plan().clone(), opened));
            }
        }
        Ok(this)
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<View> {
        self.known().iter().rev().take(MOST).map(|known| known.view.clone()).collect()
    }

    pub(crate) fn get(&self, id: &str) -> Result<View, Problem> {
        let known = self.known();
        let found = known.iter().find(|known| known.view.id.to_string() == id);
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
        let mut started = self.0.started.lock().await;
        let before = self.known().iter().find(|known| known.view.id == *id).map(|known| known.plan.clone());
        let plan = start.pin(self.0.platform.registry(), before.as_ref()).await?;
        if let Some(before) = before {
            if before != plan {
                return Err(Error::PlanChanged { id: id.clone() }.into());
            }
            return Ok((self.get(&id.to_string())?, false));
        }
        self.bring_up(&plan).await?;
        // Written down first: should this program end here, it finds on its next start what it has begun.
        let record = Started { id: id.clone(), route: plan.route.clone(), by: by.to_owned() };
        started.catch_up().await?;
        started.append(&record).await?;
        let opened = self.open(id, by, &plan).await?;
        tokio::spawn(self.clone().drive(id.clone(), by.to_owned(), plan, Ok(opened)));
        Ok((self.get(&id.to_string())?, true))
    }

    /// Asks something of a rollout, and answers once that is in its journal.
    pub(crate) async fn ask(&self, id: &str, command: Command, by: &str) -> Result<View, Problem> {
        let View { said, trouble, .. } = self.get(id)?;
        let handle = {
            let known = self.known();
            known.iter().find(|known| known.view.id.to_string() == id).and_then(|known| known.handle.clone())
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

    /// On a platform that is new, what is in service is made to run first. A rollout's fences are at least as high.
    async fn bring_up(&self, plan: &Plan) -> Result<(), Problem> {
        let world = self.0.platform.world(&plan.route);
        if world.deployer.status(Slot::Stable).await? == Readiness::Absent {
            let journal = RouteJournal::open(world.log, &plan.route).await?;
            let fence = journal.fence().unwrap_or(Fence::new(Seq::FIRST));
            let stable = Workload { slot: Slot::Stable, release: plan.stable.clone(), share: Weight::FULL };
            world.deployer.ensure(&stable, fence).await?;
        }
        Ok(())
    }

    /// Takes its route. From then on it can be asked things.
    async fn open(&self, id: &RolloutId, by: &str, plan: &Plan) -> Result<Driver, Error> {
        let world = self.0.platform.world(&plan.route);
        let (driver, handle) = Driver::open(world, id.clone(), plan.clone()).await?;
        let rollout = driver.rollout();
        self.show(rollout.plan(), View::of(id, by, rollout, self.0.platform.clock().now()));
        self.attend(id, Some(handle));
        Ok(driver)
    }

    /// Drives one to its end. A registry that is away is waited for.
    async fn drive(self, id: RolloutId, by: String, plan: Plan, mut opened: Result<Driver, Error>) {
        let [mut pause, longest] = PAUSES;
        loop {
            let driven = match opened {
                Ok(driver) => {
                    let (this, id, by) = (self.clone(), id.clone(), by.clone());
                    let driver = driver.on_record(move |entry, rollout| {
                        this.show(rollout.plan(), View::of(&id, &by, rollout, entry.at));
                    });
                    driver.run().await
                }
                Err(error) => Err(error),
            };
            self.attend(&id, None);
            let Err(error) = driven else { return };
            tracing::warn!(rollout = %id, error = in_words(&error), "not driven");
            self.trouble(&id, in_words(&error));
            if !error.is_transient() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
            opened = self.open(&id, &by, &plan).await;
        }
    }

    /// What is seen of a rollout from now on.
    fn show(&self, plan: &Plan, view: View) {
        let mut known = self.known();
        match known.iter_mut().find(|known| known.view.id == view.id) {
            Some(known) => (known.plan, known.view) = (plan.clone(), view),
            None => known.push(Known { plan: plan.clone(), view, handle: None }),
        }
    }

    fn attend(&self, id: &RolloutId, handle: Option<Handle>) {
        if let Some(known) = self.known().iter_mut().find(|known| known.view.id == *id) {
            known.handle = handle;
        }
    }

    fn trouble(&self, id: &RolloutId, trouble: String) {
        if let Some(known) = self.known().iter_mut().find(|known| known.view.id == *id) {
            known.view.trouble = Some(trouble);
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
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
