//! The rule of an HTTPRoute that splits: what it says now, and the patch after which it says otherwise.
//!
//! Pure: an object goes in, a reading or a patch comes out.
//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_registry::Seq;

use super::FENCE;
use crate::{Fence, Slot, Traffic, Weight};

/// Names of the backends between which a rule splits.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    pub(super) stable: String,
    pub(super) baseline: Option<String>,
    pub(super) candidate: String,
}

/// One reading of the rule that splits.
#[derive(Debug)]
pub(super) struct Rule {
    /// The `resourceVersion` of the object that was read.
    pub(super) version: String,
    /// The fence of the last change, if there was one.
    pub(super) fence: Option<Fence>,
    label: String,
    annotated: bool,
    index: usize,
    places: Vec<Place>,
    taken_up: Result<(), NotTakenUp>,
}

/// A backend of the rule.
#[derive(Debug)]
struct Place {
    slot: Slot,
    name: String,
    index: usize,
    weight: u64,
}

/// An object that cannot be split as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("rule {rule} has no backendRef `{backend}`; add it, with weight 0 until it is to get traffic")]
    BackendMissing { rule: String, backend: String },
    #[error("rule {rule} has the backendRef `{backend}` more than once; leave one of them")]
    BackendTwice { rule: String, backend: String },
    #[error("its annotation `{FENCE}` is `{value}`, which is no positive number; remove the annotation")]
    Fence { value: String },
    #[error("rule {rule} sends nothing anywhere: all its weights are 0; give one of them a weight")]
    Nowhere { rule: String },
    #[error("it has no rule `{rule}`, only {known}; correct the name or set it in spec.rules[].name")]
    RuleMissing { rule: String, known: String },
    #[error(
        "it has {count} rules that could split; name one in spec.rules[].name and choose it by `with_rule`"
    )]
    RuleUnclear { count: usize },
    #[error(
        "rule {rule} also sends traffic to `{backend}`, which is no side of this route; remove it or set its weight to 0"
    )]
    Stranger { rule: String, backend: String },
    #[error("it does not read as an HTTPRoute of gateway.networking.k8s.io/v1")]
    Unreadable(#[source] serde_json::Error),
    #[error("it has no resourceVersion, so a change could not be guarded; ask an API server that sets it")]
    Unversioned,
}

/// The object says something that is not in force yet, as far as its gateways tell.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotTakenUp {
    #[error("`{condition}` is {status}: {message}")]
    Condition { condition: &'static str, status: String, message: String },
    #[error("its status speaks of generation {seen} or none, but its spec is at generation {wanted}")]
    Lags { seen: i64, wanted: i64 },
    #[error("no gateway has reported on it; check its parentRefs")]
    Nobody,
}

