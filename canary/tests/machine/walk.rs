//! Every state that a rollout can be in, and every event in each of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use tidegate_canary::{
    AtHorizon, Duty, Event, Gate, OnDrift, Plan, PlanSpec, Release, Request, Require, Rollout, Sample, Side,
    Slot, State, Step, Timing, Traffic, Weight,
    metrics::{Criterion, Measurement, Metric, Missing, Observation, Statistic},
};
use tidegate_registry::{Digest, Seq};

pub(crate) const BEGIN: SystemTime = SystemTime::UNIX_EPOCH;

pub(crate) fn release(version: &str) -> Release {
    Release { model: format!("fraud@{version}").parse().unwrap(), digest: Digest::of(version) }
}

/// A plan that is small enough to walk through: two steps, a gate between them, one criterion each way.
pub(crate) fn spec() -> PlanSpec {
    let step = |percent, require, gates| Step {
        weight: Weight::percent(percent).unwrap(),
        min_trials: 1,
        require,
        gates,
        ..Step::default()
    };
    let mut spec = PlanSpec::canary("serving/fraud".parse().unwrap(), release("1.0.0"), release("1.1.0"));
    spec.steps =
        vec![step(50, Require::Pass, vec![Gate::Approval]), step(100, Require::NoFailure, Vec::new())];
    spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
    spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
    spec.timing = Timing {
        bake: Duration::from_secs(30),
        drain: Duration::from_secs(1),
        horizon: Duration::from_secs(60),
        lag: Duration::ZERO,
        patience: Duration::from_secs(60),
        verify: Duration::from_secs(30),
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs(30),
    };
    spec
}

pub(crate) fn plan(at_horizon: AtHorizon, on_drift: OnDrift) -> Plan {
    let unproven = (at_horizon == AtHorizon::Promote).then(|| "nobody asks at night".to_owned());
    PlanSpec { at_horizon, on_drift, unproven, ..spec() }.build().unwrap()
}

/// Copies first, then a comparison with a baseline, and nothing promoted.
pub(crate) fn comparison() -> Plan {
    let mut spec = spec();
    spec.baseline = true;
    spec.finish = tidegate_canary::Finish::Compare;
    spec.criteria.push(Criterion::compare(Metric::errors()));
    spec.steps = vec![
        Step { mirror: Weight::percent(20).unwrap(), min_trials: 1, ..Step::default() },
        Step {
            weight: Weight::percent(20).unwrap(),
            require: Require::Pass,
            min_trials: 1,
            ..Step::default()
        },
    ];
    spec.build().unwrap()
}

/// How many of 10 000 requests each side answers.
fn requests(traffic: &Traffic, compared: Option<&Side>) -> (u64, u64) {
    let weight = |slot| u64::from(traffic.weight(slot).as_basis_points());
    let copies = u64::from(traffic.mirror().as_basis_points());
    let judged = weight(Slot::Candidate).max(copies);
    // Where the candidate has none, stable is watched.
    (if judged == 0 { 10_000 } else { judged }, compared.map_or(0, |side| weight(side.slot)))
}

pub(crate) fn seen(hits: u64, trials: u64) -> Measurement {
    Measurement::Observed(Observation::proportion(hits, trials).unwrap())
}

fn by() -> String {
    "ada".to_owned()
}

fn reason() -> String {
    "because".to_owned()
}

pub(crate) fn approve(rollout: &Rollout) -> Event {
    Event::Ask(Request::Approve { by: by(), digest: rollout.plan().candidate.digest })
}

pub(crate) fn abort() -> Event {
    Event::Ask(Request::Abort { by: by(), reason: reason() })
}

pub(crate) fn resume() -> Event {
    Event::Ask(Request::Resume { by: by() })
}

