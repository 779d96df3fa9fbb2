use super::*;
use crate::{Fence, Key};
use tidegate_registry::Seq;

fn object(route: Value) -> DynamicObject {
    serde_json::from_value(
        json!({"metadata": {"resourceVersion": "1"}, "spec": {"http": [{"name": "other"}, route]}}),
    )
    .unwrap()
}

fn plain() -> Value {
    json!({"name": "r", "match": [{"uri": {"prefix": "/v1"}}], "timeout": "5s", "route": [
        {"destination": {"host": "f", "subset": "s"}, "weight": 100},
        {"destination": {"host": "f", "subset": "c", "port": {"number": 80}}},
    ]})
}

fn read(object: &DynamicObject) -> Result<Split, Unfit> {
    let backends = Backends {
        stable: Destination::subset("f", "s"),
        baseline: None,
        candidate: Destination::subset("f", "c"),
    };
    Split::read(object, Some("r"), &backends)
}

fn percent(percent: u16) -> Weight {
    Weight::percent(percent).unwrap()
}

fn exception(key: Key) -> Exception {
    Exception { key, value: "tester".to_owned(), to: Slot::Candidate }
}

fn patched(object: &DynamicObject, traffic: &Traffic) -> (Value, DynamicObject) {
    let reading = read(object).unwrap();
    let patch = reading.head.patch(reading.plan(traffic).unwrap(), Fence::new(Seq::FIRST));
    let mut value = serde_json::to_value(object).unwrap();
    let parsed: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
    json_patch::patch(&mut value, &parsed).unwrap();
    (patch, serde_json::from_value(value).unwrap())
}

#[test]
fn the_patch_is_guarded_and_touches_nothing_else() {
    let keys = [Key::Header("x-user".to_owned()), Key::Cookie("user".to_owned())];
    let traffic = Traffic::split(percent(10)).with_exceptions(keys.map(exception));
    let copy = |n, header: Value| {
        json!({"name": format!("tidegate-r-{n}"), "timeout": "5s",
            "match": [{"uri": {"prefix": "/v1"}, "headers": header}],
            "route": [{"destination": {"host": "f", "subset": "c", "port": {"number": 80}}, "weight": 100}]})
    };
    let expected = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "test", "path": "/spec/http/1/route/0/destination", "value": {"host": "f", "subset": "s"}},
        {"op": "add", "path": "/spec/http/1/route/0/weight", "value": 90},
        {"op": "test", "path": "/spec/http/1/route/1/destination", "value": {"host": "f", "subset": "c", "port": {"number": 80}}},
        {"op": "add", "path": "/spec/http/1/route/1/weight", "value": 10},
        {"op": "add", "path": "/spec/http/1", "value": copy(1, json!({"cookie": {"regex": "^(.*;[ ]?)?user=tester([ ]?;.*)?$"}}))},
        {"op": "add", "path": "/spec/http/1", "value": copy(0, json!({"x-user": {"exact": "tester"}}))},
        {"op": "add", "path": "/metadata/annotations", "value": {"tidegate.dev/fence": "1"}},
    ]);
    let (patch, object) = patched(&object(plain()), &traffic);
    assert_eq!(patch, expected);
    assert_eq!(read(&object).unwrap().traffic().unwrap(), traffic);
    let (_, object) = patched(&object, &Traffic::stable());
    assert_eq!(object.data["spec"]["http"].as_array().unwrap().len(), 2);
}

#[test]
fn copies_are_of_all_requests_so_only_while_stable_has_them() {
    let shadow = Traffic::stable().with_mirror(percent(5));
    let (patch, object) = patched(&object(plain()), &shadow);
    let expected = [
        json!({"op": "add", "path": "/spec/http/1/mirror", "value": {"host": "f", "subset": "c", "port": {"number": 80}}}),
        json!({"op": "add", "path": "/spec/http/1/mirrorPercentage", "value": {"value": 5}}),
    ];
    assert!(expected.iter().all(|operation| patch.as_array().unwrap().contains(operation)), "{patch}");
    let reading = read(&object).unwrap();
    assert_eq!(reading.traffic().unwrap(), shadow);
    let beside = Traffic::split(percent(1)).with_mirror(percent(5));
    assert!(matches!(reading.plan(&beside), Err(Unfit::MirrorBesideSplit { .. })));
    let (_, object) = patched(&object, &Traffic::stable());
    assert!(MIRROR.iter().all(|field| object.data["spec"]["http"][1].get(field).is_none()));
}

#[test]
fn copies_that_others_ask_for_are_left_alone() {
    for mirror in [json!({"mirror": {"host": "audit"}}), json!({"mirrors": [{"destination": {"host": "f"}}]})]
    {
        let mut route = plain();
        route.as_object_mut().unwrap().extend(mirror.as_object().unwrap().clone());
        let object = object(route);
        let reading = read(&object).unwrap();
        let taken = reading.plan(&Traffic::stable().with_mirror(percent(5)));
        assert!(matches!(taken, Err(Unfit::MirrorTaken { .. })), "{taken:?}");
        let (_, after) = patched(&object, &Traffic::split(percent(5)));
        for (field, value) in mirror.as_object().unwrap() {
            assert_eq!(after.data["spec"]["http"][1][field], *value);
        }
    }
}

#[test]
fn shares_of_others_are_read_as_istio_means_them() {
    let cases = [
        (json!({}), 10_000),
        (json!({"mirrorPercentage": {"value": 0.001}}), 1),
        (json!({"mirrorPercentage": {}}), 0),
        (json!({"mirrorPercentage": {"value": -5}}), 0),
        (json!({"mirrorPercentage": {"value": 1e300}}), 10_000),
        (json!({"mirrorPercent": 7}), 700),
    ];
    for (fields, expected) in cases {
        let mut route = plain();
        route["mirror"] = json!({"host": "f", "subset": "c"});
        route.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let seen = read(&object(route)).unwrap().traffic().unwrap().mirror().as_basis_points();
        assert_eq!(seen, expected, "{fields}");
    }
}

#[test]
fn what_istio_cannot_match_is_refused() {
    let object = object(plain());
    for name in ["X-User", "uri", "method", "authority", "scheme"] {
        let traffic = Traffic::stable().with_exceptions([exception(Key::Header(name.to_owned()))]);
        let answer = read(&object).unwrap().plan(&traffic);
        assert!(matches!(answer, Err(Unfit::Exception { .. })), "{name}: {answer:?}");
    }
}

#[test]
fn a_route_of_ours_that_somebody_changed_is_told() {
    let key = Key::Header("x-user".to_owned());
    let (_, mut object) = patched(&object(plain()), &Traffic::stable().with_exceptions([exception(key)]));
    object.data["spec"]["http"][1]["match"] = json!([]);
    assert!(matches!(read(&object), Err(Unfit::ExceptionChanged { .. })));
}
