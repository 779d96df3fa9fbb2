use proptest::prelude::*;
use serde_json::json;
use tidegate_registry::Seq;

use super::*;
use crate::{Fence, Key};

fn object(weights: [u32; 3]) -> DynamicObject {
    let [stable, baseline, candidate] = weights;
    let backends = json!([
        {"name": "s", "weight": stable}, {"name": "b", "weight": baseline}, {"name": "c", "weight": candidate},
    ]);
    serde_json::from_value(json!({
        "metadata": {"resourceVersion": "1"},
        "spec": {"rules": [{"name": "r", "backendRefs": backends}]},
    }))
    .unwrap()
}

fn read(object: &DynamicObject) -> Rule {
    let (stable, baseline, candidate) = ("s".to_owned(), Some("b".to_owned()), "c".to_owned());
    Rule::read(object, Some("r"), &Backends { stable, baseline, candidate }).unwrap()
}

fn weight(bp: u16) -> Weight {
    Weight::basis_points(bp).unwrap()
}

fn fence(n: u64) -> Fence {
    Fence::new(Seq::new(n).unwrap())
}

fn patch(object: &DynamicObject, traffic: &Traffic, n: u64) -> Value {
    let rule = read(object);
    rule.head.patch(rule.plan(traffic).unwrap(), fence(n))
}

fn patched(object: &DynamicObject, traffic: &Traffic) -> DynamicObject {
    let mut value = serde_json::to_value(object).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(patch(object, traffic, 7)).unwrap();
    json_patch::patch(&mut value, &patch).unwrap();
    serde_json::from_value(value).unwrap()
}

fn wishes() -> impl Strategy<Value = Traffic> {
    let exceptions = prop::collection::vec(("[a-c]", any::<bool>(), 0usize..3), 0..4);
    (0u16..=10_000, 0u16..=10_000, prop_oneof![Just(0u16), 0..=10_000u16], exceptions).prop_map(
        |(candidate, baseline, mirror, exceptions)| {
            let slots = [Slot::Stable, Slot::Baseline, Slot::Candidate];
            let exceptions = exceptions.into_iter().map(|(name, header, slot)| Exception {
                key: if header { Key::Header(name) } else { Key::Cookie(name) },
                value: "v".to_owned(),
                to: slots[slot],
            });
            let split =
                Traffic::split(weight(candidate)).with_baseline(weight(baseline.min(10_000 - candidate)));
            split.unwrap().with_mirror(weight(mirror)).with_exceptions(exceptions)
        },
    )
}

proptest! {
    #[test]
    fn rounding_hides_no_side_and_moves_none_by_more_than_two_points(
        weights in [0u32..=1_000_000, 0..=1_000_000, 0..=1_000_000],
    ) {
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        prop_assume!(total > 0);
        let traffic = read(&object(weights)).traffic().unwrap();
        for (slot, weight) in [Slot::Stable, Slot::Baseline, Slot::Candidate].into_iter().zip(weights) {
            let seen = u64::from(traffic.weight(slot).as_basis_points());
            prop_assert_eq!(seen > 0, weight > 0, "{} of {:?} is seen as {}", slot, weights, seen);
            let off = (seen * total).abs_diff(u64::from(weight) * 10_000);
            prop_assert!(off <= 2 * total, "{:?}: {}", weights, seen);
        }
    }

    #[test]
    fn after_its_patch_a_rule_asks_for_exactly_that_and_after_another_for_nothing_of_it(
        weights in [0u32..=1_000_000, 0..=1_000_000, 0..=1_000_000],
        first in wishes(),
        second in wishes(),
    ) {
        let mut object = object(weights);
        for wanted in [first, second, Traffic::stable()] {
            object = patched(&object, &wanted);
            let rule = read(&object);
            prop_assert_eq!(rule.traffic().unwrap(), wanted.clone());
            prop_assert_eq!(rule.plan(&wanted).unwrap(), Change::default());
            prop_assert_eq!(rule.head.fence, Some(fence(7)));
        }
        prop_assert_eq!(object.data["spec"]["rules"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn the_patch_is_guarded_and_touches_nothing_else() {
    let backends = "/spec/rules/0/backendRefs";
    let expected = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "test", "path": format!("{backends}/0/name"), "value": "s"},
        {"op": "add", "path": format!("{backends}/0/weight"), "value": 8_750},
        {"op": "test", "path": format!("{backends}/1/name"), "value": "b"},
        {"op": "add", "path": format!("{backends}/1/weight"), "value": 0},
        {"op": "test", "path": format!("{backends}/2/name"), "value": "c"},
        {"op": "add", "path": format!("{backends}/2/weight"), "value": 1_250},
        {"op": "add", "path": "/metadata/annotations", "value": {"tidegate.dev/fence": "1"}},
    ]);
    assert_eq!(patch(&object([1, 0, 0]), &Traffic::split(weight(1_250)), 1), expected);
}

#[test]
fn an_exception_and_copies_are_a_rule_and_a_filter() {
    let exception =
        Exception { key: Key::Header("x-user".to_owned()), value: "tester".to_owned(), to: Slot::Candidate };
    let traffic = Traffic::stable().with_mirror(weight(2_500)).with_exceptions([exception]);
    let expected = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/spec/rules/0/filters", "value": [{
            "type": "RequestMirror",
            "requestMirror": {"backendRef": {"name": "c"}, "fraction": {"numerator": 2_500, "denominator": 10_000}},
        }]},
        {"op": "add", "path": "/spec/rules/0", "value": {
            "name": "tidegate-r-0",
            "matches": [{"headers": [{"type": "Exact", "name": "x-user", "value": "tester"}]}],
            "backendRefs": [{"name": "c"}],
        }},
        {"op": "add", "path": "/metadata/annotations", "value": {"tidegate.dev/fence": "1"}},
    ]);
    assert_eq!(patch(&object([10_000, 0, 0]), &traffic, 1), expected);
}