/// One of everything that can happen or be asked, as it would come now. `Observed` comes as a window that
/// decides for, one that decides against, one that decides nothing, one whose sides are not as routed, one
/// without data and one without a source.
pub(crate) fn events(rollout: &Rollout) -> Vec<Event> {
    let mut events = vec![
        abort(),
        approve(rollout),
        Event::Barred { why: reason() },
        Event::Checked,
        Event::Drifted { why: reason() },
        Event::Elapsed,
        Event::Failed { why: reason() },
        Event::Frozen { on: [0].into(), why: reason() },
        Event::Frozen { on: [0, 1].into(), why: reason() },
        Event::Ask(Request::Hold { by: by() }),
        Event::Opened { gate: 0, by: by() },
        Event::Ask(Request::Override { by: by(), reason: reason() }),
        Event::Ask(Request::Promote { by: by(), reason: reason() }),
        Event::Ready,
        Event::Recorded { seq: Seq::FIRST },
        Event::Recovered,
        Event::Ask(Request::Reject { by: by(), reason: reason() }),
        Event::Removed,
        Event::Ask(Request::Replace { by: by(), plan: Box::new(rollout.plan().clone()) }),
        resume(),
        Event::Routed,
        Event::Seize { by: by() },
        Event::Settled,
        Event::Shut { gate: 0, by: by(), reason: reason() },
        Event::Ask(Request::Skip { by: by(), reason: reason() }),
        Event::Thawed,
        Event::Unready { slot: Slot::Candidate, why: reason() },
        Event::Unready { slot: Slot::Baseline, why: reason() },
        Event::Unready { slot: Slot::Stable, why: reason() },
        Event::Unseen { why: reason() },
    ];
    if let Duty::Observe { window, compared, traffic, .. } = rollout.duty() {
        let (many, others) = requests(&traffic, compared.as_ref());
        let out = Missing::SourceError { cause: reason(), retryable: true };
        let criteria = if rollout.state().is_before_promotion() {
            &rollout.plan().criteria
        } else {
            &rollout.plan().bake_criteria
        };
        for (candidate, baseline) in [
            (seen(0, many), seen(others / 50, others)),
            (seen(many * 4 / 5, many), seen(others / 1_000, others)),
            (seen(0, 2), seen(0, 2)),
            (seen(0, 10), seen(0, 50_000)),
            (Measurement::Missing(Missing::NoData), seen(0, 2)),
            (Measurement::Missing(out.clone()), Measurement::Missing(out)),
        ] {
            let sample = |criterion: &Criterion| Sample {
                candidate: candidate.clone(),
                baseline: (compared.is_some() && criterion.needs_baseline()).then(|| baseline.clone()),
            };
            events.push(Event::Observed { window, samples: criteria.iter().map(sample).collect() });
        }
    }
    events
}

/// When the event would come: after what was waited for.
pub(crate) fn when(rollout: &Rollout, now: SystemTime) -> SystemTime {
    match rollout.duty() {
        Duty::Observe { due, .. } => due.max(now),
        Duty::Wait { until } => until.max(now),
        _ => now + Duration::from_secs(1),
    }
}

pub(crate) fn name(state: &State) -> String {
    format!("{state:?}").split([' ', '{']).next().unwrap().to_owned()
}

/// What tells two rollouts apart for the walk: where they are, whether paused, and what the evidence says;
/// not the times, of which there are endlessly many.
fn shape(rollout: &Rollout, age: u32) -> String {
    let place = match rollout.state() {
        State::Shift { step, .. } | State::Analyse { step, .. } => format!("{step}"),
        State::Gate { step, open, .. } => format!("{step} {open:?}"),
        State::RolledBack { cause }
        | State::Restore { cause, .. }
        | State::Retreat { cause, .. }
        | State::Verify { cause, .. }
        | State::Ebb { cause, .. }
        | State::Unsettled { cause }
        | State::Withdraw { cause, .. } => format!("{cause:?}").split([' ', '{']).next().unwrap().to_owned(),
        _ => String::new(),
    };
    let (name, verdict) = (name(rollout.state()), rollout.verdict());
    format!("{name}{place} {:?} {:?} {verdict:?} {age}", rollout.pauses(), rollout.freezes())
}

pub(crate) struct Edge {
    pub(crate) from: Rollout,
    pub(crate) event: Event,
    pub(crate) to: Rollout,
}

