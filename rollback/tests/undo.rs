//! The machine of a rollback, walked exhaustively: every event in every state that can be reached.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use tidegate_canary::{
    Release, Slot, Traffic, Weight,
    metrics::{Criterion, Measurement, Metric, Observation, Statistic, Window},
};
use tidegate_registry::{Channel, Digest, Seq};
use tidegate_rollback::{Duty, Event, Order, Recovery, State, Undo, Way};

const AT: SystemTime = SystemTime::UNIX_EPOCH;
const WAYS: [Way; 6] = [Way::Busy, Way::Free, Way::InPlace, Way::Occupied, Way::Staged, Way::There];

fn order(quarantine: bool, recovery: bool) -> Order {
    let release = |model: &str| Release { model: model.parse().unwrap(), digest: Digest::of(model) };
    let criterion = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
    Order {
        route: "serving/fraud".parse().unwrap(),
        channel: Channel::production(),
        head: None,
        from: release("fraud@1.1.0"),
        to: release("fraud@1.0.0"),
        reason: "it is slow".to_owned(),
        by: None,
        watch: None,
        choice: None,
        patience: Duration::from_secs(300),
        drain: Duration::from_secs(30),
        quarantine,
        recovery: recovery.then(|| Recovery::new(vec![criterion])),
    }
}

/// What neither is left nor gone back to.
fn other() -> Release {
    Release { model: "fraud@1.2.0".parse().unwrap(), digest: Digest::of("fraud@1.2.0") }
}

/// Every event that there is.
fn events() -> Vec<Event> {
    let window = Window::new(AT, AT + Duration::from_secs(30)).unwrap();
    let bad = Measurement::Observed(Observation::proportion(900, 1_000).unwrap());
    let mut events = vec![
        Event::Aborted { by: "ada".to_owned(), reason: "it is the network".to_owned() },
        Event::Condemned,
        Event::Displaced { runs: order(false, false).from, why: "it is back".to_owned() },
        Event::Displaced { runs: other(), why: "it is another one".to_owned() },
        Event::Elapsed,
        Event::Failed { why: "it does not answer".to_owned() },
        Event::Moved { why: "production points to fraud@1.2.0".to_owned() },
        Event::Observed { window, seen: Vec::new() },
        Event::Omitted { why: "it is refused".to_owned() },
        Event::Observed { window, seen: vec![bad] },
        Event::Ready,
        Event::Recorded { seq: Seq::FIRST },
        Event::Removed,
        Event::Routed,
        Event::Unreached { who: "the router".to_owned(), why: "it is away".to_owned() },
    ];
    let took = r#"{"took":{"rollout":"ci-2","stable":"fraud@1.1.0"}}"#;
    events.push(serde_json::from_str(took).unwrap());
    events.extend(WAYS.map(|way| Event::Verified { way }));
    events
}

/// What answers a duty when all goes well.
fn answers(duty: &Duty, event: &Event) -> bool {
    match duty {
        Duty::Clear => matches!(event, Event::Routed | Event::Verified { way: Way::Occupied }),
        Duty::Condemn => matches!(event, Event::Condemned),
        Duty::Ensure { .. } => matches!(event, Event::Ready),
        Duty::Observe { .. } => matches!(event, Event::Observed { seen, .. } if !seen.is_empty()),
        Duty::Record => matches!(event, Event::Recorded { .. }),
        Duty::Remove => matches!(event, Event::Removed),
        Duty::Route { .. } => matches!(event, Event::Routed),
        Duty::Verify => matches!(event, Event::Verified { .. }),
        Duty::Wait { .. } => matches!(event, Event::Elapsed),
        _ => false,
    }
}

/// What can fail.
fn can_fail(duty: &Duty) -> bool {
    !matches!(duty, Duty::Nothing | Duty::Wait { .. })
}

/// Where a person can still call it off: no traffic has gone to the target.
fn can_be_called_off(state: &State) -> bool {
    matches!(state, State::Verify | State::Clear | State::Ebb | State::Stage)
}

