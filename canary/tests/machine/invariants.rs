//! What must hold wherever a rollout goes, I1 to I7.

use std::time::Duration;

use tidegate_canary::{
    AtHorizon, Duty, Event, OnDrift, Pause, Request, Rollout, Slot, State, Weight, metrics::Verdict,
};

use crate::walk::{BEGIN, Edge, Walk, abort, candidate_weight, comparison, events, good, plan, walks, when};

/// I1: an abort is accepted until the promotion is being recorded, and needs nothing of the candidate but, where
/// stable is being replaced already, that it goes on carrying what it carries.
#[test]
fn an_abort_returns_to_stable_from_every_state_before_promotion() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            let late = [
                "Record",
                "Drain",
                "Retire",
                "Bake",
                "Settle",
                "Restore",
                "Retreat",
                "Verify",
                "Ebb",
                "Withdraw",
                "Compared",
                "Promoted",
                "RolledBack",
                "Seized",
                "Stuck",
                "Unsettled",
            ];
            let early = !late.iter().any(|name| shape.starts_with(name));
            let mut at = BEGIN + Duration::from_secs(20_000_000);
            let mut after = rollout.clone();
            // One that is on its way back already, to begin again, no longer begins again.
            let accepted = after.apply(&abort(), at).is_ok() && after.state() != rollout.state();
            assert_eq!(accepted, early, "{shape}");
            if !accepted {
                continue;
            }
            let mut returned = matches!(after.state(), State::Withdraw { .. } | State::RolledBack { .. });
            for _ in 0..20 {
                if let Duty::Route { traffic, on, .. } = after.duty() {
                    assert_eq!(traffic.weight(Slot::Candidate), Weight::NONE, "{shape}");
                    assert!(on.iter().all(|workload| workload.slot == Slot::Stable), "{shape}");
                    returned = true;
                }
                if after.state().is_end() {
                    break;
                }
                at = when(&after, at);
                let event = good(&after);
                after.apply(&event, at).unwrap();
            }
            assert!(returned, "{shape}");
            assert!(matches!(after.state(), State::RolledBack { .. }), "{shape} ended {}", after.state());
        }
    }
}

/// I2: the weight never rises but by evidence that a person or the criteria look at, from a state in which the
/// weight before was seen in force.
#[test]
fn only_evidence_or_a_person_raises_the_weight() {
    for Walk { plan, edges, .. } in walks() {
        let mut raised = 0;
        for Edge { from, event, to } in edges {
            let (Some(before), Some(after)) = (candidate_weight(from), candidate_weight(to)) else {
                continue;
            };
            if after <= before {
                continue;
            }
            raised += 1;
            let routed = matches!(from.state(), State::Analyse { .. } | State::Gate { .. });
            let good = match event {
                Event::Ask(Request::Promote { .. } | Request::Skip { .. }) => true,
                // From the renewed stable slot back to the candidate, which carries what it carried before.
                Event::Ask(Request::Abort { .. } | Request::Replace { .. }) => {
                    matches!(to.state(), State::Restore { .. })
                }
                Event::Ask(Request::Approve { .. }) | Event::Opened { .. } => {
                    matches!(from.state(), State::Gate { .. })
                }
                // The gates were open, and what held it up has ended.
                Event::Ask(Request::Resume { .. } | Request::Override { .. })
                | Event::Thawed
                | Event::Recovered => {
                    matches!(from.state(), State::Gate { .. })
                }
                Event::Observed { .. } if matches!(from.state(), State::Gate { .. }) => {
                    from.closed_gates().next().is_none()
                }
                Event::Observed { .. } => {
                    to.verdict() != Verdict::Fail
                        && (to.verdict() == Verdict::Pass || !requires_pass(from, plan.at_horizon))
                }
                _ => false,
            };
            let known =
                matches!(from.state(), State::Warm { .. } | State::Shift { .. } | State::Return { .. });
            assert!(good && (routed || known), "{} went from {before} to {after} by {event:?}", from.state());
        }
        assert!(raised > 0);
    }
}

