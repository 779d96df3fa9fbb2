//! The machine: every state, every event in each of them, and what must hold wherever it goes.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod asked;
mod invariants;
mod strategies;
mod walk;

use std::{collections::BTreeSet, time::Duration};

use tidegate_canary::{AtHorizon, Event, OnDrift, Pause, Request, Rollout, State};
use walk::{BEGIN, Edge, Walk, good, name, plan, walks, when};

#[test]
fn every_state_is_reached() {
    let mut names = BTreeSet::new();
    for Walk { seen, edges, .. } in walks() {
        names.extend(seen.values().map(|rollout| name(rollout.state())));
        assert!(edges.len() > 1_000, "{} edges between {} shapes", edges.len(), seen.len());
    }
    assert_eq!(names.len(), 25, "{names:?}");
}

#[test]
fn every_pause_is_reached_and_ends() {
    let mut pauses = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for Walk { edges, .. } in walks() {
        for Edge { from, to, .. } in edges {
            pauses.extend(to.pauses().iter().copied());
            ended.extend(from.pauses().difference(to.pauses()).copied());
        }
    }
    let all: BTreeSet<Pause> = [
        Pause::Drifted,
        Pause::Frozen,
        Pause::Held,
        Pause::Misrouted,
        Pause::Outage,
        Pause::StableUnready,
        Pause::Undecided,
    ]
    .into();
    assert_eq!(pauses, all);
    assert_eq!(ended, all);
}

#[test]
fn every_state_leads_to_an_end_if_people_answer() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            let mut rollout = rollout.clone();
            let mut at = BEGIN + Duration::from_secs(1_000_000);
            for _ in 0..300 {
                if rollout.state().is_end() {
                    break;
                }
                at = when(&rollout, at);
                let event = good(&rollout);
                rollout.apply(&event, at).unwrap_or_else(|error| panic!("{shape}: {error}"));
            }
            assert!(rollout.state().is_end(), "{shape} ends at {}", rollout.state());
        }
    }
}

#[test]
fn ends_have_no_way_out() {
    for Walk { edges, .. } in walks() {
        for edge in edges.iter().filter(|edge| edge.from.state().is_end()) {
            assert_eq!(edge.from.state(), edge.to.state());
            assert!(matches!(edge.event, Event::Seize { .. } | Event::Thawed), "{:?}", edge.event);
        }
    }
}

#[test]
fn replaying_the_events_gives_the_same_rollout() {
    for (seed, start) in (0..).zip(walks().iter().map(|walk| Rollout::new(walk.plan.clone()))) {
        let mut live = start.clone();
        let mut events = Vec::new();
        let mut at = BEGIN + Duration::from_secs(1_000_000);
        let mut chance = fastrand::Rng::with_seed(seed);
        while !live.state().is_end() && events.len() < 400 {
            // Mostly what should come, and now and then what may.
            let possible: Vec<Event> = walk::events(&live)
                .into_iter()
                .filter(|event| {
                    !matches!(
                        event,
                        Event::Seize { .. }
                            | Event::Failed { .. }
                            | Event::Shut { .. }
                            | Event::Unready { .. }
                            | Event::Ask(
                                Request::Abort { .. } | Request::Reject { .. } | Request::Replace { .. }
                            )
                    )
                })
                .filter(|event| live.clone().apply(event, when(&live, at)).is_ok())
                .collect();
            let event = if chance.u8(..3) == 0 {
                possible[chance.usize(..possible.len())].clone()
            } else {
                good(&live)
            };
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
        assert_eq!(replayed.judgements(), live.judgements());
        assert!(events.len() > 8, "{} events", events.len());
    }
}

#[test]
fn an_event_from_the_far_future_is_refused() {
    let mut rollout = Rollout::new(plan(AtHorizon::Hold, OnDrift::Reassert));
    let late = BEGIN + Duration::from_secs(253_402_300_799);
    let refused = rollout.apply(&Event::Checked, late).unwrap_err();
    assert!(refused.to_string().contains("year 9000"), "{refused}");
}

#[test]
fn a_window_that_comes_twice_counts_once() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            let at = BEGIN + Duration::from_secs(1_000_500);
            for event in walk::events(rollout) {
                if !matches!(event, Event::Observed { .. }) {
                    continue;
                }
                let mut once = rollout.clone();
                once.apply(&event, at).unwrap();
                let mut twice = once.clone();
                if twice.apply(&event, at).is_ok() {
                    assert_eq!(once.evidence(), twice.evidence(), "{shape}");
                    assert_eq!(once.judgements(), twice.judgements(), "{shape}");
                }
            }
        }
    }
}

#[test]
fn a_step_without_evidence_waits_for_its_time_alone() {
    let mut spec = walk::spec();
    spec.criteria.clear();
    spec.unproven = Some("the model in service leaks secrets".to_owned());
    spec.steps.remove(0);
    spec.steps[0].soak = Duration::from_secs(60);
    let mut rollout = Rollout::new(spec.build().unwrap());
    let mut at = BEGIN + Duration::from_secs(1_000_000);
    let mut path = Vec::new();
    while !rollout.state().is_end() {
        at = when(&rollout, at);
        let event = good(&rollout);
        path.push(event.name());
        rollout.apply(&event, at).unwrap();
    }
    assert_eq!(*rollout.state(), State::Promoted);
    assert_eq!(path[..6], ["checked", "ready", "elapsed", "routed", "elapsed", "ready"]);
    assert!(at >= BEGIN + Duration::from_secs(1_000_060));
}
