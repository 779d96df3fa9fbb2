//! What the libraries tell of their own work is what the page "Observability" of the book says, and what the dashboard of
//! Grafana in `examples/grafana` asks for.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod everything;
mod grafana;
mod live;
mod page;
mod parents;
#[path = "../ports/mod.rs"]
mod ports;
mod recording;
#[path = "../../canary/tests/stage/mod.rs"]
mod stage;
mod stopping;
#[path = "../../rollback/tests/ward/mod.rs"]
mod ward;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tidegate::canary::Timing;

use self::{everything::everything, page::Page, recording::Series};

fn names<T>(all: &BTreeMap<String, T>) -> BTreeSet<String> {
    all.keys().cloned().collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn spans_have_the_names_levels_and_fields_of_the_page() {
    let (told, page) = (everything(), Page::read());
    assert_eq!(names(&told.spans), names(&page.spans), "what is emitted, and what the page says");
    for (name, span) in &page.spans {
        let emitted = &told.spans[name];
        assert_eq!((emitted.level.as_str(), &emitted.fields), (span.level.as_str(), &span.fields), "{name}");
        assert!(emitted.target.starts_with("tidegate_"), "{name}: {}", emitted.target);
        // Nothing here fails in every way.
        let never: Vec<_> =
            span.fields.difference(&emitted.recorded).filter(|field| *field != "error.message").collect();
        assert!(never.is_empty(), "{name} never has {never:?}");
    }
}

#[test]
fn metrics_have_the_names_types_and_labels_of_the_page() {
    let (told, page) = (everything(), Page::read());
    assert_eq!(names(&told.metrics), names(&page.metrics), "what is emitted, and what the page says");
    for (name, metric) in &page.metrics {
        let emitted = &told.metrics[name];
        assert_eq!((&emitted.kind, &emitted.labels), (&metric.kind, &metric.labels), "{name}");
        assert!(emitted.described, "{name} has no description");
        for label in ["operation", "outcome", "direction", "target", "verdict"] {
            let unsaid: Vec<_> = emitted.values(label).filter(|value| !page.says(name, value)).collect();
            assert!(unsaid.is_empty(), "{name}: {label} is {unsaid:?}, which the page does not say");
        }
        let unit = if name.ends_with("_total") || name.ends_with("_state") || name.ends_with("_ratio") {
            "none"
        } else {
            "seconds"
        };
        assert!(unit == "none" || name.ends_with("_seconds"), "{name} has no unit");
    }
}

/// Labels of metrics are for ever: each value of one is a series.
#[test]
fn no_label_has_a_version_a_digest_a_prompt_or_a_person() {
    for Series { name, labels, .. } in &everything().series {
        for (label, value) in labels {
            for unbounded in ["1.0.0", "1.1.0", "sha256", "capital of France", "ada", "http:", "secret"] {
                assert!(!value.contains(unbounded), "{name}: {label} is {value}");
            }
        }
    }
}

#[test]
fn every_warning_and_error_is_on_the_page() {
    let mut said = Page::read().events;
    for crate_name in ["registry", "metrics", "validation", "canary", "rollback"] {
        for path in sources(&root().join(crate_name).join("src")) {
            for (level, message) in events(&fs::read_to_string(&path).unwrap()) {
                let event = (crate_name.to_owned(), level.to_owned(), message.clone());
                assert!(Page::read().events.contains(&event), "{}: {message:?} is not on it", path.display());
                said.remove(&event);
            }
        }
    }
    assert!(said.is_empty(), "nothing says {said:?} any more");
}

fn sources(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(directories.iter().flat_map(|directory| sources(directory))).collect()
}

/// The level and the message of each warning and error in a source: the first text of its call.
fn events(source: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for level in ["warn", "error"] {
        for (at, call) in source.match_indices(&format!("tracing::{level}!(")) {
            let text = &source[at + call.len()..];
            let message = text.split('"').nth(1).unwrap();
            found.push((level, message.to_owned()));
        }
    }
    found
}

#[test]
fn what_a_driver_tells_of_a_rollout_is_what_happened() {
    let told = everything();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let found = told.series.iter().find(|series| series.is(name, labels));
        found.unwrap_or_else(|| panic!("{name} {labels:?}")).value
    };
    let route = ("route", "serving/fraud");
    // Two were promoted and one was not, each in a world of its own; the last one came to a gate.
    assert_eq!(value("tidegate_rollout_ends_total", &[route, ("state", "promoted")]), 2.0);
    assert_eq!(value("tidegate_rollout_ends_total", &[route, ("state", "rolledBack")]), 1.0);
    assert_eq!(value("tidegate_rollout_state_seconds_count", &[route, ("state", "retreat")]), 1.0);
    assert_eq!(value("tidegate_rollout_state_seconds_count", &[route, ("state", "bake")]), 2.0);
    let baked = 2.0 * Timing::default().bake.as_secs_f64();
    assert!(value("tidegate_rollout_state_seconds_sum", &[route, ("state", "bake")]) >= baked);
    assert_eq!(value("tidegate_rollout_state", &[route, ("state", "bake")]), 0.0);
    assert_eq!(value("tidegate_rollout_candidate_weight_ratio", &[route]), 0.0);
    assert_eq!(value("tidegate_watch_alarms_total", &[route]), 1.0);
    assert_eq!(value("tidegate_watch_state", &[route, ("state", "returned")]), 1.0);
    assert_eq!(value("tidegate_watch_state", &[route, ("state", "blind")]), 0.0);
    assert_eq!(value("tidegate_rollback_ends_total", &[route, ("outcome", "proven")]), 1.0);
    assert_eq!(value("tidegate_rollback_recovery_seconds_count", &[route]), 1.0);
    assert_eq!(value("tidegate_agent_retries_total", &[]), 1.0);
    assert_eq!(value("tidegate_registry_commit_conflicts_total", &[]), 1.0);
    let [input, output] = ["input", "output"]
        .map(|direction| value("tidegate_agent_tokens_total", &[("direction", direction)]));
    assert_eq!((input, output), (3.0 * 11.0, 3.0 * 2.0));
}
