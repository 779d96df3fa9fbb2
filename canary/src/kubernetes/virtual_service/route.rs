//! The HTTP route of a VirtualService that splits: what it says now, and the change after which it says
//! otherwise.
//!
//! Pure: an object goes in, a reading or a change comes out.
//! <https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute>

#[cfg(test)]
mod tests;

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        exception::{Condition, Wanted},
        head::Head,
        named,
        object::{Change, Reading},
        sides::{Backends, Sides},
        unfit::Unfit,
    },
    Destination,
};
use crate::{Exception, Slot, Traffic, Weight};

const KIND: &str = "a VirtualService of networking.istio.io/v1";
const LIST: &str = "spec.http";
const TOTAL: u64 = 100;
/// What says where requests are copied to, besides `mirrors`.
const MIRROR: [&str; 3] = ["mirror", "mirrorPercentage", "mirrorPercent"];

/// One reading of the HTTP route that splits.
#[derive(Debug)]
pub(super) struct Split {
    head: Head,
    /// All HTTP routes.
    routes: Vec<Value>,
    /// Which of them splits.
    index: usize,
    name: Option<String>,
    backends: Backends<Destination>,
    sides: Sides,
    /// Our HTTP routes before it.
    own: Vec<usize>,
    exceptions: Vec<Exception>,
    mirror: Mirror,
}

/// Where requests are copied to.
#[derive(Debug)]
enum Mirror {
    Candidate(Weight),
    /// To what is no side, as this field says.
    Elsewhere(&'static str),
    Nowhere,
}

impl Split {
    /// Finds the HTTP route called `name` in `object`, or its only one.
    pub(super) fn read(
        object: &DynamicObject,
        name: Option<&str>,
        backends: &Backends<Destination>,
    ) -> Result<Self, Unfit> {
        let VirtualService { spec: Spec { http: routes } } = read(&object.data)?;
        let head = Head::read(object)?;
        let index = named::choose(&routes, name, LIST)?;
        let route: Route = read(&routes[index])?;
        let at = route
            .name
            .as_ref()
            .map_or_else(|| format!("HTTP route {index}"), |name| format!("HTTP route `{name}`"));
        let list: Vec<_> =
            route.route.into_iter().map(|found| (found.destination.name(), found.weight.into())).collect();
        let sides = backends.find(at, "destination", &list)?;
        let to = |mirror: &WrittenDestination| mirror.name() == backends.candidate;
        let old = route.percent.map(f64::from);
        let percentage = route.percentage.map_or(old, |percent| Some(percent.value));
        let mirror = match (&route.mirror, &route.mirrors) {
            (_, Some(mirrors)) if !mirrors.is_empty() => Mirror::Elsewhere("mirrors"),
            (Some(mirror), _) if to(mirror) => {
                // "If this field is absent, all the traffic (100%) will be mirrored."
                Mirror::Candidate(share(percentage.unwrap_or(100.0)))
            }
            (Some(_), _) => Mirror::Elsewhere("mirror"),
            (None, _) => Mirror::Nowhere,
        };
        let (own, name) = (named::own(&routes, route.name.as_deref()), route.name);
        let backends = backends.clone();
        let mut reading =
            Self { head, routes, index, name, backends, sides, own, exceptions: Vec::new(), mirror };
        let exceptions = reading.own.iter().filter_map(|&own| reading.exception(own).transpose());
        reading.exceptions = exceptions.collect::<Result<_, _>>()?;
        Ok(reading)
    }

