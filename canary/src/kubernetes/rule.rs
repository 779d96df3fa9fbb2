//! The rule of an HTTPRoute that splits: what it says now, and the change after which it says otherwise.
//!
//! Pure: an object goes in, a reading or a change comes out.
//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>

mod status;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use self::status::Status;
use super::{
    exception::{Condition, Wanted},
    head::Head,
    named,
    object::{Change, Reading},
    sides::{Backends, Sides},
    unfit::{NotTakenUp, Unfit},
};
use crate::{Exception, Slot, Traffic, Weight};

const KIND: &str = "an HTTPRoute of gateway.networking.k8s.io/v1";
const LIST: &str = "spec.rules";
/// Weights are relative, so these are as fine as shares are.
const TOTAL: u64 = 10_000;

/// One reading of the rule that splits.
#[derive(Debug)]
pub(super) struct Rule {
    head: Head,
    /// All rules of the route.
    rules: Vec<Value>,
    /// Which of them splits.
    index: usize,
    name: Option<String>,
    backends: Backends,
    sides: Sides,
    /// Our rules before it.
    own: Vec<usize>,
    exceptions: Vec<Exception>,
    /// Copies of all requests of the rule.
    of_all: Mirrors,
    /// Copies of the requests that stable's backend gets.
    of_stable: Mirrors,
    taken_up: Result<(), NotTakenUp>,
}

/// The filters of one list that copy requests to the candidate.
#[derive(Debug)]
struct Mirrors {
    /// The JSON pointer to the list.
    path: String,
    /// Whether there is a list.
    listed: bool,
    found: Vec<(usize, Weight)>,
}

impl Rule {
    /// Finds the rule called `name` in `object`, or its only rule.
    pub(super) fn read(
        object: &DynamicObject,
        name: Option<&str>,
        backends: &Backends,
    ) -> Result<Self, Unfit> {
        let HttpRoute { spec: Spec { rules }, status } = read(&object.data)?;
        let head = Head::read(object)?;
        let index = named::choose(&rules, name, LIST)?;
        let rule: RuleSpec = read(&rules[index])?;
        let at = rule.name.as_ref().map_or_else(|| format!("rule {index}"), |name| format!("rule `{name}`"));
        if rule.persistence.is_some() {
            return Err(Unfit::Sticky { at, field: "sessionPersistence" });
        }
        let list: Vec<_> = rule.backends.iter().map(|found| (found.name.clone(), found.weight())).collect();
        let sides = backends.find(at, "backendRef", &list)?;
        let path = format!("/spec/rules/{index}");
        let stable = sides.place(Slot::Stable).map_or(0, |place| place.index);
        let of_all = Mirrors::read(format!("{path}/filters"), rule.filters.as_deref(), backends);
        let path = format!("{path}/backendRefs/{stable}/filters");
        let of_stable = Mirrors::read(path, rule.backends[stable].filters.as_deref(), backends);
        let own = named::own(&rules, rule.name.as_deref());
        let taken_up = status.unwrap_or_default().taken_up(head.generation);
        let (backends, name) = (backends.clone(), rule.name);
        let mut reading = Self {
            head,
            rules,
            index,
            name,
            backends,
            sides,
            own,
            exceptions: Vec::new(),
            of_all,
            of_stable,
            taken_up,
        };
        reading.exceptions = reading
            .own
            .iter()
            .filter_map(|&own| reading.exception(own).transpose())
            .collect::<Result<_, _>>()?;
        Ok(reading)
    }

    /// The exception that our rule at `own` makes, unless it no longer follows from the rule that splits.
    fn exception(&self, own: usize) -> Result<Option<Exception>, Unfit> {
        let rule = &self.rules[own];
        let changed =
            || Unfit::ExceptionChanged { rule: named::name_of(rule).unwrap_or_default().to_owned() };
        let header = rule.pointer("/matches/0/headers").and_then(|headers| headers.as_array()?.last());
        let header = header.and_then(|header| HeaderMatch::deserialize(header).ok()).ok_or_else(changed)?;
        let to = rule.pointer("/backendRefs/0/name").and_then(Value::as_str).map(str::to_owned);
        let to = to.and_then(|name| self.backends.slot(&name)).ok_or_else(changed)?;
        let exception = header.condition().exception(to).ok_or_else(changed)?;
        let wanted = self.rule_for(&exception, 0)?;
        let follows = ["matches", "backendRefs"].iter().all(|key| named::covers(&rule[key], &wanted[key]));
        Ok(follows.then_some(exception))
    }

