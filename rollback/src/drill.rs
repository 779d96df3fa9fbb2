//! A rollback rehearsed: everything is done that moves no traffic, and timed.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use tidegate_canary::{
    Actuator, Fence, Patience, Rehearsed, RolloutId, RouteJournal, Slot, State as RolloutState, Traffic,
    WallClock, World,
};
use tidegate_registry::{Log as _, LogKey, ModelStoreExt as _, Seq};

use crate::{Error, Order};

/// Rehearses `order` under the name `id`, and says how long each part takes. No request goes elsewhere than before:
/// the target runs in the candidate's slot, which has no traffic, and the router is told once more what is in force.
///
/// Where one release replaces another [in place](tidegate_canary::Deployer::in_place) there is no such slot: there the deployer
/// is only asked whether it would take the target, and how long the replacing takes is not known; the part says so.
///
/// It holds the route meanwhile, so that no rollout begins. A rollback takes the route from it as from anybody else, and
/// then it stops where it is: what it has made to run is the rollback's now. Drop the deployer with it where that keeps
/// others out. One that was killed is cleared away by running it again.
///
/// # Errors
///
/// [`Error::InvalidOrder`]; [`Error::Superseded`] when a rollback has taken the route; [`Error::Route`] when a rollout or a rollback is under way on the route, or it cannot be
/// taken. What fails of the rehearsal itself is in its [`Part`]s.
pub async fn drill(world: &World, id: &RolloutId, order: Order) -> Result<Rehearsal, Error> {
    order.check()?;
    let holder = format!("drill {id}");
    let (log, route) = (|| Arc::clone(&world.log), order.route.clone());
    let mut journal = RouteJournal::open(log(), &route).await.map_err(Error::Route)?;
    free(&journal, &holder)?;
    // Whoever begins something at this moment is not disturbed.
    let fence = journal.take(&holder, world.clock.now()).await.map_err(Error::Route)?;
    let rehearsal = tokio::select! {
        biased;
        taken = taken(&mut journal, &holder, world.clock) => return Err(taken),
        rehearsal = rehearse(world, id, order, fence) => rehearsal,
    };
    RouteJournal::release(log(), &route, &holder, world.clock.now()).await.map_err(Error::Route)?;
    Ok(rehearsal)
}

/// How often it looks whether the route was taken from it: an incident does not wait for a drill.
const LOOKS: Duration = Duration::from_millis(500);

/// Returns once somebody else holds the route.
async fn taken(journal: &mut RouteJournal, holder: &str, clock: WallClock) -> Error {
    loop {
        journal.overtaken(clock, LOOKS).await;
        match journal.catch_up().await {
            // It has been asked for nothing that changes who holds it.
            Ok(_) if journal.holder() == Some(holder) => {}
            Err(error) if error.is_transient() => clock.sleep_until(clock.now() + LOOKS).await,
            Ok(_) | Err(_) => return Error::Superseded,
        }
    }
}

/// What a drill has found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// What would be undone.
    pub order: Order,
    /// What was done, in order, and what was not tried. What follows on a failure is not in it.
    pub parts: Vec<Part>,
}

/// A part of a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Which.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failed: Option<String>,
    /// Why it was not tried, if it was not.
    pub untried: Option<&'static str>,
}

/// What a rollback takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Every byte of the target is read and compared with its manifest. In an incident whoever runs it does that.
    Verify,
    /// A line of a journal is written.
    Record,
    /// The deployer is asked whether it would make the target run, in place of what is in service.
    Rehearse,
    /// The target is made to run, beside what is in service.
    Provision,
    /// The router is told, and seen to have heard.
    Route,
    /// The slot is emptied again.
    Remove,
}

impl Rehearsal {
    /// Whether nothing that was tried speaks against a rollback's arriving.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.parts.iter().all(|part| part.failed.is_none())
    }

    /// How long it would take until no request reaches the version that is left; nothing if it failed, or was not tried.
    #[must_use]
    pub fn until_traffic_is_back(&self) -> Option<Duration> {
        let of = |step: Step| self.took(step);
        // What a rollback writes down before: its order, that it takes the route, what it found, and that it is ready.
        Some(of(Step::Record)? * 4 + of(Step::Provision)? + of(Step::Route)?)
    }

    /// How long a whole rollback would take; nothing if it failed, or was not tried.
    #[must_use]
    pub fn whole(&self) -> Option<Duration> {
        let of = |step: Step| self.took(step);
        let restore = of(Step::Provision)? + of(Step::Route)? + of(Step::Remove)?;
        // Requests end twice: before the stable slot is replaced, and before the other is emptied.
        Some(self.until_traffic_is_back()? + self.order.drain * 2 + restore + of(Step::Record)? * 7)
    }

    fn took(&self, step: Step) -> Option<Duration> {
        let mut parts = self.parts.iter().filter(|part| part.failed.is_none() && part.untried.is_none());
        parts.find(|part| part.step == step).map(|part| part.took)
    }
}

