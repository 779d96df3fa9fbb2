//! Lists of named rules: choosing the one that splits, and keeping rules of our own before it.

use serde_json::{Value, json};

use super::unfit::Unfit;

/// The rule called `name` in `rules`, or their only one. `list` is the field that holds them, for people.
pub(super) fn choose(rules: &[Value], name: Option<&str>, list: &'static str) -> Result<usize, Unfit> {
    let called = |rule: &Value| name.is_none() || name_of(rule) == name;
    let mut found = rules.iter().enumerate().filter(|(_, rule)| called(rule)).map(|(index, _)| index);
    match (found.next(), found.count(), name) {
        (Some(index), 0, _) => Ok(index),
        (Some(_), more, _) => Err(Unfit::RuleUnclear { count: more + 1, list }),
        (None, _, None) => Err(Unfit::RuleUnclear { count: 0, list }),
        (None, _, Some(name)) => {
            // As many as one reads.
            let known: Vec<_> = rules.iter().filter_map(name_of).take(20).collect();
            let known = if known.is_empty() { "rules without a name".to_owned() } else { known.join(", ") };
            Err(Unfit::RuleMissing { rule: name.to_owned(), known, list })
        }
    }
}

/// The name of a rule.
pub(super) fn name_of(rule: &Value) -> Option<&str> {
    rule.get("name")?.as_str()
}

/// What our `n`th rule before `rule` is called.
pub(super) fn own_name(rule: &str, n: usize) -> String {
    format!("tidegate-{rule}-{n}")
}

/// Where our rules before `rule` are.
pub(super) fn own(rules: &[Value], rule: Option<&str>) -> Vec<usize> {
    let is_own = |name: &str| {
        let number =
            rule.and_then(|rule| name.strip_prefix("tidegate-")?.strip_prefix(rule)?.strip_prefix('-'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let ours = |(index, rule)| name_of(rule).is_some_and(is_own).then_some(index);
    rules.iter().enumerate().filter_map(ours).collect()
}

/// Whether `there` says all that `wanted` says; a server adds what it takes for granted.
pub(super) fn covers(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| there.get(key).is_some_and(|there| covers(there, wanted)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| covers(there, wanted))
        }
        (there, wanted) => there == wanted,
    }
}

/// The operations after which exactly `wanted` stand before the rule at `index`, in place of `own`; none if
/// they do. `list` is the JSON pointer to `rules`.
pub(super) fn splice(
    list: &str,
    rules: &[Value],
    own: &[usize],
    index: usize,
    wanted: &[Value],
) -> Vec<Value> {
    let there = own.len() == wanted.len()
        && own.iter().zip(wanted).all(|(&own, wanted)| own < index && covers(&rules[own], wanted));
    if there {
        return Vec::new();
    }
    let removals = own.iter().rev().flat_map(|&own| {
        let path = format!("{list}/{own}");
        let name = &rules[own]["name"];
        [
            json!({"op": "test", "path": format!("{path}/name"), "value": name}),
            json!({"op": "remove", "path": path}),
        ]
    });
    let at = index - own.iter().filter(|&&own| own < index).count();
    let additions =
        wanted.iter().rev().map(|rule| json!({"op": "add", "path": format!("{list}/{at}"), "value": rule}));
    removals.chain(additions).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ours_stand_before_the_rule_and_others_stay_as_they_are(
            others in prop::collection::vec((any::<bool>(), 0u8..3), 0..12),
            at in 0usize..12,
            wanted in 0usize..4,
        ) {
            let rule = |(ours, n): (bool, u8)| match ours {
                true => json!({"name": own_name("r", n.into())}),
                false => json!({"name": format!("other-{n}"), "x": n}),
            };
            let mut rules: Vec<_> = others.into_iter().map(rule).collect();
            let index = at.min(rules.len());
            rules.insert(index, json!({"name": "r", "y": 1}));
            let wanted: Vec<_> = (0..wanted).map(|n| json!({"name": own_name("r", n), "z": n})).collect();
            let ours = own(&rules, Some("r"));
            let patch = json!(splice("/rules", &rules, &ours, index, &wanted));
            let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
            let mut object = json!({"rules": rules});
            json_patch::patch(&mut object, &patch).unwrap();
            let after = object["rules"].as_array().unwrap();
            let split = choose(after, Some("r"), "rules").unwrap();
            prop_assert_eq!(&after[split - wanted.len()..split], wanted.as_slice());
            let others = |rules: &[Value]| {
                let ours = own(rules, Some("r"));
                let others = rules.iter().enumerate().filter(|(index, _)| !ours.contains(index));
                others.map(|(_, rule)| rule.clone()).collect::<Vec<_>>()
            };
            prop_assert_eq!(others(after), others(&rules));
            prop_assert_eq!(own(after, Some("r")).len(), wanted.len());
            let ours = own(after, Some("r"));
            prop_assert!(splice("/rules", after, &ours, split, &wanted).is_empty());
        }
    }

    #[test]
    fn a_rule_is_ours_by_its_whole_name() {
        let names = [
            "tidegate-r-0",
            "tidegate-r-17",
            "tidegate-r-",
            "tidegate-r",
            "tidegate-rr-0",
            "tidegate-r-0a",
            "r-0",
            "tidegate-r-x-0",
        ];
        let rules = names.map(|name| json!({"name": name}));
        assert_eq!(own(&rules, Some("r")), [0, 1]);
        assert!(own(&rules, None).is_empty());
        assert!(own(&[json!(7), json!({"name": 7}), json!(null)], Some("r")).is_empty());
    }

    #[test]
    fn more_than_is_wanted_covers_it_and_less_does_not() {
        let wanted = json!({"a": [{"b": 1}], "c": "x"});
        for covered in
            [json!({"a": [{"b": 1, "d": 2}], "c": "x"}), json!({"a": [{"b": 1}], "c": "x", "e": null})]
        {
            assert!(covers(&covered, &wanted), "{covered}");
        }
        for other in [
            json!({"a": [{"b": 1}]}),
            json!({"a": [{"b": 2}], "c": "x"}),
            json!({"a": [{"b": 1}, {"b": 1}], "c": "x"}),
            json!(7),
        ] {
            assert!(!covers(&other, &wanted), "{other}");
        }
    }
}