    /// The rule that splits, made into our `n`th rule, for one exception. It has one header more to match, so
    /// it comes before the rule that splits wherever it stands, and before its successors by its place.
    fn rule_for(&self, exception: &Exception, n: usize) -> Result<Value, Unfit> {
        let condition = Condition::of(exception)?;
        let mut rule = self.rules[self.index].clone();
        let headed = |matched: &Value| {
            let mut matched = matched.clone();
            let mut headers = matched["headers"].as_array().cloned().unwrap_or_default();
            let same = |header: &Value| {
                header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&condition.header))
            };
            if headers.iter().any(same) {
                let (at, header) = (self.sides.at.clone(), condition.header.clone());
                return Err(Unfit::HeaderTaken { at, header });
            }
            headers.push(json!(HeaderMatch::of(&condition)));
            matched["headers"] = headers.into();
            Ok(matched)
        };
        let matches = rule["matches"].as_array().filter(|matches| !matches.is_empty()).cloned();
        let matches = matches.unwrap_or_else(|| vec![json!({})]);
        rule["matches"] = matches.iter().map(headed).collect::<Result<Vec<_>, _>>()?.into();
        let place = self.sides.place(exception.to).ok_or_else(|| Unfit::SideMissing {
            at: self.sides.at.clone(),
            what: "backendRef",
            side: exception.to.to_string(),
        })?;
        let mut backend = rule["backendRefs"][place.index].clone();
        let fields = backend.as_object_mut().into_iter().chain(rule.as_object_mut());
        for fields in fields {
            fields.remove("weight");
            self.without_copies(fields);
        }
        rule["backendRefs"] = json!([backend]);
        rule["name"] = named::own_name(self.name.as_deref().unwrap_or_default(), n).into();
        Ok(rule)
    }

    /// Exceptions are no sample of the traffic, so they are not copied either.
    fn without_copies(&self, fields: &mut serde_json::Map<String, Value>) {
        if let Some(filters) = fields.get_mut("filters").and_then(Value::as_array_mut) {
            filters.retain(|filter| filter["requestMirror"]["backendRef"]["name"] != self.backends.candidate);
            if filters.is_empty() {
                fields.remove("filters");
            }
        }
    }

    /// The filter that copies `share` of the requests to the candidate's backend. Without a fraction it copies
    /// all, which gateways could do before they knew fractions (Gateway API 1.3).
    fn mirror(&self, share: Weight) -> Value {
        let candidate = self.sides.place(Slot::Candidate).map_or(0, |place| place.index);
        let there = self.rules[self.index]["backendRefs"][candidate].as_object();
        let fields = ["group", "kind", "name", "namespace", "port"];
        let backend: serde_json::Map<_, _> =
            fields.iter().filter_map(|&field| Some((field.to_owned(), there?.get(field)?.clone()))).collect();
        if share == Weight::FULL {
            return json!({"backendRef": backend});
        }
        json!({"backendRef": backend, "fraction": {"numerator": share.as_basis_points(), "denominator": 10_000}})
    }
}

impl Reading for Rule {
    fn head(&self) -> &Head {
        &self.head
    }

    fn traffic(&self) -> Result<Traffic, Unfit> {
        let mirror = self.of_all.share().max(self.of_stable.share());
        Ok(self.sides.split()?.with_mirror(mirror).with_exceptions(self.exceptions.iter().cloned()))
    }

    fn plan(&self, traffic: &Traffic) -> Result<Change, Unfit> {
        let mut operations = Vec::new();
        for (place, weight) in self.sides.due(traffic, TOTAL).into_iter().flatten() {
            let path = format!("/spec/rules/{}/backendRefs/{}", self.index, place.index);
            let name = &self.rules[self.index]["backendRefs"][place.index]["name"];
            operations.push(json!({"op": "test", "path": format!("{path}/name"), "value": name}));
            operations.push(json!({"op": "add", "path": format!("{path}/weight"), "value": weight}));
        }
        // Beside a split, copies of all requests would be more than copies of stable's.
        let alone = traffic.weight(Slot::Stable) == Weight::FULL;
        let of = |place: bool| if place { traffic.mirror() } else { Weight::NONE };
        operations.extend(self.of_all.plan(of(alone), self));
        operations.extend(self.of_stable.plan(of(!alone), self));
        let numbered = traffic.exceptions().iter().enumerate();
        let wanted: Vec<_> =
            numbered.map(|(n, exception)| self.rule_for(exception, n)).collect::<Result<_, _>>()?;
        operations.extend(named::splice("/spec/rules", &self.rules, &self.own, self.index, &wanted));
        Ok(Change { operations, annotations: Vec::new() })
    }

    fn taken_up(&self) -> Result<(), NotTakenUp> {
        self.taken_up.clone()
    }
}

