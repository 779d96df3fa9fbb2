//! Doing what a rollout owes, and saying how it went.

use std::{sync::Arc, time::SystemTime};

use futures::future::{join_all, try_join_all};
use tidegate_metrics::{Criterion, Window};
use tidegate_registry::{Cause, Channels, Expect, Seq, Stamp};

use crate::{
    Actuator, ActuatorError, Duty, Error, Event, Fence, Finish, Gate, NotDone, OnDrift, Patience, Pause,
    Plan, Readiness, Rollout, RolloutId, Sample, Side, Slot, Traffic, Workload, World,
    actuator::{DEPLOYER, REGISTRY, ROUTER},
    patience::chain,
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
        Duty::Await | Duty::Nothing => std::future::pending().await,
        Duty::Check => check(world, plan).await.map(|()| Event::Checked),
        Duty::Ensure { workloads, behind, permitted, until } => {
            if permitted {
                // That nobody answers bars nothing: it is asked again before the promotion is recorded.
                let mut patience = Patience::new(world.clock, world.clock.now() + plan.timing.window);
                if let Ok(Some(why)) = barred(world, plan, &mut patience).await {
                    return Ok(Event::Barred { why });
                }
            }
            ensure(&hands, plan, &workloads, behind, until).await.map(|()| Event::Ready)
        }
        Duty::Observe { window, due, judged, compared, traffic } => {
            world.clock.sleep_until(due).await;
            let criteria =
                if rollout.state().is_before_promotion() { &plan.criteria } else { &plan.bake_criteria };
            if let Some(event) = readiness(world, rollout, &judged, compared.as_ref()).await {
                return Ok(event);
            }
            let reasserts = !rollout.state().is_before_promotion() || plan.on_drift == OnDrift::Reassert;
            match in_force(world, plan, &traffic, fence, reasserts).await {
                Ok(()) => {
                    let samples = observe(world, plan, criteria, window, &judged, compared.as_ref()).await;
                    Ok(Event::Observed { window, samples })
                }
                Err(NotInForce::Changed(why)) => Ok(Event::Drifted { why }),
                Err(NotInForce::Unknown(why)) => Ok(Event::Unseen { why }),
                Err(NotInForce::Superseded) => Err(NotDone::Superseded),
            }
        }
        Duty::Promote { until } => promote(world, id, plan, until).await.map(|seq| Event::Recorded { seq }),
        Duty::Remove { slots, until } => {
            let removed = try_join_all(slots.into_iter().map(|slot| hands.remove(slot, until)));
            removed.await.map(|_| Event::Removed)
        }
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
        Err(NotDone::Superseded) => Err(Error::Superseded),
        Err(NotDone::Failed(why) | NotDone::Unreached { why, .. }) => Ok(Event::Failed { why }),
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
    let named = plan.steps.iter().flat_map(|step| &step.gates);
    let unknown = named.filter_map(|gate| match gate {
        Gate::Check(name) if !world.gates.contains_key(name) => Some(name),
        _ => None,
    });
    if let Some(name) = unknown.into_iter().next() {
        return failed(format!(
            "the plan has a gate `{name}`, but nobody keeps one of this name; add its gatekeeper"
        ));
    }
    let mut patience = Patience::new(world.clock, world.clock.now() + plan.timing.patience);
    let manifest = patience.until(REGISTRY, || world.store.manifest(&plan.candidate.model)).await?;
    if manifest.digest != plan.candidate.digest {
        return failed(format!(
            "the plan pins {} to {}, but the registry holds {}; plan with the digest of its manifest",
            plan.candidate, plan.candidate.digest, manifest.digest
        ));
    }
    if let Some(why) = barred(world, plan, &mut patience).await? {
        return failed(why);
    }
    let channels = Channels::new(Arc::clone(&world.log));
    let name = plan.stable.model.name();
    let current = patience.until(REGISTRY, || channels.current(name, &plan.channel)).await?;
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
    let observed = patience.until(ROUTER, || world.router.observe(&plan.route)).await?;
    if observed.traffic != Traffic::stable() {
        let traffic = observed.traffic;
        return failed(format!(
            "route {} is not at rest ({traffic}); send all of it to stable first",
            plan.route
        ));
    }
    while patience.until(DEPLOYER, || world.deployer.status(Slot::Stable)).await?.ready()
        != Some(&plan.stable)
    {
        patience.wait(|| format!("{} is not ready in the stable slot", plan.stable)).await?;
    }
    Ok(())
}

/// Why the channel does not let the candidate in, if it is to be promoted.
async fn barred(world: &World, plan: &Plan, patience: &mut Patience) -> Result<Option<String>, NotDone> {
    if plan.finish != Finish::Promote {
        return Ok(None);
    }
    let channels = Channels::new(Arc::clone(&world.log));
    let (model, channel) = (&plan.candidate.model, &plan.channel);
    let unmet = patience
        .until(REGISTRY, || channels.unmet(model, channel, &Cause::Promote, world.clock.now()))
        .await?;
    let unmet: Vec<_> = unmet.iter().map(ToString::to_string).collect();
    let why = || format!("{} may not be promoted to {channel}: {}", plan.candidate, unmet.join("; "));
    Ok((!unmet.is_empty()).then(why))
}