impl Rule {
    /// Finds the rule called `name` in `object`, or its only rule.
    pub(super) fn read(
        object: &DynamicObject,
        name: Option<&str>,
        backends: &Backends,
    ) -> Result<Self, Unfit> {
        let HttpRoute { spec, status } = HttpRoute::deserialize(&object.data).map_err(Unfit::Unreadable)?;
        let (index, rule) = choose(&spec.rules, name)?;
        let label = rule.name.as_ref().map_or_else(|| index.to_string(), |name| format!("`{name}`"));
        let mut places = Vec::new();
        let wanted = [
            (Slot::Stable, Some(&backends.stable)),
            (Slot::Baseline, backends.baseline.as_ref()),
            (Slot::Candidate, Some(&backends.candidate)),
        ];
        for (slot, backend) in wanted {
            let Some(backend) = backend else { continue };
            let mut found = rule.backends.iter().enumerate().filter(|(_, found)| found.name == *backend);
            let unfit = |variant: fn(String, String) -> Unfit| variant(label.clone(), backend.clone());
            let (index, found) = match (found.next(), found.next()) {
                (Some(found), None) => found,
                (None, _) => return Err(unfit(|rule, backend| Unfit::BackendMissing { rule, backend })),
                (Some(_), Some(_)) => {
                    return Err(unfit(|rule, backend| Unfit::BackendTwice { rule, backend }));
                }
            };
            places.push(Place { slot, name: backend.clone(), index, weight: found.weight() });
        }
        let ours = |index| places.iter().any(|place: &Place| place.index == index);
        let mut strangers = rule.backends.iter().enumerate().filter(|(index, _)| !ours(*index));
        if let Some((_, stranger)) = strangers.find(|(_, backend)| backend.weight() > 0) {
            return Err(Unfit::Stranger { rule: label, backend: stranger.name.clone() });
        }
        let metadata = &object.metadata;
        Ok(Self {
            version: metadata.resource_version.clone().ok_or(Unfit::Unversioned)?,
            fence: metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(FENCE))
                .map(|value| fence(value))
                .transpose()?,
            label,
            annotated: metadata.annotations.is_some(),
            index,
            places,
            taken_up: status.taken_up(metadata.generation.unwrap_or_default()),
        })
    }

    /// The traffic that the rule asks for. Shares finer than a basis point are rounded up for the candidate
    /// and the baseline, so that a side that gets requests never looks as if it got none.
    pub(super) fn traffic(&self) -> Result<Traffic, Unfit> {
        let total = self.total();
        if total == 0 {
            return Err(Unfit::Nowhere { rule: self.label.clone() });
        }
        let weight =
            |slot| self.places.iter().find(|place| place.slot == slot).map_or(0, |place| place.weight);
        let share = |slot| (weight(slot) * 10_000).div_ceil(total);
        let least = |slot| u64::from(weight(slot) > 0);
        let room = 10_000 - least(Slot::Stable);
        let candidate = share(Slot::Candidate).min(room - least(Slot::Baseline));
        let baseline = share(Slot::Baseline).min(room - candidate);
        Ok(split(baseline, candidate))
    }

    /// Whether the rule asks for exactly `traffic`.
    pub(super) fn asks_for(&self, traffic: &Traffic) -> bool {
        let total = self.total();
        let exact = |place: &Place| {
            place.weight * 10_000 == u64::from(traffic.weight(place.slot).as_basis_points()) * total
        };
        total > 0 && self.places.iter().all(exact)
    }

    /// Whether every gateway has accepted what the rule says.
    pub(super) fn taken_up(&self) -> Result<(), NotTakenUp> {
        self.taken_up.clone()
    }

    /// The JSON patch (RFC 6902) after which this rule asks for `traffic`, if the object is still as it was
    /// read.
    pub(super) fn patch(&self, traffic: &Traffic, fence: Fence) -> Value {
        let mut patch =
            vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": self.version})];
        for Place { slot, name, index, .. } in &self.places {
            let path = format!("/spec/rules/{}/backendRefs/{index}", self.index);
            let weight = traffic.weight(*slot).as_basis_points();
            patch.push(json!({"op": "test", "path": format!("{path}/name"), "value": name}));
            patch.push(json!({"op": "add", "path": format!("{path}/weight"), "value": weight}));
        }
        let value = fence.get().to_string();
        patch.push(if self.annotated {
            let key = FENCE.replace('~', "~0").replace('/', "~1");
            json!({"op": "add", "path": format!("/metadata/annotations/{key}"), "value": value})
        } else {
            json!({"op": "add", "path": "/metadata/annotations", "value": {FENCE: value}})
        });
        Value::Array(patch)
    }

    fn total(&self) -> u64 {
        self.places.iter().map(|place| place.weight).sum()
    }
}

/// The traffic with these shares in basis points, which sum to at most 10 000.
fn split(baseline: u64, candidate: u64) -> Traffic {
    let weight = |bp| u16::try_from(bp).ok().and_then(Weight::basis_points);
    let traffic = weight(candidate).map(Traffic::split).zip(weight(baseline));
    traffic
        .and_then(|(traffic, baseline)| traffic.with_baseline(baseline))
        .expect("shares of a whole fit into it")
}

fn choose<'r>(rules: &'r [RuleSpec], name: Option<&str>) -> Result<(usize, &'r RuleSpec), Unfit> {
    let called = |rule: &RuleSpec| name.is_none() || rule.name.as_deref() == name;
    let mut found = rules.iter().enumerate().filter(|(_, rule)| called(rule));
    match (found.next(), found.count(), name) {
        (Some(found), 0, _) => Ok(found),
        (Some(_), more, _) => Err(Unfit::RuleUnclear { count: more + 1 }),
        (None, _, None) => Err(Unfit::RuleUnclear { count: 0 }),
        (None, _, Some(name)) => {
            let known: Vec<_> = rules.iter().filter_map(|rule| rule.name.as_deref()).collect();
            let known = if known.is_empty() { "rules without a name".to_owned() } else { known.join(", ") };
            Err(Unfit::RuleMissing { rule: name.to_owned(), known })
        }
    }
}