/// A plan, every state that it can lead to, and every way from one to another.
pub(crate) struct Walk {
    pub(crate) plan: Plan,
    pub(crate) seen: BTreeMap<String, Rollout>,
    pub(crate) edges: Vec<Edge>,
}

/// All walks; they take a while, so that the tests share them.
pub(crate) fn walks() -> &'static [Walk] {
    static WALKS: LazyLock<Vec<Walk>> = LazyLock::new(|| {
        let plans = [
            plan(AtHorizon::Hold, OnDrift::Reassert),
            plan(AtHorizon::Promote, OnDrift::Pause),
            plan(AtHorizon::Rollback, OnDrift::Abort),
            comparison(),
        ];
        plans.into_iter().map(walk).collect()
    });
    &WALKS
}

fn walk(plan: Plan) -> Walk {
    let start = Rollout::new(plan.clone());
    let begin = BEGIN + Duration::from_secs(1_000_000);
    let mut seen = BTreeMap::from([(shape(&start, 0), start.clone())]);
    let mut edges = Vec::new();
    let mut queue = VecDeque::from([(start, begin, 0)]);
    while let Some((from, now, age)) = queue.pop_front() {
        for event in events(&from) {
            let at = when(&from, now);
            let mut to = from.clone();
            match to.apply(&event, at) {
                Err(_) => assert_eq!(to, from, "a refused event changes nothing: {event:?}"),
                Ok(()) => {
                    // An undecided step grows old, which is the one thing that counts windows.
                    let same = std::mem::discriminant(to.state()) == std::mem::discriminant(from.state());
                    let age = match event {
                        Event::Observed { .. } if same => (age + 1).min(3),
                        _ if same => age,
                        _ => 0,
                    };
                    // Of pauses at once, two say what more would.
                    let is_new = to.pauses().len() <= 2 && !seen.contains_key(&shape(&to, age));
                    if is_new {
                        seen.insert(shape(&to, age), to.clone());
                        queue.push_back((to.clone(), at, age));
                    }
                    edges.push(Edge { from: from.clone(), event, to });
                }
            }
        }
    }
    Walk { plan, seen, edges }
}

/// The candidate's share of requests in the traffic that is owed, if any is.
pub(crate) fn candidate_weight(rollout: &Rollout) -> Option<Weight> {
    match rollout.duty() {
        Duty::Route { traffic, .. } | Duty::Observe { traffic, .. } => Some(traffic.weight(Slot::Candidate)),
        Duty::Ensure { behind: Some((traffic, _)), .. } => Some(traffic.weight(Slot::Candidate)),
        _ => None,
    }
}

/// What answers a duty if all goes well, a person who is waited for included.
pub(crate) fn good(rollout: &Rollout) -> Event {
    match rollout.duty() {
        _ if rollout.pauses().iter().any(|pause| pause.is_for_a_person()) => resume(),
        _ if rollout.pauses().contains(&tidegate_canary::Pause::Frozen) => Event::Thawed,
        _ if rollout.pauses().contains(&tidegate_canary::Pause::StableUnready) => Event::Recovered,
        _ if rollout.closed_gates().any(|(_, gate)| *gate == Gate::Approval) => approve(rollout),
        Duty::Check => Event::Checked,
        Duty::Ensure { .. } => Event::Ready,
        Duty::Observe { window, compared, traffic, .. } => {
            let (many, others) = requests(&traffic, compared.as_ref());
            let plan = rollout.plan();
            let criteria =
                if rollout.state().is_before_promotion() { &plan.criteria } else { &plan.bake_criteria };
            let sample = |criterion: &Criterion| Sample {
                candidate: seen(0, many),
                baseline: (compared.is_some() && criterion.needs_baseline())
                    .then(|| seen(others / 50, others)),
            };
            Event::Observed { window, samples: criteria.iter().map(sample).collect() }
        }
        Duty::Promote { .. } => Event::Recorded { seq: Seq::FIRST },
        Duty::Remove { .. } => Event::Removed,
        Duty::Route { .. } => Event::Routed,
        Duty::Settle { .. } => Event::Settled,
        Duty::Wait { .. } => Event::Elapsed,
        duty => panic!("nothing answers {duty:?} in {}", rollout.state()),
    }
}