fn requires_pass(rollout: &Rollout, at_horizon: AtHorizon) -> bool {
    let step = match rollout.state() {
        State::Analyse { step, .. } | State::Gate { step, .. } => *step,
        _ => 0,
    };
    rollout.plan().steps[step].require == tidegate_canary::Require::Pass && at_horizon != AtHorizon::Promote
}

/// I3: traffic is only owed to slots that must be ready for it, with what must be able to carry it.
#[test]
fn traffic_goes_only_where_something_must_be_ready() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            if let Duty::Route { traffic, on, .. } = rollout.duty() {
                for slot in traffic.slots() {
                    let ready = on.iter().find(|workload| workload.slot == slot);
                    let ready = ready.unwrap_or_else(|| panic!("{shape}: nothing has to be ready in {slot}"));
                    assert!(ready.share >= traffic.weight(slot).max(Weight::NONE), "{shape}: {slot}");
                }
            }
        }
    }
}

/// I4: a slot is emptied only after traffic was seen away from it, and requests in flight had their time.
#[test]
fn slots_are_emptied_only_after_traffic_has_left_and_drained() {
    for Walk { edges, .. } in walks() {
        for Edge { from, event, to } in edges {
            if matches!(to.duty(), Duty::Remove { .. }) && !matches!(from.duty(), Duty::Remove { .. }) {
                let drained = matches!(
                    (from.state(), event),
                    (State::Drain { .. } | State::Ebb { .. }, Event::Elapsed)
                );
                let never_had = matches!(from.state(), State::Provision { .. } | State::Warm { .. });
                assert!(drained || never_had, "{} to {} by {event:?}", from.state(), to.state());
            }
            if matches!(to.state(), State::Drain { .. }) && !matches!(from.state(), State::Drain { .. }) {
                assert!(matches!(from.state(), State::Record { .. }));
            }
            if matches!(to.state(), State::Ebb { .. }) && !matches!(from.state(), State::Ebb { .. }) {
                assert!(matches!(from.state(), State::Retreat { .. } | State::Verify { .. }));
            }
        }
    }
}

/// I5 is `replaying_the_events_gives_the_same_rollout`; here, that a refused event changes nothing is part of the
/// walk, and that checking agrees with applying.
#[test]
fn an_event_is_possible_whenever_it_is_said_to_be() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            let at = BEGIN + Duration::from_secs(20_000_000);
            for event in events(rollout) {
                let possible = rollout.check(&event, at).is_ok();
                assert_eq!(possible, rollout.clone().apply(&event, at).is_ok(), "{shape}: {event:?}");
            }
        }
    }
}

/// I6: the shares always sum to all of it.
#[test]
fn the_shares_sum_to_all() {
    for Walk { seen, .. } in walks() {
        for (shape, rollout) in seen {
            let (Duty::Route { traffic, .. } | Duty::Observe { traffic, .. }) = rollout.duty() else {
                continue;
            };
            let slots = [Slot::Stable, Slot::Baseline, Slot::Candidate];
            let sum: u16 = slots.map(|slot| traffic.weight(slot).as_basis_points()).iter().sum();
            assert_eq!(sum, 10_000, "{shape}");
        }
    }
}

/// I7: another plan begins with no traffic on its candidate and no evidence.
#[test]
fn another_plan_begins_anew() {
    for rollout in walks()[0].seen.values() {
        let mut rollout = rollout.clone();
        let mut at = BEGIN + Duration::from_secs(20_000_000);
        let other = comparison();
        let replace = Event::Ask(Request::Replace { by: "ada".to_owned(), plan: Box::new(other.clone()) });
        if rollout.apply(&replace, at).is_err() {
            continue;
        }
        for _ in 0..20 {
            if *rollout.plan() == other {
                break;
            }
            if let Duty::Route { traffic, .. } = rollout.duty() {
                assert_eq!(traffic.weight(Slot::Candidate), Weight::NONE);
            }
            at = when(&rollout, at);
            let event = good(&rollout);
            rollout.apply(&event, at).unwrap();
        }
        assert_eq!(rollout, Rollout::new(other));
    }
}