fn fence(value: &str) -> Result<Fence, Unfit> {
    let seq = value.parse().ok().and_then(Seq::new);
    seq.map(Fence::new).ok_or_else(|| Unfit::Fence { value: value.chars().take(40).collect() })
}

/// The few fields of an HTTPRoute that matter here; the others pass by unread and unwritten.
#[derive(Deserialize)]
struct HttpRoute {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<RuleSpec>,
}

#[derive(Deserialize)]
struct RuleSpec {
    name: Option<String>,
    #[serde(default, rename = "backendRefs")]
    backends: Vec<BackendRef>,
}

#[derive(Deserialize)]
struct BackendRef {
    name: String,
    weight: Option<u32>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    parents: Vec<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default, rename = "observedGeneration")]
    seen: i64,
    #[serde(default)]
    message: String,
}

impl BackendRef {
    /// "If weight is not specified [...] defaults to 1."
    fn weight(&self) -> u64 {
        self.weight.map_or(1, u64::from)
    }
}

impl Status {
    /// Whether every parent accepts the route, as it is at `generation`, with all its backends.
    fn taken_up(&self, generation: i64) -> Result<(), NotTakenUp> {
        if self.parents.is_empty() {
            return Err(NotTakenUp::Nobody);
        }
        self.parents.iter().try_for_each(|parent| {
            parent.condition("Accepted", generation)?.must_be("Accepted", "True")?;
            parent.condition("ResolvedRefs", generation)?.must_be("ResolvedRefs", "True")?;
            // Only set where a gateway dropped rules that it could not use.
            let partial = parent.condition("PartiallyInvalid", generation);
            partial.map_or(Ok(()), |partial| partial.must_be("PartiallyInvalid", "False"))
        })
    }
}

impl Parent {
    fn condition(&self, r#type: &str, wanted: i64) -> Result<&Condition, NotTakenUp> {
        let found = self.conditions.iter().find(|condition| condition.r#type == r#type);
        match found {
            Some(condition) if condition.seen >= wanted => Ok(condition),
            _ => Err(NotTakenUp::Lags { seen: found.map_or(0, |condition| condition.seen), wanted }),
        }
    }
}

impl Condition {
    fn must_be(&self, condition: &'static str, status: &str) -> Result<(), NotTakenUp> {
        if self.status == status {
            return Ok(());
        }
        let message = self.message.chars().take(200).collect();
        Err(NotTakenUp::Condition { condition, status: self.status.clone(), message })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(weights: [u32; 3]) -> DynamicObject {
        let [stable, baseline, candidate] = weights;
        let backends = json!([
            {"name": "s", "weight": stable}, {"name": "b", "weight": baseline}, {"name": "c", "weight": candidate},
        ]);
        serde_json::from_value(json!({
            "metadata": {"resourceVersion": "1"},
            "spec": {"rules": [{"backendRefs": backends}]},
        }))
        .unwrap()
    }

    fn read(object: &DynamicObject) -> Rule {
        let (stable, baseline, candidate) = ("s".to_owned(), Some("b".to_owned()), "c".to_owned());
        Rule::read(object, None, &Backends { stable, baseline, candidate }).unwrap()
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
        fn after_its_patch_a_rule_asks_for_exactly_that(
            weights in [0u32..=1_000_000, 0..=1_000_000, 0..=1_000_000],
            candidate in 0u64..=10_000,
            baseline in 0u64..=10_000,
        ) {
            let wanted = split(baseline.min(10_000 - candidate), candidate);
            let fence = Fence::new(Seq::new(7).unwrap());
            let mut patched = serde_json::to_value(object(weights)).unwrap();
            let patch = read(&object(weights)).patch(&wanted, fence);
            let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
            json_patch::patch(&mut patched, &patch).unwrap();
            let rule = read(&serde_json::from_value(patched).unwrap());
            prop_assert!(rule.asks_for(&wanted));
            prop_assert_eq!(rule.traffic().unwrap(), wanted);
            prop_assert_eq!(rule.fence, Some(fence));
        }
    }

    #[test]
    fn the_patch_is_guarded_and_touches_nothing_else() {
        let weight = |bp| Weight::basis_points(bp).unwrap();
        let patch = read(&object([1, 0, 0])).patch(&Traffic::split(weight(1_250)), Fence::new(Seq::FIRST));
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
        assert_eq!(patch, expected);
    }
}
