//! Each strategy from its beginning to its end, if all goes well.

use std::time::Duration;

use tidegate_canary::{
    Duty, Event, Exception, Key, Plan, PlanSpec, Rollout, Sample, Slot, State, Weight, Workload,
    metrics::{Criterion, Measurement, Metric, Missing, Statistic, Verdict, Window},
};

use crate::walk::{BEGIN, good, release, seen, when};

/// What is told to router and deployer on the way, and the end.
fn told(plan: Plan) -> (Vec<String>, State) {
    let mut rollout = Rollout::new(plan);
    let mut at = BEGIN + Duration::from_secs(1_000_000);
    let mut told = Vec::new();
    for _ in 0..5_000 {
        let workload = |Workload { slot, release, share }: &Workload| {
            format!("{slot} {} for {share}", release.model.version())
        };
        let all = |workloads: &[Workload]| workloads.iter().map(workload).collect::<Vec<_>>().join(", ");
        let line = match rollout.duty() {
            Duty::Ensure { workloads, .. } => Some(format!("run {}", all(&workloads))),
            Duty::Route { traffic, on, .. } => Some(format!("{traffic} on {}", all(&on))),
            Duty::Remove { slots, .. } => {
                Some(format!("empty {}", slots.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ")))
            }
            Duty::Promote { .. } => Some("promote".to_owned()),
            _ => None,
        };
        if line.is_some() && line.as_ref() != told.last() {
            told.extend(line);
        }
        if rollout.state().is_end() {
            return (told, rollout.state().clone());
        }
        at = when(&rollout, at);
        let event = good(&rollout);
        rollout.apply(&event, at).unwrap();
    }
    panic!("no end in sight: {}", rollout.state());
}

fn with_errors(mut spec: PlanSpec) -> Plan {
    spec.criteria = vec![
        Criterion::compare(Metric::errors()),
        Criterion::at_most(Metric::errors(), Statistic::Share, 0.05),
    ];
    if !spec
        .steps
        .iter()
        .any(|step| step.weight < Weight::FULL && (step.weight > Weight::NONE || !step.mirror.is_none()))
    {
        spec.criteria.remove(0);
    }
    spec.bake_criteria = vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)];
    spec.build().unwrap()
}

fn route() -> tidegate_canary::RouteId {
    "serving/fraud".parse().unwrap()
}

#[test]
fn a_canary_with_a_baseline_compares_sides_of_one_size() {
    let mut spec = PlanSpec::canary(route(), release("1.0.0"), release("1.1.0"));
    spec.baseline = true;
    let (told, end) = told(with_errors(spec));
    assert_eq!(end, State::Promoted);
    assert_eq!(
        told,
        [
            "run candidate 1.1.0 for 10%, baseline 1.0.0 for 10%",
            "80% stable, 10% candidate, 10% baseline on candidate 1.1.0 for 10%, baseline 1.0.0 for 10%, stable 1.0.0 for 100%",
            "50% stable, 25% candidate, 25% baseline on candidate 1.1.0 for 25%, baseline 1.0.0 for 25%, stable 1.0.0 for 100%",
            "0% stable, 50% candidate, 50% baseline on candidate 1.1.0 for 50%, baseline 1.0.0 for 50%, stable 1.0.0 for 100%",
            "0% stable, 100% candidate on candidate 1.1.0 for 100%",
            "run stable 1.1.0 for 100%",
            "100% stable, 0% candidate on stable 1.1.0 for 100%",
            "promote",
            "empty candidate, baseline",
        ]
    );
}

#[test]
fn blue_green_switches_once_and_keeps_the_old_side_until_the_new_has_passed() {
    let (told, end) = told(with_errors(PlanSpec::blue_green(route(), release("1.0.0"), release("1.1.0"))));
    assert_eq!(end, State::Promoted);
    assert_eq!(
        told,
        [
            "run candidate 1.1.0 for 0%",
            "100% stable, 0% candidate on candidate 1.1.0 for 0%, stable 1.0.0 for 100%",
            "0% stable, 100% candidate on candidate 1.1.0 for 100%",
            "run stable 1.1.0 for 100%",
            "100% stable, 0% candidate on stable 1.1.0 for 100%",
            "promote",
            "empty candidate",
        ]
    );
}

