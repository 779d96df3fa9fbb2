//! Server-side apply, as far as objects of the tests need it: who owns which field, conflicts, force, and
//! fields that their only owner lets go. Lists of things with a `name` are merged by it; other lists are
//! atomic.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The thing of this name in a list.
    Item(String),
    Key(String),
}

type Path = Vec<Step>;

/// Who has set what. Managers of patches and of applies are not told apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(BTreeMap<String, BTreeSet<Path>>);

impl Owners {
    /// What `live` becomes when `manager` applies `wanted`, or the causes of a conflict.
    pub(crate) fn apply(
        &mut self,
        live: &Value,
        manager: &str,
        wanted: &Value,
        force: bool,
    ) -> Result<Value, Vec<Value>> {
        let mut leaves = Vec::new();
        collect(wanted, &mut Vec::new(), &mut leaves);
        leaves.retain(|(path, _)| !is_identity(path));
        let mut conflicts = Vec::new();
        for (path, value) in &leaves {
            let differs = get(live, path) != Some(value);
            let others = self.0.iter_mut().filter(|(other, owned)| *other != manager && owned.contains(path));
            for (other, owned) in others.filter(|_| differs) {
                if force {
                    owned.remove(path);
                }
                conflicts.push(json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with \"{other}\" using apps/v1"),
                    "field": show(path),
                }));
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        let mut merged = live.clone();
        let now: BTreeSet<Path> = leaves.iter().map(|(path, _)| path.clone()).collect();
        let before = self.0.insert(manager.to_owned(), now.clone()).unwrap_or_default();
        for dropped in before.difference(&now) {
            if !self.0.values().any(|owned| owned.contains(dropped)) {
                remove(&mut merged, dropped);
            }
        }
        for (path, value) in leaves {
            set(&mut merged, &path, value);
        }
        self.0.retain(|_, owned| !owned.is_empty());
        Ok(merged)
    }

    /// Whoever changed `before` into `after` owns what is different.
    pub(crate) fn change(&mut self, before: &Value, after: &Value, manager: &str) {
        let mut leaves = Vec::new();
        collect(after, &mut Vec::new(), &mut leaves);
        for (path, value) in leaves {
            if get(before, &path) != Some(&value) && !is_identity(&path) {
                self.0.values_mut().for_each(|owned| {
                    owned.remove(&path);
                });
                self.0.entry(manager.to_owned()).or_default().insert(path);
            }
        }
    }

    pub(crate) fn managed_fields(&self) -> Value {
        let entry = |(manager, owned): (&String, &BTreeSet<Path>)| {
            let mut fields = json!({});
            for path in owned {
                let leaf = path.iter().fold(&mut fields, |fields, step| match step {
                    Step::Item(name) => &mut fields[format!("k:{{\"name\":\"{name}\"}}")],
                    Step::Key(key) => &mut fields[format!("f:{key}")],
                });
                *leaf = json!({});
            }
            json!({"manager": manager, "operation": "Apply", "fieldsV1": fields})
        };
        self.0.iter().map(entry).collect()
    }
}

/// Whether this says which object it is, and nothing about it.
fn is_identity(path: &Path) -> bool {
    let names =
        ["name", "namespace", "uid", "resourceVersion", "generation", "managedFields", "creationTimestamp"];
    match path.as_slice() {
        [Step::Key(key)] => matches!(key.as_str(), "apiVersion" | "kind"),
        [Step::Key(metadata), Step::Key(key), ..] => metadata == "metadata" && names.contains(&key.as_str()),
        _ => false,
    }
}

fn named(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|item| item["name"].is_string())
}

fn collect(value: &Value, path: &mut Path, leaves: &mut Vec<(Path, Value)>) {
    let mut within = |step, value: &Value| {
        path.push(step);
        collect(value, path, leaves);
        path.pop();
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| within(Step::Key(key.clone()), value));
        }
        Value::Array(list) if named(list) => {
            list.iter().for_each(|item| within(Step::Item(item["name"].as_str().unwrap().to_owned()), item));
        }
        leaf => leaves.push((path.clone(), leaf.clone())),
    }
}

fn get<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(name) => value.as_array()?.iter().find(|item| item["name"] == **name),
    })
}

fn set(value: &mut Value, path: &[Step], leaf: Value) {
    let mut value = value;
    for step in path {
        value = match step {
            Step::Key(key) => &mut value[key],
            Step::Item(name) => {
                if value.is_null() {
                    *value = json!([]);
                }
                let list = value.as_array_mut().unwrap();
                let index = list.iter().position(|item| item["name"] == **name).unwrap_or_else(|| {
                    list.push(json!({"name": name}));
                    list.len() - 1
                });
                &mut list[index]
            }
        };
    }
    *value = leaf;
}

fn remove(value: &mut Value, path: &[Step]) {
    match path {
        [Step::Key(key)] => drop(value.as_object_mut().and_then(|map| map.remove(key))),
        // The name of a thing in a list is the thing itself.
        [Step::Item(name), Step::Key(key)] if key == "name" => {
            value.as_array_mut().into_iter().for_each(|list| list.retain(|item| item["name"] != **name));
        }
        [Step::Key(key), rest @ ..] => value.get_mut(key).into_iter().for_each(|value| remove(value, rest)),
        [Step::Item(name), rest @ ..] => {
            let item =
                value.as_array_mut().and_then(|list| list.iter_mut().find(|item| item["name"] == **name));
            item.into_iter().for_each(|item| remove(item, rest));
        }
        [] => {}
    }
}

fn show(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => format!(".{key}"),
        Step::Item(name) => format!("[name=\"{name}\"]"),
    });
    steps.collect()
}
