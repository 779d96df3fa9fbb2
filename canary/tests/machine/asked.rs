//! What people ask for.

use std::time::{Duration, SystemTime};

use tidegate_canary::{
    AtHorizon, Cause, Event, Gate, OnDrift, Pause, Plan, PlanSpec, Request, Rollout, Slot, State,
};
use tidegate_registry::Digest;

use crate::walk::{BEGIN, approve, good, plan, release, resume, spec, when};

fn by() -> String {
    "ada".to_owned()
}

fn ask(request: Request) -> Event {
    Event::Ask(request)
}

/// A rollout of `plan` in the first state that is wanted, and the time.
fn at(plan: Plan, wanted: impl Fn(&State) -> bool) -> (Rollout, SystemTime) {
    let mut rollout = Rollout::new(plan);
    let mut now = BEGIN + Duration::from_secs(1_000_000);
    while !wanted(rollout.state()) {
        now = when(&rollout, now);
        let event = good(&rollout);
        rollout.apply(&event, now).unwrap();
    }
    (rollout, now)
}

fn canary() -> Plan {
    plan(AtHorizon::Hold, OnDrift::Reassert)
}

#[test]
fn an_approval_is_of_one_content() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Gate { .. }));
    let other = ask(Request::Approve { by: by(), digest: Digest::of("another") });
    let refused = rollout.apply(&other, now).unwrap_err();
    assert!(refused.to_string().contains("another digest than the one approved"), "{refused}");
    rollout.apply(&approve(&rollout.clone()), now).unwrap();
    assert!(matches!(rollout.state(), State::Shift { step: 1, .. }), "{}", rollout.state());
}

#[test]
fn every_gate_of_a_step_has_to_open() {
    let mut spec = spec();
    spec.steps[0].gates =
        vec![Gate::Check("smoke".to_owned()), Gate::Approval, Gate::Check("scan".to_owned())];
    let (mut rollout, now) = at(spec.build().unwrap(), |state| matches!(state, State::Gate { .. }));
    rollout.apply(&approve(&rollout.clone()), now).unwrap();
    assert!(!rollout.awaits_person());
    let opened = |gate| Event::Opened { gate, by: "smoke".to_owned() };
    rollout.apply(&opened(2), now).unwrap();
    assert!(rollout.apply(&opened(2), now).is_err(), "it is open already");
    assert!(rollout.apply(&opened(3), now).is_err(), "there is none");
    assert!(matches!(rollout.state(), State::Gate { .. }));
    let mut shut = rollout.clone();
    rollout.apply(&opened(0), now).unwrap();
    assert!(matches!(rollout.state(), State::Shift { step: 1, .. }));
    let event = Event::Shut { gate: 0, by: "smoke".to_owned(), reason: "it answers 500".to_owned() };
    shut.apply(&event, now).unwrap();
    assert!(matches!(shut.state(), State::Retreat { cause: Cause::Rejected { .. }, .. }), "{}", shut.state());
}

#[test]
fn a_freeze_stops_the_beginning_and_each_step_and_never_an_abort() {
    let these = |on: &[usize]| Event::Frozen { on: on.iter().copied().collect(), why: "holidays".to_owned() };
    let frozen = || these(&[0]);
    let mut fresh = Rollout::new(canary());
    let now = BEGIN + Duration::from_secs(1_000_000);
    fresh.apply(&frozen(), now).unwrap();
    assert!(fresh.apply(&Event::Checked, now).is_err());
    assert!(!fresh.awaits_person(), "it ends by itself");
    fresh.apply(&Event::Thawed, now).unwrap();
    fresh.apply(&Event::Checked, now).unwrap();

    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Gate { .. }));
    rollout.apply(&frozen(), now).unwrap();
    let refused = rollout.apply(&approve(&rollout.clone()), now).unwrap_err();
    assert!(refused.to_string().contains("override it first"), "{refused}");
    let mut aborted = rollout.clone();
    aborted.apply(&ask(Request::Abort { by: by(), reason: "no".to_owned() }), now).unwrap();
    assert!(matches!(aborted.state(), State::Retreat { .. }));
    assert!(rollout.apply(&resume(), now).is_err(), "a freeze is not resumed from by accident");
    rollout.apply(&ask(Request::Override { by: by(), reason: "it is urgent".to_owned() }), now).unwrap();
    assert!(rollout.apply(&frozen(), now).is_err(), "this freeze does not count any more");
    let mut another = rollout.clone();
    another.apply(&these(&[0, 1]), now).unwrap();
    assert!(another.pauses().contains(&Pause::Frozen), "but one that begins while it is on does");
    another.apply(&frozen(), now).unwrap();
    assert!(another.pauses().is_empty(), "until it is over");
    rollout.apply(&approve(&rollout.clone()), now).unwrap();
    rollout.apply(&Event::Thawed, now).unwrap();
    rollout.apply(&frozen(), now).unwrap();
    assert!(rollout.pauses().contains(&Pause::Frozen), "the next one does");
}

