//! The plan of a release: a strategy, and what the release says is different.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use tidegate::canary::{Plan, PlanSpec, Release, RouteId};

/// What a release's plan may not say, since the release itself does.
const SAID_ELSEWHERE: [&str; 3] = ["route", "stable", "candidate"];

/// The plan that moves `route` from `stable` to `candidate` as `said`.
pub(crate) fn plan(
    said: &Map<String, Value>,
    route: &RouteId,
    stable: &Release,
    candidate: &Release,
) -> Result<Plan> {
    let mut said = said.clone();
    if let Some(field) = SAID_ELSEWHERE.into_iter().find(|field| said.contains_key(*field)) {
        bail!("spec.plan.{field} is not for the plan to say; remove it");
    }
    let start = strategy(&mut said, (route.clone(), stable.clone(), candidate.clone()))?;
    let mut plan = serde_json::to_value(start).context("a strategy can be written down")?;
    for (field, value) in said {
        match (&mut plan[&field], value) {
            // One duration may differ without the others.
            (Value::Object(durations), Value::Object(said)) if field == "timing" => durations.extend(said),
            (there, value) => *there = value,
        }
    }
    let spec: PlanSpec = serde_json::from_value(plan).context("spec.plan does not read as a plan")?;
    spec.build().context("spec.plan does not hold up")
}

fn strategy(
    said: &mut Map<String, Value>,
    (route, stable, candidate): (RouteId, Release, Release),
) -> Result<PlanSpec> {
    let strategy = said.remove("strategy");
    Ok(match strategy.as_ref().map_or(Some("canary"), Value::as_str) {
        Some("all-at-once") => {
            let why = said.get("unproven").and_then(Value::as_str);
            let why = why.context("spec.plan.strategy all-at-once proves nothing; say why in `unproven`")?;
            PlanSpec::all_at_once(route, stable, candidate, why)
        }
        Some("blue-green") => PlanSpec::blue_green(route, stable, candidate),
        Some("canary") => PlanSpec::canary(route, stable, candidate),
        Some("shadow") => PlanSpec::shadow(route, stable, candidate),
        _ => bail!("spec.plan.strategy is none of canary, blue-green, shadow and all-at-once"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tidegate::{canary::Timing, registry::Digest};

    use super::*;

    fn release(model: &str) -> Release {
        Release { model: model.parse().unwrap(), digest: Digest::of(model) }
    }

    fn read(said: Value) -> Result<Plan> {
        let said = said.as_object().unwrap();
        plan(said, &"serving/fraud".parse().unwrap(), &release("fraud@1.0.0"), &release("fraud@1.1.0"))
    }

    fn refusal(said: Value) -> String {
        format!("{:#}", read(said).unwrap_err())
    }

    #[test]
    fn what_is_not_said_is_as_the_strategy_has_it() {
        let canary = PlanSpec::canary(
            "serving/fraud".parse().unwrap(),
            release("fraud@1.0.0"),
            release("fraud@1.1.0"),
        );
        assert_eq!(*read(json!({})).unwrap().spec(), canary);
        let plan = read(json!({"timing": {"bake": "1m"}, "atHorizon": "rollback"})).unwrap();
        assert_eq!(plan.timing, Timing { bake: Duration::from_secs(60), ..canary.timing });
        assert_eq!(plan.steps, canary.steps);
        let plan = read(json!({"strategy": "blue-green"})).unwrap();
        assert_eq!(plan.steps.len(), 2);
        let steps = json!([{"weight": "20%"}, {"weight": "100%", "require": "pass"}]);
        let bake = json!([]);
        let plan = read(json!({"steps": steps, "bakeCriteria": bake, "timing": {"bake": "0s"}})).unwrap();
        assert_eq!(plan.steps.len(), 2);
    }

    #[test]
    fn what_does_not_hold_up_is_refused_with_its_place_and_reason() {
        for (said, words) in [
            (json!({"strategy": "hope"}), "none of canary"),
            (json!({"strategy": "all-at-once"}), "say why in `unproven`"),
            (json!({"steps": [{"weight": "50%"}, {"weight": "20%"}]}), "steps[1] shows no more"),
            (json!({"steps": [{"weight": "50%"}]}), "steps must end with weight 100%"),
            (json!({"candidate": {}}), "spec.plan.candidate is not for the plan to say"),
            (json!({"colour": "blue"}), "unknown field `colour`"),
            (json!({"timing": {"bake": "soon"}}), "spec.plan does not read as a plan"),
        ] {
            let refused = refusal(said.clone());
            assert!(refused.contains(words), "{said}: {refused}");
        }
    }
}