    /// The exception that our HTTP route at `own` makes, unless it no longer follows from the one that splits.
    fn exception(&self, own: usize) -> Result<Option<Exception>, Unfit> {
        let route = &self.routes[own];
        let changed =
            || Unfit::ExceptionChanged { rule: named::name_of(route).unwrap_or_default().to_owned() };
        let to =
            route.pointer("/route/0/destination").and_then(|to| WrittenDestination::deserialize(to).ok());
        let to = to.and_then(|to| self.backends.slot(&to.name())).ok_or_else(changed)?;
        let split = self.routes[self.index].pointer("/match/0/headers").and_then(Value::as_object);
        let mut added = route
            .pointer("/match/0/headers")
            .and_then(Value::as_object)
            .ok_or_else(changed)?
            .iter()
            .filter(|(header, _)| split.is_none_or(|split| !split.contains_key(*header)));
        let (Some((header, value)), None) = (added.next(), added.next()) else { return Err(changed()) };
        let wanted = StringMatch::deserialize(value).map_err(|_| changed())?;
        let value = match wanted {
            StringMatch::Exact(value) => Wanted::Exactly(value),
            StringMatch::Regex(value) => Wanted::Like(value),
        };
        let condition = Condition { header: header.clone(), value };
        let exception = condition.exception(to).ok_or_else(changed)?;
        let wanted = self.route_for(&exception, 0)?;
        let follows = ["match", "route"].iter().all(|key| named::covers(&route[key], &wanted[key]));
        Ok(follows.then_some(exception))
    }

    /// The HTTP route that splits, made into our `n`th, for one exception.
    fn route_for(&self, exception: &Exception, n: usize) -> Result<Value, Unfit> {
        let Condition { header, value } = Condition::of(exception)?;
        let unfit = |why| Unfit::Exception { key: "header", name: header.clone(), why };
        if header.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(unfit("Istio matches names of headers in lower case; write it so"));
        }
        if ["uri", "scheme", "method", "authority"].contains(&header.as_str()) {
            return Err(unfit("Istio ignores headers of this name; choose another"));
        }
        let value = match value {
            Wanted::Exactly(value) => json!({"exact": value}),
            Wanted::Like(value) => json!({"regex": value}),
        };
        let mut route = self.routes[self.index].clone();
        let headed = |matched: &Value| {
            let mut matched = matched.clone();
            let mut headers = matched["headers"].as_object().cloned().unwrap_or_default();
            if headers.insert(header.clone(), value.clone()).is_some() {
                return Err(Unfit::HeaderTaken { at: self.sides.at.clone(), header: header.clone() });
            }
            matched["headers"] = headers.into();
            Ok(matched)
        };
        let matches = route["match"].as_array().filter(|matches| !matches.is_empty()).cloned();
        let matches = matches.unwrap_or_else(|| vec![json!({})]);
        let matches = matches.iter().map(headed).collect::<Result<Vec<_>, _>>()?;
        let place = self.sides.place(exception.to).ok_or_else(|| Unfit::SideMissing {
            at: self.sides.at.clone(),
            what: "destination",
            side: exception.to.to_string(),
        })?;
        let mut destination = route["route"][place.index].clone();
        destination["weight"] = TOTAL.into();
        route["match"] = matches.into();
        route["route"] = json!([destination]);
        route["name"] = named::own_name(self.name.as_deref().unwrap_or_default(), n).into();
        // Exceptions are no sample of the traffic, so they are not copied either.
        if let (Some(fields), Mirror::Candidate(_)) = (route.as_object_mut(), &self.mirror) {
            fields.retain(|field, _| !MIRROR.contains(&field.as_str()));
        }
        Ok(route)
    }

