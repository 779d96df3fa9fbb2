//! Plans that do not hold up are refused with the field that is wrong, however they come in.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{error::Error, time::Duration};

use tidegate_canary::{
    AtHorizon, Exception, Gate, InvalidPlan, Key, Plan, PlanSpec, Release, Require, Slot, Weight,
    metrics::{Criterion, Metric},
};
use tidegate_registry::Digest;

fn release(model: &str) -> Release {
    Release { model: model.parse().unwrap(), digest: Digest::of(model) }
}

fn canary() -> PlanSpec {
    PlanSpec::canary("serving/fraud".parse().unwrap(), release("fraud@1.0.0"), release("fraud@1.1.0"))
}

fn blue_green() -> PlanSpec {
    PlanSpec::blue_green("serving/fraud".parse().unwrap(), release("fraud@1.0.0"), release("fraud@1.1.0"))
}

fn refused(change: impl FnOnce(&mut PlanSpec)) -> String {
    let mut spec = canary();
    change(&mut spec);
    // As text it is refused with the same words.
    let text = serde_json::to_string(&spec).unwrap();
    let invalid = spec.build().unwrap_err();
    assert!(serde_json::from_str::<Plan>(&text).unwrap_err().to_string().contains(&invalid.to_string()));
    let source = invalid.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{invalid}{source}")
}

#[test]
fn the_plans_that_come_with_it_hold_up() {
    canary().build().unwrap();
    let plan = blue_green().build().unwrap();
    assert_eq!(plan.steps[0].weight, Weight::NONE);
    assert_eq!(plan.steps[0].gates, [Gate::Approval]);
    assert_eq!(plan.steps[1].weight, Weight::FULL);
}

#[test]
fn each_flaw_is_said_with_its_field() {
    assert!(refused(|spec| spec.candidate = release("fraud@1.0.0")).contains("same version"));
    assert!(refused(|spec| spec.candidate = release("spam@1.1.0")).contains("different models"));
    assert!(refused(|spec| _ = spec.steps.pop()).contains("100%"));
    assert!(refused(|spec| spec.steps.clear()).contains("100%"));
    assert!(refused(|spec| spec.steps.swap(0, 1)).contains("steps[1] shows no more"));
    assert!(
        refused(|spec| spec.steps.iter_mut().for_each(|step| step.require = Require::NoFailure))
            .contains("unproven")
    );
    assert!(refused(|spec| spec.criteria.clear()).contains("criteria"));
    assert!(
        refused(|spec| spec.criteria.iter_mut().for_each(|c| *c = c.clone().advisory())).contains("criteria")
    );
    let odd = refused(|spec| spec.criteria[2] = spec.criteria[2].clone().with_alpha(1.5));
    assert!(odd.contains("criteria[2]") && odd.contains("alpha is 1.5"), "{odd}");
    assert!(refused(|spec| spec.criteria[1] = Criterion::compare(Metric::new(""))).contains("criteria[1]"));
    assert!(
        refused(|spec| spec.bake_criteria[0] = Criterion::compare(Metric::errors()))
            .contains("bakeCriteria[0]")
    );
    assert!(refused(|spec| spec.steps.retain(|step| step.weight == Weight::FULL)).contains("criteria[0]"));
    assert!(refused(|spec| spec.criteria.truncate(1)).contains("add a limit"));
    let key = |name: &str| Key::Header(name.to_owned());
    let exception = |name, to| Exception { key: key(name), value: "x".to_owned(), to };
    assert!(refused(|spec| spec.exceptions.push(exception("x-y", Slot::Baseline))).contains("exceptions[0]"));
    assert!(
        refused(|spec| spec.exceptions.push(exception("x y", Slot::Candidate))).contains("exceptions[0]")
    );
    assert!(refused(|spec| spec.sticky = Some(key(""))).contains("sticky"));
    assert!(refused(|spec| spec.bake_criteria.clear()).contains("timing.bake"));
    assert!(refused(|spec| spec.timing.window = Duration::ZERO).contains("timing.window"));
    assert!(refused(|spec| spec.timing.drain = Duration::MAX).contains("longer than a year"));
}

#[test]
fn a_plan_reads_as_it_is_written() {
    let plan = canary().build().unwrap();
    let text = serde_json::to_string_pretty(&plan).unwrap();
    assert!(text.contains(r#""weight": "10%""#) && text.contains(r#""window": "30s""#), "{text}");
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn a_file_says_only_what_differs_and_a_typo_is_named() {
    let digest = Digest::of("x");
    let text = format!(
        r#"{{"route":"serving/fraud","stable":{{"model":"fraud@1.0.0","digest":"{digest}"}},
            "candidate":{{"model":"fraud@1.1.0","digest":"{digest}"}},
            "steps":[{{"weight":"20%","require":"pass"}},{{"weight":"100%"}}],
            "criteria":[{{"metric":"errors","rule":{{"compare":{{}}}}}},
                {{"metric":"errors","rule":{{"limit":{{"statistic":"share","bound":{{"atMost":0.05}}}}}}}}],"timing":{{"bake":"0s"}}}}"#
    );
    let plan: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(plan.at_horizon, AtHorizon::Hold);
    assert_eq!(plan.channel.as_str(), "production");
    let typo = serde_json::from_str::<Plan>(&text.replace("\"steps\"", "\"stepps\"")).unwrap_err();
    assert!(typo.to_string().contains("stepps"), "{typo}");
    let weight = serde_json::from_str::<Plan>(&text.replace("20%", "120%")).unwrap_err();
    assert!(weight.to_string().contains("weight `120%` is not valid"), "{weight}");
}

#[test]
fn flaws_can_be_told_apart() {
    let mut spec = canary();
    spec.steps.swap(1, 2);
    assert_eq!(spec.build(), Err(InvalidPlan::NotIncreasing { step: 2 }));
}