/// Nobody may be at work on the route.
fn free(journal: &RouteJournal, holder: &str) -> Result<(), Error> {
    match (journal.holder(), journal.latest()) {
        (Some(by), _) if by != holder => {
            Err(Error::Route(tidegate_canary::Error::Held { by: by.to_owned() }))
        }
        // One that is stuck is for a person, and its candidate may have traffic.
        (None, Some((id, rollout)))
            if !rollout.state().is_end() || matches!(rollout.state(), RolloutState::Stuck { .. }) =>
        {
            Err(Error::Route(tidegate_canary::Error::Busy { id: id.clone() }))
        }
        _ => Ok(()),
    }
}

async fn rehearse(world: &World, id: &RolloutId, order: Order, fence: Fence) -> Rehearsal {
    let World { router, deployer, clock, .. } = world;
    let hands = Actuator { router: &**router, deployer: &**deployer, clock: *clock, fence };
    let mut parts = Vec::new();
    let steps = match deployer.in_place() {
        true => [Step::Verify, Step::Record, Step::Rehearse, Step::Provision, Step::Route].as_slice(),
        false => &[Step::Verify, Step::Record, Step::Provision, Step::Route],
    };
    // Whether anything may run now where nothing did.
    let mut touched = false;
    for step in steps.iter().copied() {
        let part = timed(*clock, step, go(step, world, id, &order, &hands, &mut touched)).await;
        let failed = part.failed.is_some();
        parts.push(part);
        if failed {
            break;
        }
    }
    // What was made to run goes again, whatever came of it; and nothing else does: it may have traffic.
    if touched {
        parts.push(
            timed(*clock, Step::Remove, go(Step::Remove, world, id, &order, &hands, &mut touched)).await,
        );
    }
    Rehearsal { order, parts }
}

/// Why a part was not done.
enum Undone {
    Failed(String),
    Untried(&'static str),
}

async fn timed(clock: WallClock, step: Step, done: impl Future<Output = Result<(), Undone>>) -> Part {
    let began = clock.now();
    let (failed, untried) = match done.await {
        Ok(()) => (None, None),
        Err(Undone::Failed(why)) => (Some(why), None),
        Err(Undone::Untried(why)) => (None, Some(why)),
    };
    Part { step, took: clock.now().duration_since(began).unwrap_or_default(), failed, untried }
}

async fn go(
    step: Step,
    world: &World,
    id: &RolloutId,
    order: &Order,
    hands: &Actuator<'_>,
    touched: &mut bool,
) -> Result<(), Undone> {
    let in_place = world.deployer.in_place();
    let until = world.clock.now() + order.patience;
    let mut patience = Patience::new(world.clock, until);
    let done = match step {
        Step::Verify => {
            match patience.until("the registry", || world.store.verify(&order.to.model, &())).await {
                Ok(manifest) if manifest.digest != order.to.digest => {
                    let why = format!("{} has the content {} in the registry", order.to, manifest.digest);
                    return Err(Undone::Failed(why));
                }
                verified => verified.map(drop),
            }
        }
        Step::Record => patience.until("the registry", || record(world, id)).await,
        Step::Rehearse => {
            let wanted = order.workload(Slot::Stable);
            match patience.until("the deployer", || world.deployer.rehearse(&wanted)).await {
                Ok(Rehearsed::Accepted) => Ok(()),
                Ok(_) => return Err(Undone::Untried("what would make it run cannot be asked before")),
                Err(not_done) => Err(not_done),
            }
        }
        Step::Provision if in_place => {
            return Err(Undone::Untried(
                "it would replace what is in service, so how long it takes is not known",
            ));
        }
        // Where the candidate's slot has traffic nothing may be made to run.
        Step::Provision => match patience.until("the router", || world.router.observe(&order.route)).await {
            Ok(observed) if observed.traffic != Traffic::stable() => {
                let why = format!("route {} is not at rest ({})", order.route, observed.traffic);
                return Err(Undone::Failed(why));
            }
            Ok(_) => {
                *touched = true;
                hands.ensure(&order.workload(Slot::Candidate), until).await
            }
            Err(not_done) => Err(not_done),
        },
        // It is seen to run before traffic would go to it.
        Step::Route => {
            let on = [order.workload(Slot::Candidate)];
            let on = if in_place { &[] } else { &on[..] };
            hands.route(&order.route, &Traffic::stable(), on, false, until).await
        }
        Step::Remove => hands.remove(Slot::Candidate, until).await,
    };
    done.map_err(|not_done| Undone::Failed(not_done.to_string()))
}

/// Writes a line where nobody reads.
async fn record(world: &World, id: &RolloutId) -> Result<(), tidegate_registry::Error> {
    let key = LogKey::new("drill", id.to_string()).expect("an id of a rollout is a valid log id");
    let next = Seq::FIRST.plus(world.log.read(&key, Seq::FIRST).await?.len());
    let at = humantime::format_rfc3339_micros(world.clock.now());
    world.log.append(&key, next, Bytes::from(format!("{{\"at\":\"{at}\"}}"))).await
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provision => "make the target run",
            Self::Record => "write a line of a journal",
            Self::Rehearse => "ask whether it would run",
            Self::Remove => "empty the slot again",
            Self::Route => "tell the router",
            Self::Verify => "verify the target's bytes",
        })
    }
}
