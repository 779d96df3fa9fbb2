//! Every state that a rollout can be in, and every event in each of them.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, SystemTime},
};

use tidegate_canary::{
    AtHorizon, Duty, Event, Plan, PlanSpec, Release, Request, Require, Rollout, Sample, Slot, State, Step,
    Timing, Weight,
    metrics::{Criterion, Measurement, Metric, Missing, Observation, Statistic, Verdict},
};
use tidegate_registry::{Digest, Seq};

fn release(version: &str) -> Release {
    Release { model: format!("fraud@{version}").parse().unwrap(), digest: Digest::of(version) }
}

/// A plan that is small enough to walk through: two steps, a gate between them, one criterion each way.
fn plan(at_horizon: AtHorizon) -> Plan {
    let step = |percent, require, gate| Step {
        weight: Weight::percent(percent).unwrap(),
        soak: Duration::ZERO,
        min_trials: 1,
        require,
        gate,
    };
    let mut spec = PlanSpec::canary("serving/fraud".parse().unwrap(), release("1.0.0"), release("1.1.0"));
    spec.steps = vec![step(50, Require::Pass, true), step(100, Require::NoFailure, false)];
    spec.criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.05)];
    spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
    spec.at_horizon = at_horizon;
    spec.timing = Timing {
        bake: Duration::from_secs(30),
        drain: Duration::from_secs(1),
        horizon: Duration::from_secs(60),
        lag: Duration::ZERO,
        patience: Duration::from_secs(60),
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs(30),
    };
    spec.build().unwrap()
}

/// One of everything that can happen or be asked, as it would come now. `Observed` comes as a window that
/// decides for, one that decides against, one that decides nothing, and one without data.
fn events(rollout: &Rollout) -> Vec<Event> {
    let by = || "ada".to_owned();
    let reason = || "because".to_owned();
    let mut events = vec![
        Event::Ask(Request::Abort { by: by(), reason: reason() }),
        Event::Ask(Request::Approve { by: by() }),
        Event::Checked,
        Event::Drifted { why: reason() },
        Event::Elapsed,
        Event::Failed { why: reason() },
        Event::Ask(Request::Hold { by: by() }),
        Event::Ready,
        Event::Recorded { seq: Seq::FIRST },
        Event::Ask(Request::Reject { by: by(), reason: reason() }),
        Event::Removed,
        Event::Ask(Request::Resume { by: by() }),
        Event::Routed,
        Event::Seize { by: by() },
        Event::Settled,
    ];
    if let Duty::Observe { window, .. } = rollout.duty() {
        let seen = |hits, trials| Measurement::Observed(Observation::proportion(hits, trials).unwrap());
        for candidate in
            [seen(0, 5_000), seen(4_000, 5_000), seen(0, 2), Measurement::Missing(Missing::NoData)]
        {
            let samples = vec![Sample { candidate, baseline: None }];
            events.push(Event::Observed { window, samples });
        }
    }
    events
}

/// When the event would come: after what was waited for.
fn when(rollout: &Rollout, now: SystemTime) -> SystemTime {
    match rollout.duty() {
        Duty::Observe { due, .. } => due.max(now),
        Duty::Wait { until } => until.max(now),
        _ => now + Duration::from_secs(1),
    }
}

/// What tells two rollouts apart for the walk: where they are, whether paused, and what the evidence says;
/// not the times, of which there are endlessly many.
fn shape(rollout: &Rollout, age: u32) -> String {
    let state = format!("{:?}", rollout.state());
    let name = state.split([' ', '{']).next().unwrap().to_owned();
    let step = match rollout.state() {
        State::Shift { step, .. } | State::Analyse { step, .. } | State::Gate { step, .. } => {
            format!("{step}")
        }
        State::RolledBack { cause }
        | State::Retreat { cause, .. }
        | State::Ebb { cause, .. }
        | State::Unsettled { cause }
        | State::Withdraw { cause, .. } => format!("{cause:?}").split([' ', '{']).next().unwrap().to_owned(),
        _ => String::new(),
    };
    format!("{name}{step} {:?} {:?} {age}", rollout.pauses(), rollout.verdict())
}

struct Edge {
    from: Rollout,
    event: Event,
    to: Rollout,
}

/// Every state that can be reached, and every way from one to another.
fn walk(at_horizon: AtHorizon) -> (BTreeMap<String, Rollout>, Vec<Edge>) {
    let start = Rollout::new(plan(at_horizon));
    let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
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
                    let age = if same { (age + 1).min(5) } else { 0 };
                    if seen.insert(shape(&to, age), to.clone()).is_none() {
                        queue.push_back((to.clone(), at, age));
                    }
                    edges.push(Edge { from: from.clone(), event, to });
                }
            }
        }
    }
    (seen, edges)
}