impl Mirrors {
    fn read(path: String, filters: Option<&[Filter]>, backends: &Backends) -> Self {
        let ours = |(index, filter): (usize, &Filter)| {
            let mirror = filter.mirror.as_ref()?;
            (mirror.backend.name == backends.candidate).then(|| (index, mirror.share()))
        };
        let found = filters.into_iter().flatten().enumerate().filter_map(ours).collect();
        Self { path, listed: filters.is_some(), found }
    }

    /// Two filters copy as much as one of both shares.
    fn share(&self) -> Weight {
        let sum = self.found.iter().map(|(_, share)| share.as_basis_points()).fold(0, u16::saturating_add);
        Weight::basis_points(sum).unwrap_or(Weight::FULL)
    }

    /// The operations after which one filter copies `share`, or none copies anything.
    fn plan(&self, share: Weight, rule: &Rule) -> Vec<Value> {
        let Self { path, listed, found } = self;
        let mirror = rule.mirror(share);
        let test = |index: usize| {
            let path = format!("{path}/{index}/requestMirror/backendRef/name");
            json!({"op": "test", "path": path, "value": rule.backends.candidate})
        };
        let remove = |&(index, _): &(usize, Weight)| {
            [test(index), json!({"op": "remove", "path": format!("{path}/{index}")})]
        };
        match found.as_slice() {
            [] if share.is_none() => Vec::new(),
            [(_, there)] if *there == share => Vec::new(),
            found if share.is_none() => found.iter().rev().flat_map(remove).collect(),
            [] => {
                let filter = json!({"type": "RequestMirror", "requestMirror": mirror});
                let (path, value) =
                    if *listed { (format!("{path}/-"), filter) } else { (path.clone(), json!([filter])) };
                vec![json!({"op": "add", "path": path, "value": value})]
            }
            [(first, _), others @ ..] => {
                let mirror = json!({"op": "replace", "path": format!("{path}/{first}/requestMirror"), "value": mirror});
                others.iter().rev().flat_map(remove).chain([test(*first), mirror]).collect()
            }
        }
    }
}

fn read<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<T, Unfit> {
    T::deserialize(value).map_err(|source| Unfit::Unreadable { kind: KIND, source })
}

/// The few fields of an HTTPRoute that matter here; the others pass by unread and unwritten.
#[derive(Deserialize)]
struct HttpRoute {
    spec: Spec,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<Value>,
}

#[derive(Deserialize)]
struct RuleSpec {
    name: Option<String>,
    #[serde(default, rename = "backendRefs")]
    backends: Vec<BackendRef>,
    filters: Option<Vec<Filter>>,
    #[serde(rename = "sessionPersistence")]
    persistence: Option<Value>,
}

#[derive(Deserialize)]
struct BackendRef {
    name: String,
    weight: Option<u32>,
    filters: Option<Vec<Filter>>,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(rename = "requestMirror")]
    mirror: Option<RequestMirror>,
}

#[derive(Deserialize)]
struct RequestMirror {
    #[serde(rename = "backendRef")]
    backend: Reference,
    percent: Option<u32>,
    fraction: Option<Fraction>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

#[derive(Deserialize)]
struct Fraction {
    numerator: u32,
    denominator: Option<NonZeroU32>,
}

#[derive(Deserialize, serde::Serialize)]
struct HeaderMatch {
    #[serde(default = "exact")]
    r#type: String,
    name: String,
    value: String,
}

fn exact() -> String {
    "Exact".to_owned()
}

impl BackendRef {
    /// "If weight is not specified [...] defaults to 1."
    fn weight(&self) -> u64 {
        self.weight.map_or(1, u64::from)
    }
}

impl RequestMirror {
    /// Of the requests, all where nothing is said; never less than is copied.
    fn share(&self) -> Weight {
        let (part, whole) = match (self.percent, &self.fraction) {
            (Some(percent), _) => (percent, 100),
            (None, Some(Fraction { numerator, denominator })) => {
                (*numerator, denominator.map_or(100, NonZeroU32::get))
            }
            (None, None) => (1, 1),
        };
        let share = (u64::from(part) * TOTAL).div_ceil(whole.into());
        u16::try_from(share).ok().and_then(Weight::basis_points).unwrap_or(Weight::FULL)
    }
}

impl HeaderMatch {
    fn of(Condition { header, value }: &Condition) -> Self {
        let name = header.clone();
        match value {
            Wanted::Exactly(value) => Self { r#type: exact(), name, value: value.clone() },
            Wanted::Like(value) => {
                Self { r#type: "RegularExpression".to_owned(), name, value: value.clone() }
            }
        }
    }

    fn condition(self) -> Condition {
        let wanted = if self.r#type == exact() { Wanted::Exactly } else { Wanted::Like };
        Condition { header: self.name, value: wanted(self.value) }
    }
}
