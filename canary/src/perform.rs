//! Doing what a rollout owes, and saying how it went.

use std::{sync::Arc, time::SystemTime};

use futures::future::{join_all, try_join_all};
use tidegate_metrics::{Criterion, Window};
use tidegate_registry::{Cause, Channels, Expect, Seq, Stamp};

use crate::{
    Actuator, ActuatorError, Duty, Error, Event, Fence, NotDone, Patience, Plan, Rollout, RolloutId, RouteId,
    Sample, Side, Slot, Traffic, Weight, Workload, World, patience::chain,
};

/// Does what `rollout` owes and returns the event that says how it went.
pub(crate) async fn perform(
    world: &World,
    id: &RolloutId,
    rollout: &Rollout,
    fence: Fence,
) -> Result<Event, Error> {
    let plan = rollout.plan();
    let hands = Actuator { router: &*world.router, deployer: &*world.deployer, clock: world.clock, fence };
    let done = match rollout.duty() {
        Duty::AwaitPerson | Duty::Nothing => std::future::pending().await,
        Duty::Check => check(world, plan).await.map(|()| Event::Checked),
        Duty::Ensure { workloads, behind, until } => {
            ensure(&hands, &plan.route, &workloads, behind, until).await.map(|()| Event::Ready)
        }
        Duty::Observe { window, due, judged, compared, traffic } => {
            world.clock.sleep_until(due).await;
            let criteria = if rollout.state().is_bake() { &plan.bake_criteria } else { &plan.criteria };
            match in_force(world, plan, &traffic, fence).await {
                Ok(()) => {
                    let samples = observe(world, plan, criteria, window, &judged, compared.as_ref()).await;
                    Ok(Event::Observed { window, samples })
                }
                Err(NotDone::Failed(why)) => Ok(Event::Drifted { why }),
                Err(superseded) => Err(superseded),
            }
        }
        Duty::Promote { until } => promote(world, id, plan, until).await.map(|seq| Event::Recorded { seq }),
        Duty::Remove { slot, until } => hands.remove(slot, until).await.map(|()| Event::Removed),
        Duty::Route { traffic, on, back, until } => {
            hands.route(&plan.route, &traffic, &on, back, until).await.map(|()| Event::Routed)
        }
        Duty::Settle { promoted, until } => {
            settle(world, id, plan, promoted, until).await.map(|()| Event::Settled)
        }
        Duty::Wait { until } => {
            world.clock.sleep_until(until).await;
            Ok(Event::Elapsed)
        }
    };
    match done {
        Err(NotDone::Failed(why)) => Ok(Event::Failed { why }),
        Err(NotDone::Superseded) => Err(Error::Superseded),
        Ok(event) => Ok(event),
    }
}

/// Whether the plan fits the world. Nothing is moved by looking, so a plan that does not fit costs nothing.
async fn check(world: &World, plan: &Plan) -> Result<(), NotDone> {
    let failed = |why: String| Err(NotDone::Failed(why));
    let capabilities = world.router.capabilities();
    for step in 0..plan.steps.len() {
        if let Err(error) = capabilities.check(&plan.traffic(step)) {
            return failed(format!("steps[{step}] cannot be routed: {}", chain(&error)));
        }
    }
    let mut patience = Patience::new(world.clock, world.clock.now() + plan.timing.patience);
    let manifest = loop {
        match world.store.manifest(&plan.candidate.model).await {
            Ok(manifest) => break manifest,
            Err(error) => patience.after_registry(error).await?,
        }
    };
    if manifest.digest != plan.candidate.digest {
        return failed(format!(
            "the plan pins {} to {}, but the registry holds {}; plan with the digest of its manifest",
            plan.candidate, plan.candidate.digest, manifest.digest
        ));
    }
    let channels = Channels::new(Arc::clone(&world.log));
    let current = loop {
        match channels.current(plan.stable.model.name(), &plan.channel).await {
            Ok(current) => break current,
            Err(error) => patience.after_registry(error).await?,
        }
    };
    match current {
        Some(current) if current.to == plan.stable.model => {}
        Some(current) => {
            return failed(format!(
                "the plan takes {} for what is in {}, but that is {}; plan again from there",
                plan.stable, plan.channel, current.to
            ));
        }
        None => {
            return failed(format!("nothing is in {} yet; promote {} first", plan.channel, plan.stable));
        }
    }
    let observed = loop {
        match world.router.observe(&plan.route).await {
            Ok(observed) => break observed,
            Err(error) => patience.after(error).await?,
        }
    };
    if observed.traffic.weight(Slot::Stable) != Weight::FULL {
        let traffic = observed.traffic;
        return failed(format!(
            "route {} is not at rest ({traffic}); send all of it to stable first",
            plan.route
        ));
    }
    loop {
        match world.deployer.status(Slot::Stable).await {
            Ok(status) if status.ready() == Some(&plan.stable) => return Ok(()),
            Ok(_) => patience.wait(|| format!("{} is not ready in the stable slot", plan.stable)).await?,
            Err(error) => patience.after(error).await?,
        }
    }
}