/// Makes workloads run, in slots that must not have traffic meanwhile.
async fn ensure(
    hands: &Actuator<'_>,
    plan: &Plan,
    workloads: &[Workload],
    behind: Option<(Traffic, Workload)>,
    until: SystemTime,
) -> Result<(), NotDone> {
    if let Some((traffic, carrier)) = behind {
        // A router that was restarted may have forgotten it.
        hands.route(&plan.route, &traffic, &[carrier], false, until).await?;
        // What was sent to them before has to end before they are replaced.
        hands.clock.sleep_until(hands.clock.now() + plan.timing.drain).await;
    }
    try_join_all(workloads.iter().map(|workload| hands.ensure(workload, until))).await.map(drop)
}

/// Whether what is being observed still runs, or runs again. A deployer that does not answer says nothing.
async fn readiness(
    world: &World,
    rollout: &Rollout,
    judged: &Side,
    compared: Option<&Side>,
) -> Option<Event> {
    if !rollout.state().is_before_promotion() {
        return None;
    }
    let unready = async |side: &Side| {
        let status = tokio::time::timeout(rollout.plan().timing.window, world.deployer.status(side.slot));
        let why = match status.await.ok()?.ok()? {
            Readiness::Ready { release } | Readiness::Starting { release } if release == side.release => {
                return None;
            }
            Readiness::Ready { release } | Readiness::Starting { release } => {
                format!("{release} runs in the {} slot, not {}", side.slot, side.release)
            }
            Readiness::Failed { why, .. } => {
                format!("{} does not run in the {} slot any more: {why}", side.release, side.slot)
            }
            Readiness::Absent => format!("{} is gone from the {} slot", side.release, side.slot),
        };
        Some(Event::Unready { slot: side.slot, why })
    };
    for side in std::iter::once(judged).chain(compared).filter(|side| side.slot != Slot::Stable) {
        if let Some(event) = unready(side).await {
            return Some(event);
        }
    }
    let plan = rollout.plan();
    let stable = Side { route: plan.route.clone(), slot: Slot::Stable, release: plan.stable.clone() };
    let known = rollout.pauses().contains(&Pause::StableUnready);
    match unready(&stable).await {
        Some(_) if known => None,
        Some(event) => Some(event),
        None => known.then_some(Event::Recovered),
    }
}

/// Why a window is no evidence.
enum NotInForce {
    /// Somebody had changed the traffic.
    Changed(String),
    /// Somebody else has the route.
    Superseded,
    /// Nobody could say, for the length of a window.
    Unknown(String),
}

/// A window is evidence only if the traffic that is owed was in force. What somebody has changed is put right where
/// the plan wants it; a router that does not answer has changed nothing.
async fn in_force(
    world: &World,
    plan: &Plan,
    traffic: &Traffic,
    fence: Fence,
    reasserts: bool,
) -> Result<(), NotInForce> {
    let mut patience = Patience::new(world.clock, world.clock.now() + plan.timing.window);
    let why = match patience.until(ROUTER, || world.router.observe(&plan.route)).await {
        Ok(observed) if observed.fence > Some(fence) => return Err(NotInForce::Superseded),
        Ok(observed) if observed.traffic == *traffic => return Ok(()),
        Ok(observed) => format!("somebody had changed the traffic to {}", observed.traffic),
        Err(NotDone::Failed(why) | NotDone::Unreached { why, .. }) => {
            return Err(NotInForce::Unknown(format!("it is unknown what traffic was in force: {why}")));
        }
        Err(NotDone::Superseded) => return Err(NotInForce::Superseded),
    };
    if reasserts
        && let Some(Err(ActuatorError::Fenced { .. })) =
            patience.bound(world.router.apply(&plan.route, traffic, fence)).await
    {
        return Err(NotInForce::Superseded);
    }
    // Should it have failed otherwise, the next window says so.
    Err(NotInForce::Changed(why))
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
    let expect = Expect::At(plan.stable.model.clone());
    let promote = || {
        let cause = Cause::Rollout { id: id.to_string() };
        channels.promote(&plan.candidate.model, &plan.channel, &expect, cause, stamp(world, id))
    };
    Patience::new(world.clock, until).until(REGISTRY, promote).await.map(|moved| moved.seq)
}

async fn settle(
    world: &World,
    id: &RolloutId,
    plan: &Plan,
    promoted: Seq,
    until: SystemTime,
) -> Result<(), NotDone> {
    let channels = Channels::new(Arc::clone(&world.log));
    let name = plan.candidate.model.name();
    let settle = || channels.settle(name, &plan.channel, promoted, stamp(world, id));
    Patience::new(world.clock, until).until(REGISTRY, settle).await.map(drop)
}

fn stamp(world: &World, id: &RolloutId) -> Stamp {
    Stamp { by: format!("rollout {id}"), at: world.clock.now() }
}