fn candidate_weight(rollout: &Rollout) -> Option<Weight> {
    match rollout.duty() {
        Duty::Route { traffic, .. } | Duty::Observe { traffic, .. } => Some(traffic.weight(Slot::Candidate)),
        _ => None,
    }
}

/// The weight that a step has, or that is put in force on the way to it.
fn step_weight(rollout: &Rollout) -> Weight {
    match rollout.state() {
        State::Shift { step, .. } | State::Analyse { step, .. } | State::Gate { step, .. } => {
            rollout.plan().steps[*step].weight
        }
        _ => Weight::NONE,
    }
}

const POLICIES: [AtHorizon; 3] = [AtHorizon::Hold, AtHorizon::Promote, AtHorizon::Rollback];

#[test]
fn every_state_is_reached() {
    let (seen, edges) = walk(AtHorizon::Hold);
    let names: BTreeSet<String> = seen
        .values()
        .map(|rollout| format!("{:?}", rollout.state()).split([' ', '{']).next().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 21, "{names:?}");
    assert!(edges.len() > 300, "{} edges between {} shapes", edges.len(), seen.len());
}

#[test]
fn every_state_leads_to_an_end_if_people_answer() {
    for policy in POLICIES {
        let (seen, _) = walk(policy);
        for (shape, rollout) in seen {
            let mut rollout = rollout;
            let mut at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            // A person who must act does: they resume and approve; nothing is observed but good windows.
            for _ in 0..200 {
                if rollout.state().is_end() {
                    break;
                }
                at = when(&rollout, at);
                let event = match rollout.duty() {
                    _ if !rollout.pauses().is_empty()
                        && rollout
                            .apply(&Event::Ask(Request::Resume { by: "ada".to_owned() }), at)
                            .is_ok() =>
                    {
                        continue;
                    }
                    Duty::AwaitPerson => Event::Ask(Request::Approve { by: "ada".to_owned() }),
                    Duty::Observe { .. } if matches!(rollout.state(), State::Gate { .. }) => {
                        Event::Ask(Request::Approve { by: "ada".to_owned() })
                    }
                    Duty::Check => Event::Checked,
                    Duty::Ensure { .. } => Event::Ready,
                    Duty::Observe { window, .. } => {
                        let candidate = Measurement::Observed(Observation::proportion(0, 5_000).unwrap());
                        Event::Observed { window, samples: vec![Sample { candidate, baseline: None }] }
                    }
                    Duty::Promote { .. } => Event::Recorded { seq: Seq::FIRST },
                    Duty::Remove { .. } => Event::Removed,
                    Duty::Route { .. } => Event::Routed,
                    Duty::Settle { .. } => Event::Settled,
                    Duty::Wait { .. } => Event::Elapsed,
                    duty => panic!("{duty:?} in {shape}"),
                };
                rollout.apply(&event, at).unwrap_or_else(|error| panic!("{shape}: {error}"));
            }
            assert!(rollout.state().is_end(), "{shape} ends at {}", rollout.state());
        }
    }
}

#[test]
fn ends_have_no_way_out() {
    for policy in POLICIES {
        let (_, edges) = walk(policy);
        for edge in edges.iter().filter(|edge| edge.from.state().is_end()) {
            assert_eq!(edge.from, edge.to);
            assert!(matches!(edge.event, Event::Seize { .. }));
        }
    }
}

#[test]
fn only_evidence_or_a_person_raises_the_weight() {
    for policy in POLICIES {
        let (_, edges) = walk(policy);
        let mut raised = 0;
        for Edge { from, event, to } in &edges {
            let (Some(before), Some(after)) = (candidate_weight(from), candidate_weight(to)) else {
                continue;
            };
            if after <= before {
                continue;
            }
            raised += 1;
            let good = match event {
                Event::Ask(Request::Approve { .. }) => matches!(from.state(), State::Gate { .. }),
                Event::Observed { .. } => to.verdict() == Verdict::Pass || policy == AtHorizon::Promote,
                _ => false,
            };
            assert!(good, "{} went from {before} to {after} by {event:?}", from.state());
        }
        assert!(raised > 0);
    }
}