#[test]
fn beside_a_split_only_what_stable_gets_is_copied() {
    let object = patched(&object([1, 0, 0]), &Traffic::split(weight(1_000)).with_mirror(Weight::FULL));
    let rule = &object.data["spec"]["rules"][0];
    assert_eq!(rule.get("filters"), None);
    let filter = json!([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "c"}}}]);
    assert_eq!(rule["backendRefs"][0]["filters"], filter);
    let alone = patched(&object, &Traffic::stable().with_mirror(Weight::FULL));
    let rule = &alone.data["spec"]["rules"][0];
    assert_eq!((&rule["filters"], &rule["backendRefs"][0]["filters"]), (&filter, &json!([])));
}

#[test]
fn an_exception_follows_every_match_of_its_rule_and_what_else_it_does() {
    let mut object = object([1, 0, 0]);
    let rule = &mut object.data["spec"]["rules"][0];
    rule["matches"] =
        json!([{"path": {"value": "/a"}, "headers": [{"name": "x", "value": "y"}]}, {"method": "GET"}]);
    rule["timeouts"] = json!({"request": "5s"});
    let exception = |key: &str| {
        let exception =
            Exception { key: Key::Header(key.to_owned()), value: "v".to_owned(), to: Slot::Stable };
        Traffic::stable().with_exceptions([exception])
    };
    let written = patched(&object, &exception("u"));
    let expected = json!({
        "name": "tidegate-r-0",
        "matches": [
            {"path": {"value": "/a"}, "headers": [{"name": "x", "value": "y"}, {"type": "Exact", "name": "u", "value": "v"}]},
            {"method": "GET", "headers": [{"type": "Exact", "name": "u", "value": "v"}]},
        ],
        "timeouts": {"request": "5s"},
        "backendRefs": [{"name": "s"}],
    });
    assert_eq!(written.data["spec"]["rules"][0], expected);
    assert!(matches!(read(&object).plan(&exception("X")), Err(Unfit::HeaderTaken { .. })));

    // The rule that splits gets another match: the exception does not hold for it, so it is not seen.
    let mut stale = written;
    stale.data["spec"]["rules"][1]["matches"].as_array_mut().unwrap().push(json!({"method": "PUT"}));
    assert_eq!(read(&stale).traffic().unwrap(), Traffic::stable());
    assert_eq!(read(&patched(&stale, &exception("u"))).traffic().unwrap(), exception("u"));
}

#[test]
fn shares_of_others_are_read_as_the_api_means_them() {
    let share = |mirror: Value| {
        let mut object = object([1, 0, 0]);
        let mut mirror = mirror;
        mirror["backendRef"] = json!({"name": "c"});
        let other = json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "other"}}});
        let filter = json!({"type": "RequestMirror", "requestMirror": mirror});
        object.data["spec"]["rules"][0]["filters"] = json!([other, filter]);
        read(&object).traffic().unwrap().mirror().as_basis_points()
    };
    let cases = [
        (json!({}), 10_000),
        (json!({"percent": 5}), 500),
        (json!({"percent": 0}), 0),
        (json!({"fraction": {"numerator": 5}}), 500),
        (json!({"fraction": {"numerator": 1, "denominator": 100_000}}), 1),
        (json!({"percent": 4_000_000_000u32}), 10_000),
    ];
    for (mirror, expected) in cases {
        assert_eq!(share(mirror.clone()), expected, "{mirror}");
    }
}