#[test]
fn an_event_is_taken_in_where_it_answers_what_is_owed_and_nowhere_else() {
    let mut seen = BTreeSet::new();
    for (quarantine, recovery) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut open = vec![Undo::new(order(quarantine, recovery), AT)];
        let mut known: BTreeMap<String, ()> = BTreeMap::new();
        while let Some(undo) = open.pop() {
            // What follows may also depend on how it came there.
            if known.insert(format!("{undo:?}"), ()).is_some() {
                continue;
            }
            seen.insert(undo.state().doing());
            for event in events() {
                let mut next = undo.clone();
                let taken = next.apply(&event, AT + Duration::from_secs(1));
                let fails = matches!(event, Event::Failed { .. } | Event::Unreached { .. });
                let aborts = matches!(event, Event::Aborted { .. });
                let omits = matches!(event, Event::Omitted { .. });
                let displaced = matches!(event, Event::Displaced { .. });
                let moved = matches!(event, Event::Moved { .. });
                let in_service = matches!(undo.state(), State::Prove { .. } | State::Reassert { .. });
                let took = matches!(event, Event::Took(_)) && undo.took().is_none();
                let possible = took && *undo.state() == State::Verify
                    || answers(&undo.duty(), &event)
                    || fails && can_fail(&undo.duty())
                    || omits && matches!(undo.duty(), Duty::Condemn | Duty::Remove)
                    || displaced && matches!(undo.state(), State::Prove { .. })
                    || moved && in_service
                    || aborts && can_be_called_off(undo.state());
                assert_eq!(taken.is_ok(), possible, "{event:?} while {:?}", undo.state());
                if taken.is_err() {
                    assert_eq!(next, undo, "{event:?} was refused and changed it");
                    continue;
                }
                if aborts {
                    assert!(matches!(next.state(), State::Aborted { .. }), "{:?}", next.state());
                }
                if in_service && (displaced || fails || moved) {
                    assert!(!next.is_home(), "another release runs: {event:?}");
                }
                if moved || fails {
                    assert!(matches!(next.state(), State::Stuck { .. }), "{:?}", next.state());
                }
                open.push(next);
            }
        }
    }
    assert_eq!(seen.len(), 16, "a state was not reached, or is not counted yet: {seen:?}");
}