#[test]
fn a_step_can_be_skipped_and_everything_promoted() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    let skip = || ask(Request::Skip { by: by(), reason: "no traffic at night".to_owned() });
    let mut held = rollout.clone();
    held.apply(&ask(Request::Hold { by: by() }), now).unwrap();
    assert!(held.apply(&skip(), now).unwrap_err().to_string().contains("resume it first"));
    rollout.apply(&skip(), now).unwrap();
    assert!(matches!(rollout.state(), State::Shift { step: 1, .. }));

    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Warm { .. }));
    let promote = ask(Request::Promote { by: by(), reason: "incident 7".to_owned() });
    rollout.apply(&promote, now).unwrap();
    assert!(matches!(rollout.state(), State::Rush { .. }));
    let mut failed = rollout.clone();
    failed.apply(&Event::Failed { why: "it is not ready".to_owned() }, now).unwrap();
    assert!(matches!(failed.state(), State::Retreat { .. }), "{}", failed.state());
    let mut at = now;
    while !rollout.state().is_end() {
        at = when(&rollout, at);
        let event = good(&rollout);
        rollout.apply(&event, at).unwrap();
    }
    assert_eq!(*rollout.state(), State::Promoted);
}

#[test]
fn drift_is_left_to_a_person_where_the_plan_says_so() {
    let (mut rollout, now) =
        at(plan(AtHorizon::Hold, OnDrift::Pause), |state| matches!(state, State::Analyse { .. }));
    rollout.apply(&Event::Drifted { why: "90 % candidate".to_owned() }, now).unwrap();
    assert!(rollout.awaits_person());
    assert_eq!(rollout.duty(), tidegate_canary::Duty::Await);
    rollout.apply(&resume(), now).unwrap();
    assert!(matches!(rollout.state(), State::Shift { step: 0, .. }), "it is put in force again");
    let (mut rollout, now) =
        at(plan(AtHorizon::Hold, OnDrift::Abort), |state| matches!(state, State::Analyse { .. }));
    rollout.apply(&Event::Drifted { why: "90 % candidate".to_owned() }, now).unwrap();
    assert!(matches!(rollout.state(), State::Retreat { .. }));
}

#[test]
fn stable_that_is_not_ready_holds_it_up_and_a_candidate_that_is_gone_ends_it() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    let unready = |slot| Event::Unready { slot, why: "2 of 3 pods".to_owned() };
    rollout.apply(&unready(Slot::Stable), now).unwrap();
    assert!(rollout.pauses().contains(&Pause::StableUnready) && !rollout.awaits_person());
    rollout.apply(&Event::Recovered, now).unwrap();
    assert!(rollout.pauses().is_empty());
    rollout.apply(&unready(Slot::Candidate), now).unwrap();
    assert!(matches!(rollout.state(), State::Retreat { cause: Cause::Broken { .. }, .. }));
}

