//! The dashboard of Grafana asks only for what is emitted, and for all of it.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{page::Page, root};

/// A query of the dashboard, and where it stands.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) panel: String,
    pub(crate) expression: String,
}

/// Every query of every panel.
pub(crate) fn queries() -> Vec<Query> {
    let mut found = Vec::new();
    for panel in dashboard()["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap().to_owned();
            found.push(Query { panel: panel["title"].as_str().unwrap().to_owned(), expression });
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("examples/grafana/tidegate.json")).unwrap()).unwrap()
}

/// Names of metrics in an expression, each with the labels that it is selected by.
fn selected(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let starts = expression.match_indices("tidegate_").map(|(at, _)| at);
    let name_and_labels = |at: usize| {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let matchers =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(all, _)| all);
        let label = |matcher: &'_ str| matcher.find(['=', '!']).map(|end| matcher[..end].trim().len());
        let labels = matchers.split(", ").filter_map(|matcher| Some(&matcher[..label(matcher)?])).collect();
        (name, labels)
    };
    starts.map(name_and_labels).collect()
}

/// Labels that an expression groups by.
fn grouped(expression: &str) -> BTreeSet<&str> {
    let groups = expression.split(" by (").skip(1).map(|rest| rest.split_once(')').unwrap().0);
    groups.flat_map(|group| group.split(", ")).collect()
}

#[test]
fn the_dashboard_asks_for_the_metrics_and_labels_of_the_page() {
    let (page, mut asked) = (Page::read(), BTreeSet::new());
    for Query { panel, expression } in queries() {
        for (name, labels) in selected(&expression) {
            let (metric, is_bucket) = match name.strip_suffix("_bucket") {
                Some(metric) => (metric, true),
                None => (
                    ["_count", "_sum"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name),
                    false,
                ),
            };
            let known =
                page.metrics.get(metric).unwrap_or_else(|| panic!("{panel}: {metric} is not emitted"));
            assert_eq!(name != metric, known.kind == "histogram", "{panel}: {name} of a {}", known.kind);
            for label in labels.into_iter().chain(grouped(&expression)) {
                let has = known.labels.contains(label) || is_bucket && label == "le";
                assert!(has, "{panel}: {metric} has no label {label}");
            }
            asked.insert(metric.to_owned());
        }
    }
    let all: BTreeSet<_> = page.metrics.into_keys().collect();
    assert_eq!(asked, all, "what the dashboard shows, and what there is");
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard = dashboard();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id {}", panel["id"]);
        let place = &panel["gridPos"];
        let [x, y, width] = ["x", "y", "w"].map(|side| place[side].as_u64().unwrap());
        assert!(x + width <= 24 && places.insert((x, y)), "{}: {place}", panel["title"]);
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{panel}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "route"]);
    let page = Page::read();
    // A route may have been watched or gone back on by this program, and released by another.
    let query = r#"label_values({__name__=~"tidegate_(rollout|watch|rollback)_state"}, route)"#;
    assert_eq!(variables[1]["query"]["query"], query);
    assert_eq!(variables[1]["definition"], query);
    for name in ["tidegate_rollout_state", "tidegate_watch_state", "tidegate_rollback_state"] {
        assert!(page.metrics[name].labels.contains("route"), "{name}");
    }
}

#[test]
fn selectors_and_groups_of_an_expression_are_found() {
    let expression =
        r#"sum by (le, state) (rate(tidegate_a_bucket{route=~"$route", state!="b"}[5m])) / tidegate_c"#;
    assert_eq!(selected(expression), [("tidegate_a_bucket", vec!["route", "state"]), ("tidegate_c", vec![])]);
    assert_eq!(grouped(expression), BTreeSet::from(["le", "state"]));
}
