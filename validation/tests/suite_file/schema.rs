//! The JSON Schema of suite files against what is read.

use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::Validator;
use serde_json::{Map, Value};
use tidegate_validation::{Sources, Suite};

const EVERY: &str = include_str!("every.json");

fn validator() -> Validator {
    jsonschema::validator_for(&Suite::schema()).expect("the schema is one")
}

fn every() -> Value {
    serde_json::from_str(EVERY).unwrap()
}

/// Each suite that people are shown, and one that has everything.
fn suites() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &str| -> Value { toml::from_str(&fs::read_to_string(root.join(path)).unwrap()).unwrap() };
    let shown =
        ["src/suite/example.toml", "../examples/quickstart/suite.toml", "../examples/suites/support.toml"];
    let mut suites: Vec<_> = shown.map(|path| (path.to_owned(), read(path))).into();
    suites.push(("every.json".to_owned(), every()));
    suites
}

fn loads(value: &Value) -> Result<Suite, tidegate_validation::InvalidSuite> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/suites");
    Suite::from_value_with(value.clone(), &Sources::directory(directory))
}

#[test]
fn suites_that_are_read_are_valid_by_the_schema() {
    let validator = validator();
    for (name, suite) in suites() {
        loads(&suite).unwrap_or_else(|error| panic!("{name}: {error}"));
        let faults: Vec<_> = validator
            .iter_errors(&suite)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

/// Where names are free, so that there are no typos.
const FREE: [&str; 5] = ["metadata", "schema", "exceptions", "/expected/0/arguments", "$"];

/// Every suite that `suite` becomes if one of its names has a letter too many, and where that is.
fn misspelt(suite: &Value) -> Vec<(String, Value)> {
    fn places(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    found.push((at.to_owned(), name.clone()));
                    let below = format!("{at}/{name}");
                    if !FREE.iter().any(|free| below.ends_with(free)) {
                        places(inner, &below, found);
                    }
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, inner)| places(inner, &format!("{at}/{i}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    places(suite, "", &mut found);
    let misspell = |(at, name): (String, String)| {
        let mut wrong = suite.clone();
        let fields: &mut Map<String, Value> = wrong.pointer_mut(&at).unwrap().as_object_mut().unwrap();
        let value = fields.remove(&name).unwrap();
        fields.insert(format!("{name}q"), value);
        (format!("{at}/{name}"), wrong)
    };
    found.into_iter().map(misspell).collect()
}

/// A letter too many anywhere, in a check, an assertion inside of others, or a question: the schema refuses it, and
/// whoever reads it says where it is.
#[test]
fn a_typo_at_any_level_is_refused_and_named() {
    let validator = validator();
    let wrong = misspelt(&every());
    assert!(wrong.len() > 150, "only {} typos", wrong.len());
    for (at, suite) in wrong {
        assert!(!validator.is_valid(&suite), "the schema lets `{at}` pass with a letter too many");
        let error = loads(&suite).expect_err(&at);
        // As `checks[9].assert[0].of[0]`.
        let mut path = String::new();
        let (parent, name) = at.rsplit_once('/').unwrap();
        for part in parent.split('/').skip(1) {
            match part.parse::<usize>() {
                Ok(index) => path.push_str(&format!("[{index}]")),
                Err(_) if path.is_empty() => path.push_str(part),
                Err(_) => path.push_str(&format!(".{part}")),
            }
        }
        let told = error.to_string();
        assert!(error.path().starts_with(&path) || told.contains(&path), "{at}: {told}");
        let named = told.contains(&format!("{name}q")) || told.contains("missing") || told.contains(name);
        assert!(named, "{at}: {told}");
    }
}

/// A misspelt choice, such as a kind, is refused with the one that was meant.
#[test]
fn a_misspelt_choice_is_refused_and_the_right_one_suggested() {
    let validator = validator();
    for (at, wrong, right) in [
        ("/checks/0/kind", "anwsers", "answers"),
        ("/checks/0/matching", "contain", "contains"),
        ("/checks/0/rule", "pont", "point"),
        ("/checks/9/assert/0/kind", "al", "all"),
        ("/checks/9/assert/0/of/0/of/0/of/kind", "contians", "contains"),
        ("/checks/9/assert/0/of/0/of/0/of/require", "ayn", "any"),
        ("/checks/9/assert/15/order", "inorder", "in-order"),
        ("/checks/9/assert/15/arguments", "subst", "subset"),
        ("/checks/9/cases/0/assert/0/which", "onyl", "only"),
    ] {
        let mut suite = every();
        *suite.pointer_mut(at).unwrap() = wrong.into();
        assert!(!validator.is_valid(&suite), "the schema lets `{wrong}` pass at {at}");
        let error = loads(&suite).unwrap_err();
        assert_eq!(error.suggestion(), Some(right), "{at}: {error}");
    }
}

/// Each kind of check and of assertion is in the suite that has everything, and each field is described.
#[test]
fn every_kind_and_field_is_described() {
    fn kinds(schema: &Value) -> BTreeSet<String> {
        let of = schema["oneOf"].as_array().unwrap().iter();
        of.map(|kind| kind["properties"]["kind"]["const"].as_str().unwrap().to_owned()).collect()
    }
    fn used(value: &Value, name: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(kind) = fields.get("kind").and_then(Value::as_str) {
                    found.insert(format!("{name}{kind}"));
                }
                for (field, inner) in fields {
                    used(inner, if field == "checks" { "check " } else { "assertion " }, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|inner| used(inner, name, found)),
            _ => {}
        }
    }
    let schema = Suite::schema();
    let mut found = BTreeSet::new();
    used(&every(), "", &mut found);
    let checks = kinds(&schema["$defs"]["Check"]).into_iter().map(|kind| format!("check {kind}"));
    let assertions = kinds(&schema["$defs"]["WeightedAssertion"]).into_iter();
    let known: BTreeSet<_> = checks.chain(assertions.map(|kind| format!("assertion {kind}"))).collect();
    assert_eq!(found, known);
    let missing = Suite::from_value(serde_json::json!({ "checks": [{}] })).unwrap_err().to_string();
    let (_, read) = missing.split_once("write one of ").unwrap();
    assert_eq!(kinds(&schema["$defs"]["Check"]), read.split(", ").map(str::to_owned).collect());
    assert_eq!(kinds(&schema["$defs"]["Assertion"]), kinds(&schema["$defs"]["WeightedAssertion"]));

    fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                for (name, property) in
                    fields.get("properties").and_then(Value::as_object).into_iter().flatten()
                {
                    // What a choice with settings of its own is said about is said where it is chosen.
                    let choice = fields["properties"].as_object().is_some_and(|all| all.len() == 1);
                    let said = property.get("description").is_some()
                        || property.get("const").is_some()
                        || choice && fields.get("description").is_some();
                    if !said {
                        found.push(format!("{at}.{name}"));
                    }
                }
                for (name, inner) in fields {
                    if name != "default" {
                        undescribed(inner, &format!("{at}/{name}"), found);
                    }
                }
            }
            Value::Array(list) => {
                list.iter()
                    .enumerate()
                    .for_each(|(i, inner)| undescribed(inner, &format!("{at}/{i}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    let text = schema.to_string();
    assert!(!text.contains("crate::") && !text.contains("[`"), "links of rustdoc lead nowhere");
}