    /// The operations after which `share` of all requests is copied to the candidate.
    fn copy(&self, share: Weight) -> Result<Vec<Value>, Unfit> {
        let at = || self.sides.at.clone();
        match self.mirror {
            Mirror::Candidate(there) if there == share => return Ok(Vec::new()),
            Mirror::Elsewhere(mirror) if !share.is_none() => {
                return Err(Unfit::MirrorTaken { at: at(), mirror });
            }
            Mirror::Elsewhere(_) => return Ok(Vec::new()),
            Mirror::Nowhere if share.is_none() => return Ok(Vec::new()),
            Mirror::Candidate(_) | Mirror::Nowhere => {}
        }
        let path = format!("/spec/http/{}", self.index);
        let there = |field: &&str| self.routes[self.index].get(field).is_some();
        let remove = |field| json!({"op": "remove", "path": format!("{path}/{field}")});
        if share.is_none() {
            return Ok(MIRROR.into_iter().filter(there).map(remove).collect());
        }
        let candidate = self.sides.place(Slot::Candidate).map_or(0, |place| place.index);
        let destination = &self.routes[self.index]["route"][candidate]["destination"];
        let percentage = json!({"value": share.as_basis_points() / 100});
        let mut operations: Vec<_> = Some("mirrorPercent").into_iter().filter(there).map(remove).collect();
        operations.push(json!({"op": "add", "path": format!("{path}/mirror"), "value": destination}));
        operations
            .push(json!({"op": "add", "path": format!("{path}/mirrorPercentage"), "value": percentage}));
        Ok(operations)
    }
}

impl Reading for Split {
    fn head(&self) -> &Head {
        &self.head
    }

    fn traffic(&self) -> Result<Traffic, Unfit> {
        let mirror = if let Mirror::Candidate(share) = self.mirror { share } else { Weight::NONE };
        Ok(self.sides.split()?.with_mirror(mirror).with_exceptions(self.exceptions.iter().cloned()))
    }

    fn plan(&self, traffic: &Traffic) -> Result<Change, Unfit> {
        if traffic.mirror() > Weight::NONE && traffic.weight(Slot::Stable) < Weight::FULL {
            return Err(Unfit::MirrorBesideSplit { at: self.sides.at.clone() });
        }
        let mut operations = Vec::new();
        for (place, weight) in self.sides.due(traffic, TOTAL).into_iter().flatten() {
            let path = format!("/spec/http/{}/route/{}", self.index, place.index);
            let host = &self.routes[self.index]["route"][place.index]["destination"];
            operations.push(json!({"op": "test", "path": format!("{path}/destination"), "value": host}));
            operations.push(json!({"op": "add", "path": format!("{path}/weight"), "value": weight}));
        }
        operations.extend(self.copy(traffic.mirror())?);
        let numbered = traffic.exceptions().iter().enumerate();
        let wanted: Vec<_> =
            numbered.map(|(n, exception)| self.route_for(exception, n)).collect::<Result<_, _>>()?;
        operations.extend(named::splice("/spec/http", &self.routes, &self.own, self.index, &wanted));
        Ok(Change { operations, annotations: Vec::new() })
    }
}

/// A share of 0 to 100 per cent, rounded up: a side that gets copies never looks as if it got none.
fn share(percent: f64) -> Weight {
    // Saturates, and takes what is no number for nothing.
    let bp = (percent * 100.0).ceil() as u16;
    Weight::basis_points(bp).unwrap_or(Weight::FULL)
}

fn read<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<T, Unfit> {
    T::deserialize(value).map_err(|source| Unfit::Unreadable { kind: KIND, source })
}

/// The few fields of a VirtualService that matter here; the others pass by unread and unwritten.
#[derive(Deserialize)]
struct VirtualService {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    http: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    name: Option<String>,
    #[serde(default)]
    route: Vec<Weighted>,
    mirror: Option<WrittenDestination>,
    mirrors: Option<Vec<Map<String, Value>>>,
    #[serde(rename = "mirrorPercentage")]
    percentage: Option<Percentage>,
    #[serde(rename = "mirrorPercent")]
    percent: Option<u32>,
}

#[derive(Deserialize)]
struct Weighted {
    destination: WrittenDestination,
    /// Beside others, none is nothing.
    #[serde(default)]
    weight: u32,
}

#[derive(Deserialize)]
struct WrittenDestination {
    host: String,
    subset: Option<String>,
}

#[derive(Deserialize)]
struct Percentage {
    #[serde(default)]
    value: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StringMatch {
    Exact(String),
    Regex(String),
}

impl WrittenDestination {
    fn name(&self) -> Destination {
        Destination::new(self.host.clone(), self.subset.clone())
    }
}