#[test]
fn an_abort_restores_stable_where_it_was_being_replaced() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Return { .. }));
    rollout.apply(&ask(Request::Abort { by: by(), reason: "no".to_owned() }), now).unwrap();
    let tidegate_canary::Duty::Ensure { workloads, behind: Some((traffic, carrier)), .. } = rollout.duty()
    else {
        panic!("{:?}", rollout.duty())
    };
    assert_eq!((workloads[0].slot, &workloads[0].release), (Slot::Stable, &release("1.0.0")));
    assert_eq!((carrier.slot, &carrier.release), (Slot::Candidate, &release("1.1.0")));
    assert_eq!(traffic.weight(Slot::Stable), tidegate_canary::Weight::NONE);
    let mut broken = rollout.clone();
    broken.apply(&Event::Failed { why: "no room".to_owned() }, now).unwrap();
    assert!(broken.state().to_string().contains("then send all traffic there"), "{}", broken.state());
}

#[test]
fn stable_that_is_not_well_after_the_return_needs_a_person() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    rollout.apply(&ask(Request::Abort { by: by(), reason: "no".to_owned() }), now).unwrap();
    rollout.apply(&Event::Routed, now).unwrap();
    let tidegate_canary::Duty::Observe { window, judged, due, .. } = rollout.duty() else { panic!() };
    assert_eq!((judged.slot, judged.release), (Slot::Stable, release("1.0.0")));
    let samples =
        vec![tidegate_canary::Sample { candidate: crate::walk::seen(4_000, 5_000), baseline: None }];
    let mut sick = rollout.clone();
    sick.apply(&Event::Observed { window, samples }, due).unwrap();
    assert!(matches!(sick.state(), State::Stuck { .. }), "{}", sick.state());
    rollout.apply(&good(&rollout.clone()), due).unwrap();
    assert!(matches!(rollout.state(), State::Ebb { .. }), "{}", rollout.state());
}

#[test]
fn another_plan_of_another_route_is_refused() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    let other = PlanSpec { route: "serving/spam".parse().unwrap(), ..spec() }.build().unwrap();
    let refused = rollout.apply(&ask(Request::Replace { by: by(), plan: Box::new(other) }), now).unwrap_err();
    assert!(refused.to_string().contains("rollout of its own"), "{refused}");
}

#[test]
fn what_was_undecided_goes_on_by_itself_once_it_is_decided() {
    let (mut rollout, mut now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    while rollout.pauses().is_empty() {
        let tidegate_canary::Duty::Observe { window, due, .. } = rollout.duty() else { panic!() };
        let candidate = crate::walk::seen(0, 2);
        let samples = vec![tidegate_canary::Sample { candidate, baseline: None }];
        rollout.apply(&Event::Observed { window, samples }, due).unwrap();
        now = due;
    }
    assert_eq!(rollout.pauses(), &[Pause::Undecided].into());
    let many = {
        let tidegate_canary::Duty::Observe { window, .. } = rollout.duty() else { panic!() };
        let samples =
            vec![tidegate_canary::Sample { candidate: crate::walk::seen(0, 5_000), baseline: None }];
        Event::Observed { window, samples }
    };
    let mut held = rollout.clone();
    held.apply(&ask(Request::Hold { by: by() }), now).unwrap();
    held.apply(&many, when(&held, now)).unwrap();
    assert!(matches!(held.state(), State::Analyse { .. }), "but not past a person: {}", held.state());
    rollout.apply(&many, when(&rollout, now)).unwrap();
    assert!(matches!(rollout.state(), State::Gate { .. }), "{}", rollout.state());
    assert!(rollout.pauses().is_empty());
}

#[test]
fn a_rush_is_not_held_half_way() {
    let (mut rollout, now) = at(canary(), |state| matches!(state, State::Analyse { .. }));
    rollout.apply(&ask(Request::Promote { by: by(), reason: "now".to_owned() }), now).unwrap();
    let refused = rollout.apply(&ask(Request::Hold { by: by() }), now).unwrap_err();
    assert!(refused.to_string().contains("abort it"), "{refused}");
    rollout.apply(&ask(Request::Abort { by: by(), reason: "no".to_owned() }), now).unwrap();
    assert!(matches!(rollout.state(), State::Retreat { .. }));
}