#[test]
fn an_ab_test_ends_with_a_comparison() {
    let user = Key::Cookie("user".to_owned());
    let (told, end) = told(with_errors(PlanSpec::ab_test(route(), release("1.0.0"), release("1.1.0"), user)));
    let State::Compared { verdict, judgements } = end else { panic!("{end}") };
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(judgements.len(), 2);
    assert_eq!(
        told,
        [
            "run candidate 1.1.0 for 50%",
            "50% stable, 50% candidate on candidate 1.1.0 for 50%, stable 1.0.0 for 100%",
            "100% stable, 0% candidate on stable 1.0.0 for 100%",
            "empty candidate",
        ]
    );
}

#[test]
fn a_shadow_gets_copies_and_no_request() {
    let (told, end) = told(with_errors(PlanSpec::shadow(route(), release("1.0.0"), release("1.1.0"))));
    assert!(matches!(end, State::Compared { .. }), "{end}");
    assert_eq!(
        told,
        [
            "run candidate 1.1.0 for 10%",
            "100% stable, 0% candidate, 10% of stable mirrored on candidate 1.1.0 for 10%, stable 1.0.0 for 100%",
            "100% stable, 0% candidate on stable 1.0.0 for 100%",
            "empty candidate",
        ]
    );
}

#[test]
fn an_emergency_asks_for_nothing_but_readiness() {
    let plan = PlanSpec::all_at_once(route(), release("1.0.0"), release("1.1.0"), "1.0.0 leaks secrets");
    assert!(plan.criteria.is_empty());
    let plan = PlanSpec {
        bake_criteria: vec![Criterion::at_most(Metric::errors(), Statistic::Share, 0.15)],
        ..plan
    };
    let (told, end) = told(plan.build().unwrap());
    assert_eq!(end, State::Promoted);
    assert_eq!(told[1], "0% stable, 100% candidate on candidate 1.1.0 for 100%");
}

#[test]
fn a_canary_may_begin_with_a_shadow() {
    let shadow = PlanSpec::shadow(route(), release("1.0.0"), release("1.1.0"));
    let mut spec = PlanSpec::canary(route(), release("1.0.0"), release("1.1.0"));
    spec.steps.insert(0, shadow.steps[0].clone());
    let (told, end) = told(with_errors(spec));
    assert_eq!(end, State::Promoted);
    assert!(told[1].starts_with("100% stable, 0% candidate, 10% of stable mirrored"), "{told:?}");
    assert!(told[2].starts_with("90% stable, 10% candidate on"), "{told:?}");
}

/// Those who send the header, at their risk.
fn testers() -> Exception {
    let key = Key::Header("x-preview".to_owned());
    Exception { key, value: "yes".to_owned(), to: Slot::Candidate }
}

#[test]
fn a_preview_is_watched_but_not_waited_for() {
    let mut spec = PlanSpec::blue_green(route(), release("1.0.0"), release("1.1.0"));
    spec.exceptions = vec![testers()];
    let mut rollout = Rollout::new(with_errors(spec));
    let mut at = BEGIN + Duration::from_secs(1_000_000);
    while !matches!(rollout.state(), State::Gate { step: 0, .. }) {
        // Nobody looks at it.
        let event = match rollout.duty() {
            Duty::Observe { window, compared, .. } => {
                assert_eq!(compared, None, "testers are not compared with users");
                observed(window, Measurement::Missing(Missing::NoData))
            }
            _ => good(&rollout),
        };
        at = when(&rollout, at);
        rollout.apply(&event, at).unwrap();
        assert!(rollout.pauses().is_empty(), "{:?}", rollout.pauses());
    }
    // Now somebody does, and sees nothing but errors.
    let Duty::Observe { window, .. } = rollout.duty() else { panic!("{:?}", rollout.duty()) };
    rollout.apply(&observed(window, seen(200, 200)), when(&rollout, at)).unwrap();
    assert!(matches!(rollout.state(), State::Retreat { .. }), "{}", rollout.state());
}

fn observed(window: Window, candidate: Measurement) -> Event {
    Event::Observed { window, samples: vec![Sample { candidate, baseline: None }] }
}

#[test]
fn an_ab_test_may_compare_those_who_send_a_header() {
    let mut spec = PlanSpec::shadow(route(), release("1.0.0"), release("1.1.0"));
    spec.steps[0].mirror = Weight::NONE;
    spec.criteria = vec![Criterion::compare(Metric::errors())];
    spec.bake_criteria.clear();
    spec.timing.bake = Duration::ZERO;
    assert!(spec.clone().build().is_err(), "the candidate has no requests at all");
    spec.exceptions = vec![testers()];
    let (told, end) = told(spec.build().unwrap());
    assert!(matches!(end, State::Compared { verdict: Verdict::Pass, .. }), "{end}");
    assert!(told[1].starts_with("100% stable, 0% candidate"), "{told:?}");
}