/// On the way back in place no traffic is moved off the stable slot and no other slot is filled; on every other way the
/// target never takes the stable slot while requests that it would lose may be there.
#[test]
fn each_way_does_what_is_owed_in_its_order() {
    for way in WAYS {
        let mut undo = Undo::new(order(false, false), AT);
        let mut done = Vec::new();
        let mut at = AT;
        while !undo.state().is_end() {
            at += Duration::from_secs(1);
            let duty = undo.duty();
            let event = match duty {
                Duty::Verify => Event::Verified { way },
                _ => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            done.push(duty);
            undo.apply(&event, at).unwrap();
        }
        assert!(matches!(undo.state(), State::Done { .. }), "{way:?}: {}", undo.state());
        let (stable, shifted) = (Traffic::stable(), Traffic::split(Weight::FULL));
        let filled: Vec<Slot> = done
            .iter()
            .filter_map(|duty| if let Duty::Ensure { slot } = duty { Some(*slot) } else { None })
            .collect();
        // Freeing a slot wants some release ready in the other, whichever that is.
        let routed: Vec<(&Traffic, Option<Slot>)> = done
            .iter()
            .filter_map(|duty| match duty {
                Duty::Clear => Some((&stable, None)),
                Duty::Route { traffic, on } => Some((traffic, Some(*on))),
                _ => None,
            })
            .collect();
        let home = (&stable, Some(Slot::Stable));
        let away = (&shifted, Some(Slot::Candidate));
        let (slots, routes) = match way {
            Way::Busy => (vec![Slot::Candidate, Slot::Stable], vec![(&stable, None), away, home]),
            Way::Staged => (vec![Slot::Stable], vec![away, home]),
            Way::Free => (vec![Slot::Candidate, Slot::Stable], vec![away, home]),
            Way::There => (vec![], vec![home]),
            _ => (vec![Slot::Stable], vec![home]),
        };
        assert_eq!((filled, routed), (slots, routes), "{way:?}");
    }
}

/// Requests end on a slot that is left. In place none is, and nobody waits for nothing.
#[test]
fn only_a_slot_that_is_left_is_let_end() {
    for (way, slots) in WAYS.into_iter().zip([3, 2, 0, 1, 2, 1]) {
        let mut undo = Undo::new(order(true, false), AT);
        let (mut at, mut waited) = (AT, Duration::ZERO);
        while !undo.state().is_end() {
            let duty = undo.duty();
            if let Duty::Wait { until } = duty {
                waited += until.duration_since(at).unwrap();
                at = until;
            }
            let event = match duty {
                Duty::Verify => Event::Verified { way },
                _ => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            undo.apply(&event, at).unwrap();
        }
        assert_eq!(waited, Duration::from_secs(30) * slots, "{way:?}");
    }
}

/// What cannot be done and nothing else needs keeps from nothing, and is for a person in the end.
#[test]
fn what_fails_after_the_move_keeps_from_nothing_that_follows() {
    let bad = Measurement::Observed(Observation::proportion(900, 1_000).unwrap());
    let good = Measurement::Observed(Observation::proportion(0, 5_000).unwrap());
    for (seen, word) in [(good, "was seen to help"), (bad, "it is not well either")] {
        let mut undo = Undo::new(order(true, true), AT);
        let (mut at, mut doing) = (AT, Vec::new());
        while !undo.state().is_end() {
            doing.push(undo.state().doing());
            let omitted = |why: &str| Event::Omitted { why: why.to_owned() };
            let event = match undo.duty() {
                Duty::Verify => Event::Verified { way: Way::There },
                Duty::Condemn => omitted("nobody may write"),
                Duty::Remove => omitted("it hangs"),
                Duty::Observe { window, due, .. } => {
                    at = due;
                    Event::Observed { window, seen: vec![seen.clone()] }
                }
                duty => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            undo.apply(&event, at).unwrap();
        }
        doing.dedup();
        let after: Vec<_> = doing.into_iter().skip_while(|doing| !doing.contains("quarantine")).collect();
        let left = ["putting what was left into quarantine", "letting requests in flight end"];
        let proven = ["emptying the candidate's slot", "watching the target, now in service"];
        assert_eq!(after, [left, proven].concat());
        let State::Stuck { why, remedy, .. } = undo.state() else { panic!("{}", undo.state()) };
        assert!(why.contains("nobody may write") && why.contains("it hangs"), "{why}");
        assert!(remedy.contains(word), "{remedy}");
        assert!(remedy.contains("into quarantine by hand") && remedy.contains("by hand"), "{remedy}");
        assert!(remedy.contains("what runs in the candidate's slot"), "{remedy}");
    }
}

/// What was left may come back once, as where what was asked for before is merged late; then, and where anything else
/// runs, it is for a person.
#[test]
fn what_was_left_and_comes_back_is_replaced_once() {
    let proving = || {
        let mut undo = Undo::new(order(false, true), AT);
        while !matches!(undo.state(), State::Prove { .. }) {
            let event = match undo.duty() {
                Duty::Verify => Event::Verified { way: Way::InPlace },
                duty => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            undo.apply(&event, AT).unwrap();
        }
        undo
    };
    let displaced = |runs: &Release| Event::Displaced { runs: runs.clone(), why: format!("{runs} runs") };
    let from = order(false, true).from;
    let mut undo = proving();
    let later = AT + Duration::from_secs(600);
    undo.apply(&displaced(&from), later).unwrap();
    assert_eq!(undo.duty(), Duty::Ensure { slot: Slot::Stable });
    assert_eq!(undo.until(), later + Duration::from_secs(300), "the patience begins again");
    let mut failed = undo.clone();
    failed.apply(&Event::Failed { why: "nobody merges it".to_owned() }, later).unwrap();
    undo.apply(&Event::Ready, later).unwrap();
    let State::Prove { from: next, .. } = undo.state() else { panic!("{}", undo.state()) };
    assert!(*next >= later, "what was seen while it was away does not count");
    undo.apply(&displaced(&from), later).unwrap();

    let mut decided = proving();
    decided.apply(&displaced(&other()), later).unwrap();
    let mut by_hand = proving();
    by_hand.apply(&Event::Failed { why: "fraud@1.1.0 was deployed".to_owned() }, later).unwrap();
    for (stuck, why) in [
        (failed, "nobody merges it"),
        (undo, "fraud@1.1.0 runs"),
        (decided, "fraud@1.2.0 runs"),
        (by_hand, "fraud@1.1.0 was deployed"),
    ] {
        let State::Stuck { why: said, remedy, .. } = stuck.state() else { panic!("{}", stuck.state()) };
        assert!(said.contains(why), "{said}");
        for word in ["take back what was merged", "put the target back", "promote it"] {
            assert!(remedy.contains(word), "{remedy}");
        }
        assert!(!remedy.contains("roll back"), "that would go to a third version: {remedy}");
    }
}

/// However it ends after the move, what could not be done on the way is said.
#[test]
fn what_was_omitted_is_said_also_where_another_release_runs() {
    let runs = |runs: Release| Event::Displaced { runs, why: "it runs".to_owned() };
    let moved = Event::Moved { why: "it was moved".to_owned() };
    let failed = Event::Failed { why: "it runs".to_owned() };
    let back = order(true, true).from;
    let ends = [
        vec![runs(other())],
        vec![failed.clone()],
        vec![moved.clone()],
        vec![runs(back.clone()), failed],
        vec![runs(back.clone()), moved],
        vec![runs(back.clone()), Event::Ready, runs(back)],
    ];
    for end in ends {
        let mut undo = Undo::new(order(true, true), AT);
        while !matches!(undo.state(), State::Prove { .. }) {
            let event = match undo.duty() {
                Duty::Verify => Event::Verified { way: Way::InPlace },
                Duty::Condemn => Event::Omitted { why: "nobody may write".to_owned() },
                duty => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            undo.apply(&event, AT).unwrap();
        }
        for event in &end {
            undo.apply(event, AT).unwrap();
        }
        let State::Stuck { why, remedy, .. } = undo.state() else { panic!("{end:?}: {}", undo.state()) };
        assert!(why.contains("nobody may write"), "{end:?}: {why}");
        assert!(remedy.contains("into quarantine by hand"), "{end:?}: {remedy}");
    }
}

#[test]
fn the_target_that_does_not_replace_what_runs_leaves_words_for_that() {
    let mut undo = Undo::new(order(true, true), AT);
    undo.apply(&Event::Verified { way: Way::InPlace }, AT).unwrap();
    undo.apply(&Event::Failed { why: "it is paused".to_owned() }, AT).unwrap();
    let said = undo.state().to_string();
    assert!(said.contains("it is paused") && said.contains("traffic goes to what runs"), "{said}");
    assert!(said.contains("a merge request is merged only then"), "{said}");
    assert!(!said.contains("candidate"), "there is no such slot: {said}");
}

/// Who could not be asked is what is mended, and not the target.
#[test]
fn where_somebody_was_away_the_remedy_is_not_another_target() {
    let stuck_by = |undo: &Undo, who: &str| {
        let mut undo = undo.clone();
        undo.apply(&Event::Unreached { who: who.to_owned(), why: format!("{who} is away") }, AT).unwrap();
        undo.state().to_string()
    };
    for way in WAYS {
        let mut undo = Undo::new(order(false, false), AT);
        // Once the target has all traffic there is nothing to roll back to.
        while *undo.state() != State::Record {
            let duty = undo.duty();
            // In place the target may replace it later all the same, which has words of its own.
            if can_fail(&duty) && *undo.state() != State::Replace {
                for who in ["the router", "the deployer", "the registry"] {
                    let said = stuck_by(&undo, who);
                    assert!(said.contains(&format!("{who} is away; ")), "{way:?}: {said}");
                    assert!(
                        said.ends_with(&format!("; mend {who}, then roll back again")),
                        "{way:?}: {said}"
                    );
                    assert!(!said.contains("another target"), "{way:?}: {said}");
                }
            }
            let event = match duty {
                Duty::Verify => Event::Verified { way },
                _ => events().into_iter().find(|event| answers(&duty, event)).unwrap(),
            };
            undo.apply(&event, AT).unwrap();
        }
    }
}