/// Makes workloads run, in slots that must not have traffic meanwhile.
async fn ensure(
    hands: &Actuator<'_>,
    route: &RouteId,
    workloads: &[Workload],
    behind: Option<(Traffic, Workload)>,
    until: SystemTime,
) -> Result<(), NotDone> {
    if let Some((traffic, carrier)) = behind {
        // A router that was restarted may have forgotten it.
        hands.route(route, &traffic, &[carrier], false, until).await?;
    }
    try_join_all(workloads.iter().map(|workload| hands.ensure(workload, until))).await.map(drop)
}

/// A window is evidence only if the traffic that is owed was in force. If it was not, or nobody can say for
/// the length of a window, it is put in force again, and what was seen says nothing.
async fn in_force(world: &World, plan: &Plan, traffic: &Traffic, fence: Fence) -> Result<(), NotDone> {
    let mut patience = Patience::new(world.clock, world.clock.now() + plan.timing.window);
    let why = loop {
        match world.router.observe(&plan.route).await {
            Ok(observed) if observed.fence > Some(fence) => return Err(NotDone::Superseded),
            Ok(observed) if observed.traffic == *traffic => return Ok(()),
            Ok(observed) => break format!("somebody had changed the traffic to {}", observed.traffic),
            Err(error) => match patience.after(error).await {
                Ok(()) => {}
                Err(NotDone::Failed(why)) => break format!("it is unknown what traffic was in force: {why}"),
                Err(superseded) => return Err(superseded),
            },
        }
    };
    match world.router.apply(&plan.route, traffic, fence).await {
        Err(ActuatorError::Fenced { .. }) => Err(NotDone::Superseded),
        // Should this have failed, the next window says so.
        _ => Err(NotDone::Failed(why)),
    }
}

async fn observe(
    world: &World,
    plan: &Plan,
    criteria: &[Criterion],
    window: Window,
    judged: &Side,
    compared: Option<&Side>,
) -> Vec<Sample> {
    // A source that is slow or away is asked again for the length of a window; then the window stays empty.
    let patience = plan.timing.patience.min(plan.timing.window);
    join_all(criteria.iter().map(async |criterion| {
        let ask = async |side: &Side| {
            side.observe(&*world.metrics, &criterion.metric, window, world.clock, patience).await
        };
        let baseline = match compared.filter(|_| criterion.needs_baseline()) {
            Some(side) => Some(ask(side).await),
            None => None,
        };
        Sample { candidate: ask(judged).await, baseline }
    }))
    .await
}

async fn promote(world: &World, id: &RolloutId, plan: &Plan, until: SystemTime) -> Result<Seq, NotDone> {
    let channels = Channels::new(Arc::clone(&world.log));
    let mut patience = Patience::new(world.clock, until);
    loop {
        let cause = Cause::Rollout { id: id.to_string() };
        let expect = Expect::At(plan.stable.model.clone());
        match channels.promote(&plan.candidate.model, &plan.channel, &expect, cause, stamp(world, id)).await {
            Ok(moved) => return Ok(moved.seq),
            Err(error) => patience.after_registry(error).await?,
        }
    }
}

async fn settle(
    world: &World,
    id: &RolloutId,
    plan: &Plan,
    promoted: Seq,
    until: SystemTime,
) -> Result<(), NotDone> {
    let channels = Channels::new(Arc::clone(&world.log));
    let mut patience = Patience::new(world.clock, until);
    let name = plan.candidate.model.name();
    while let Err(error) = channels.settle(name, &plan.channel, promoted, stamp(world, id)).await {
        patience.after_registry(error).await?;
    }
    Ok(())
}

fn stamp(world: &World, id: &RolloutId) -> Stamp {
    Stamp { by: format!("rollout {id}"), at: world.clock.now() }
}