#[test]
fn no_evidence_never_promotes() {
    for policy in [AtHorizon::Hold, AtHorizon::Rollback] {
        let mut rollout = Rollout::new(plan(policy));
        let mut at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for event in [Event::Checked, Event::Ready, Event::Elapsed, Event::Routed] {
            at += Duration::from_secs(2);
            rollout.apply(&event, at).unwrap();
        }
        for _ in 0..1_000 {
            let Duty::Observe { window, due, .. } = rollout.duty() else { break };
            let samples = vec![Sample { candidate: Measurement::Missing(Missing::NoData), baseline: None }];
            at = due;
            rollout.apply(&Event::Observed { window, samples }, at).unwrap();
            assert!(!matches!(rollout.state(), State::Shift { .. } | State::Gate { .. }));
        }
        match policy {
            AtHorizon::Hold => assert!(!rollout.pauses().is_empty()),
            _ => assert!(matches!(rollout.state(), State::Retreat { .. })),
        }
    }
}

#[test]
fn abort_returns_to_stable_from_every_state_before_promotion() {
    let (seen, _) = walk(AtHorizon::Hold);
    for (shape, rollout) in seen {
        let early = ["Preflight", "Provision", "Warm", "Shift", "Analyse", "Gate"]
            .iter()
            .any(|name| shape.starts_with(name));
        let mut after = rollout.clone();
        let abort = Event::Ask(Request::Abort { by: "ada".to_owned(), reason: "no".to_owned() });
        let accepted = after.apply(&abort, SystemTime::UNIX_EPOCH + Duration::from_secs(20_000_000)).is_ok();
        assert_eq!(accepted, early, "{shape}");
        if accepted && matches!(after.duty(), Duty::Route { .. }) {
            assert_eq!(candidate_weight(&after), Some(Weight::NONE), "{shape}");
        }
    }
}

#[test]
fn nothing_rises_while_it_is_held() {
    for policy in POLICIES {
        let (_, edges) = walk(policy);
        let held = edges.iter().filter(|edge| !edge.from.pauses().is_empty() && !edge.to.pauses().is_empty());
        for Edge { from, event, to } in held {
            assert!(step_weight(to) <= step_weight(from), "{} by {event:?}", from.state());
            let routes = |rollout: &Rollout| matches!(rollout.duty(), Duty::Route { back: false, .. });
            assert!(!routes(to), "{} moves traffic while it is held", to.state());
        }
    }
}

#[test]
fn evidence_against_the_candidate_counts_even_when_held() {
    let (_, edges) = walk(AtHorizon::Hold);
    let mut held = 0;
    for Edge { from, event, to } in &edges {
        if matches!(event, Event::Observed { .. }) && to.verdict() == Verdict::Fail && !from.state().is_bake()
        {
            held += usize::from(!from.pauses().is_empty());
            assert!(matches!(to.state(), State::Retreat { .. }), "{} stayed", from.state());
        }
    }
    assert!(held > 0);
}

#[test]
fn a_window_that_comes_twice_counts_once() {
    let (seen, _) = walk(AtHorizon::Hold);
    for (shape, rollout) in seen {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_500);
        for event in events(&rollout).into_iter().filter(|event| matches!(event, Event::Observed { .. })) {
            let mut once = rollout.clone();
            once.apply(&event, at).unwrap();
            let mut twice = once.clone();
            if twice.apply(&event, at).is_ok() {
                assert_eq!(once.evidence(), twice.evidence(), "{shape}");
            }
        }
    }
}

#[test]
fn replaying_the_events_gives_the_same_rollout() {
    let start = Rollout::new(plan(AtHorizon::Hold));
    let mut live = start.clone();
    let mut events = Vec::new();
    let mut at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut chance = fastrand::Rng::with_seed(7);
    while !live.state().is_end() && events.len() < 500 {
        let possible: Vec<Event> = self::events(&live)
            .into_iter()
            .filter(|event| {
                !matches!(
                    event,
                    Event::Seize { .. }
                        | Event::Ask(Request::Abort { .. })
                        | Event::Failed { .. }
                        | Event::Ask(Request::Reject { .. })
                )
            })
            .filter(|event| live.clone().apply(event, when(&live, at)).is_ok())
            .collect();
        let event = possible[chance.usize(..possible.len())].clone();
        at = when(&live, at);
        live.apply(&event, at).unwrap();
        // As a journal does: written down, and read back.
        let text = serde_json::to_string(&event).unwrap();
        events.push((serde_json::from_str::<Event>(&text).unwrap(), at));
    }
    let mut replayed = start;
    for (event, at) in &events {
        replayed.apply(event, *at).unwrap();
    }
    assert_eq!(replayed, live);
    assert!(events.len() > 8, "{} events", events.len());
}

#[test]
fn an_event_from_the_far_future_is_refused() {
    let mut rollout = Rollout::new(plan(AtHorizon::Hold));
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let refused = rollout.apply(&Event::Checked, late).unwrap_err();
    assert!(refused.to_string().contains("year 9000"), "{refused}");
}