#[test]
fn nothing_rises_while_it_is_held_or_frozen() {
    for Walk { edges, .. } in walks() {
        let stops = |rollout: &Rollout| {
            rollout.pauses().contains(&Pause::Held) || rollout.pauses().contains(&Pause::Frozen)
        };
        let mut seen = 0;
        for Edge { from, event, to } in edges.iter().filter(|edge| stops(&edge.from) && stops(&edge.to)) {
            seen += 1;
            if let (Some(before), Some(after)) = (candidate_weight(from), candidate_weight(to)) {
                assert!(after <= before, "{} by {event:?}", from.state());
            }
            let routes = |rollout: &Rollout| matches!(rollout.duty(), Duty::Route { back: false, .. });
            // What had drifted is put in force again.
            let again = matches!(event, Event::Ask(Request::Resume { .. }));
            assert!(!routes(to) || routes(from) || again, "{} moves traffic by {event:?}", to.state());
        }
        assert!(seen > 100);
    }
}

#[test]
fn evidence_against_the_candidate_counts_even_when_paused() {
    for Walk { edges, .. } in walks() {
        let mut paused = 0;
        for Edge { from, event, to } in edges {
            let early = from.state().is_before_promotion();
            if early && matches!(event, Event::Observed { .. }) && to.verdict() == Verdict::Fail {
                paused += usize::from(!from.pauses().is_empty());
                assert!(matches!(to.state(), State::Retreat { .. }), "{} stayed", from.state());
            }
        }
        assert!(paused > 0);
    }
}

#[test]
fn no_evidence_never_promotes() {
    use tidegate_canary::{
        Sample,
        metrics::{Measurement, Missing},
    };
    let out = Missing::SourceError { cause: "503".to_owned(), retryable: true };
    for (at_horizon, missing) in [
        (AtHorizon::Hold, Missing::NoData),
        (AtHorizon::Rollback, Missing::NoData),
        // Nobody may go on blindly, whatever the plan says of undecided steps.
        (AtHorizon::Promote, out.clone()),
        (AtHorizon::Rollback, out),
    ] {
        let mut rollout = Rollout::new(plan(at_horizon, OnDrift::Reassert));
        let mut at = BEGIN + Duration::from_secs(1_000_000);
        for event in [Event::Checked, Event::Ready, Event::Elapsed, Event::Routed] {
            at += Duration::from_secs(2);
            rollout.apply(&event, at).unwrap();
        }
        for _ in 0..1_000 {
            let (Duty::Observe { window, due, .. }, State::Analyse { .. }) =
                (rollout.duty(), rollout.state())
            else {
                break;
            };
            let samples = vec![Sample { candidate: Measurement::Missing(missing.clone()), baseline: None }];
            at = due;
            rollout.apply(&Event::Observed { window, samples }, at).unwrap();
            assert!(!matches!(rollout.state(), State::Shift { .. } | State::Gate { .. }));
        }
        match at_horizon {
            AtHorizon::Rollback => assert!(matches!(rollout.state(), State::Retreat { .. })),
            _ => assert!(rollout.pauses().contains(&Pause::Undecided)),
        }
    }
}

#[test]
fn a_router_that_does_not_obey_stops_the_rollout() {
    let edges = walks().iter().flat_map(|walk| &walk.edges);
    let misrouted = edges.filter(|edge| edge.to.pauses().contains(&Pause::Misrouted));
    let mut seen = 0;
    for Edge { from, event, to } in misrouted {
        seen += 1;
        let going_on = matches!(to.state(), State::Shift { .. }) && from.state() != to.state();
        assert!(!going_on, "{} by {event:?}", from.state());
    }
    assert!(seen > 0);
}
