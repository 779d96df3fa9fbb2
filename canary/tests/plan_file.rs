//! Plans as people write them, and the schema that their editors check them with.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::error::Error as _;

use serde_json::{Value, json};
use tidegate_canary::{
    AtHorizon, Calendar, Exception, Finish, Gate, InvalidPlan, Key, OnDrift, Plan, PlanSpec, Release, Slot,
    metrics::{
        Bound, Boundary, BurnRate, Comparison, Criterion, Limit, MeanComparison, Metric, RankComparison,
        Readings, Rule, ScoreComparison, Statistic,
    },
    plan_file::{self, Format, InvalidPlanFile, PlanFile, Wanted},
};
use tidegate_registry::Digest;

const YAML: &str = "\
route: serving/fraud
candidate: fraud@^1.2
steps:
  - { weight: 10%, soak: 5m, minTrials: 100 }
  - weight: 50%
    require: pass
    gates: [approval, check: smoke, window: { cron: '0 8 * * MON-FRI Europe/Berlin', lasts: 8h }]
  - { weight: 100%, soak: 10m }
criteria:
  - metric: errors
    rule: { compare: {} }
  - metric: errors
    rule: { limit: { statistic: share, bound: { atMost: 0.05 } } }
bakeCriteria:
  - metric: errors
    rule: { limit: { statistic: share, bound: { atMost: 0.15 } } }
freeze:
  - { from: 2026-12-20T00:00:00Z, until: 2027-01-02T08:00:00Z }
timing: { bake: 15m, window: 30s }
";

const TOML: &str = r#"
route = "serving/fraud"
candidate = "fraud@^1.2"
freeze = [{ from = 2026-12-20T00:00:00Z, until = 2027-01-02T08:00:00Z }]
timing = { bake = "15m", window = "30s" }

[[steps]]
weight = "10%"
soak = "5m"
minTrials = 100

[[steps]]
weight = "50%"
require = "pass"
gates = ["approval", { check = "smoke" }, { window = { cron = "0 8 * * MON-FRI Europe/Berlin", lasts = "8h" } }]

[[steps]]
weight = "100%"
soak = "10m"

[[criteria]]
metric = "errors"
rule.compare = {}

[[criteria]]
metric = "errors"
rule.limit = { statistic = "share", bound.atMost = 0.05 }

[[bakeCriteria]]
metric = "errors"
rule.limit = { statistic = "share", bound.atMost = 0.15 }
"#;

fn release(model: &str) -> Release {
    Release { model: model.parse().unwrap(), digest: Digest::of(model) }
}

fn sides() -> (Release, Release) {
    (release("fraud@1.0.0"), release("fraud@1.2.3"))
}

fn strategies() -> Vec<PlanSpec> {
    let (stable, candidate) = sides();
    let route = || "serving/fraud".parse().unwrap();
    let user = Key::Cookie("user".to_owned());
    let (s, c) = (|| stable.clone(), || candidate.clone());
    vec![
        PlanSpec::canary(route(), s(), c()),
        PlanSpec::blue_green(route(), s(), c()),
        PlanSpec::ab_test(route(), s(), c(), user),
        PlanSpec::shadow(route(), s(), c()),
        PlanSpec::all_at_once(route(), s(), c(), "the old one leaks"),
    ]
}

/// One that says everything that can be said.
fn full() -> PlanSpec {
    let mut spec = strategies().remove(0);
    let header = Key::Header("x-tester".to_owned());
    spec.baseline = true;
    spec.exceptions = vec![Exception { key: header.clone(), value: "yes".to_owned(), to: Slot::Candidate }];
    spec.sticky = Some(header);
    spec.at_horizon = AtHorizon::Promote;
    spec.on_drift = OnDrift::Pause;
    spec.finish = Finish::Promote;
    spec.unproven = Some("it is a test".to_owned());
    let weekend =
        Calendar::cron("0 16 * * FRI Europe/Berlin", std::time::Duration::from_secs(64 * 3600)).unwrap();
    spec.freeze = vec![weekend.clone()];
    spec.steps[1].gates = vec![Gate::Approval, Gate::Check("smoke".to_owned()), Gate::Window(weekend)];
    let rank = RankComparison { looks: 4, boundary: Boundary::Pocock, ..RankComparison::default() };
    spec.criteria = [
        Rule::BurnRate(BurnRate::fast(0.99)),
        Rule::Compare(Comparison::default()),
        Rule::CompareMeans(MeanComparison::default()),
        Rule::CompareRanks(rank),
        Rule::CompareScores(ScoreComparison::default()),
        Rule::Limit(Limit::new(Statistic::Quantile(0.95), Bound::AtLeast(5.0))),
        Rule::Readings(Readings::new(Bound::AtMost(3.0))),
    ]
    .map(|rule| Criterion::new(Metric::errors(), rule))
    .to_vec();
    spec
}

fn read(text: &str) -> Result<PlanFile, InvalidPlanFile> {
    PlanFile::read(text, Format::Yaml)
}

fn refused(from: &str, to: &str) -> String {
    let text = YAML.replacen(from, to, 1);
    assert_ne!(text, YAML, "{from}");
    let error = read(&text).unwrap_err();
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn the_same_plan_in_three_formats_is_the_same() {
    let (stable, candidate) = sides();
    let pinned = |file: PlanFile| file.pin(stable.clone(), candidate.clone()).unwrap();
    let yaml = read(YAML).unwrap();
    assert_eq!(yaml.stable(), None);
    assert!(matches!(yaml.candidate(), Wanted::Selected(selector) if selector.to_string() == "fraud@^1.2"));
    let plan = pinned(yaml);
    assert_eq!((plan.steps[1].gates.len(), plan.freeze.len()), (3, 1));
    assert_eq!(pinned(PlanFile::read(TOML, Format::Toml).unwrap()), plan);
    let json = serde_json::to_string(&plan).unwrap();
    let file = PlanFile::read(&json, Format::Json).unwrap();
    assert_eq!(file.candidate(), &Wanted::Pinned(candidate.clone()));
    assert_eq!(pinned(file), plan);
}

#[test]
fn what_is_written_by_the_strategies_is_read_again() {
    for spec in strategies().into_iter().chain([full()]) {
        let plan: Plan = spec.build().unwrap();
        let file = PlanFile::read(&serde_json::to_string(&plan).unwrap(), Format::Json).unwrap();
        assert_eq!(file, PlanFile::from(plan.clone()));
        let (stable, candidate) = (plan.stable.clone(), plan.candidate.clone());
        assert_eq!(file.pin(stable, candidate).unwrap(), plan);
    }
}

#[test]
fn each_flaw_is_said_with_its_path() {
    for (from, to, words) in [
        ("candidate:", "candidat:", &["`candidat`", "did you mean `candidate`?"][..]),
        ("candidate: fraud@^1.2", "onDrift: pause", &["`candidate`", "missing"]),
        ("candidate: fraud@^1.2", "candidate: fraud", &["`candidate`", "NAME@"]),
        ("candidate: fraud@^1.2", "candidate: { model: fraud@1.0.0 }", &["`candidate`", "digest"]),
        ("minTrials", "minTrails", &["`steps[0].minTrails`", "did you mean `minTrials`?"]),
        ("weight: 50%", "weight: 150%", &["`steps[1].weight`", "weight `150%`", "0% to 100%"]),
        ("weight: 50%", "weight: -5%", &["`steps[1].weight`"]),
        ("weight: 50%", "weight: 50", &["`steps[1].weight`", "integer `50`", "string"]),
        ("soak: 5m", "soak: 5 parsecs", &["`steps[0].soak`"]),
        ("require: pass", "require: passed", &["`steps[1].require`", "did you mean `pass`?"]),
        ("check: smoke", "checks: smoke", &["`steps[1].gates[1]`", "did you mean `check`?"]),
        ("MON-FRI Europe", "MON-FRI Utopia", &["`steps[1].gates[2].window`", "time zone"]),
        ("{ compare: {} }", "{ compare: { alpa: 0.1 } }", &["`criteria[0].rule.compare.alpa`", "`alpha`"]),
        ("atMost: 0.05", "atMost: five", &["`criteria[1].rule.limit.bound.atMost`"]),
        ("window: 30s", "widow: 30s", &["`timing.widow`", "did you mean `window`?"]),
        // The fields are right, one by one.
        ("weight: 50%", "weight: 5%", &["does not hold up", "steps[1]", "increase"]),
        ("weight: 100%", "weight: 90%", &["does not hold up", "100%"]),
        ("{ compare: {} }", "{ compare: { alpha: 2 } }", &["does not hold up", "criteria[0]"]),
        ("candidate: fraud@^1.2", "candidate: spam@1.0.0\nstable: fraud@1.0.0", &["different models"]),
    ] {
        let said = refused(from, to);
        assert!(words.iter().all(|word| said.contains(word)), "{to}: {said}");
    }
    let same = read(YAML).unwrap().pin(release("fraud@1.0.0"), release("fraud@1.0.0"));
    assert_eq!(same, Err(InvalidPlan::SameVersion));
}

#[test]
fn rubbish_is_refused_within_bounds() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        text + &format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9))
    });
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let long = format!("route: {}", "x".repeat(PlanFile::LONGEST));
    for (text, format) in [
        (bomb.as_str(), Format::Yaml),
        (&deep("[", "]"), Format::Yaml),
        (&format!("route: {}", deep("[", "]")), Format::Yaml),
        (&deep("- ", ""), Format::Yaml),
        (&deep("[", "]"), Format::Json),
        (&deep("{\"a\":", "}"), Format::Json),
        (&format!("a = {}", deep("[", "]")), Format::Toml),
        (&long, Format::Yaml),
        ("", Format::Yaml),
        ("", Format::Json),
        ("null", Format::Json),
        ("[]", Format::Yaml),
        ("a: 1\n---\nb: 2", Format::Yaml),
        ("route: x\nroute: y", Format::Yaml),
        ("route = 1\nroute = 2", Format::Toml),
        ("\u{0}", Format::Toml),
        ("<<: *x", Format::Yaml),
        ("!!binary: AAAA", Format::Yaml),
    ] {
        let error = PlanFile::read(text, format).unwrap_err();
        let InvalidPlanFile::Unreadable { why, .. } = &error else { panic!("{error}") };
        assert!(why.len() < 500, "{why}");
    }
    // Anchors are for people who repeat themselves.
    let repeats = YAML.replace("soak: 5m", "soak: &long 5m").replace("soak: 10m", "soak: *long");
    assert_eq!(read(&repeats).unwrap().spec().steps[2].soak.as_secs(), 300);
    let toml = PlanFile::read("route = \"x\"\nsteps = [\n  oops\n]", Format::Toml).unwrap_err().to_string();
    assert!(toml.contains("line 3"), "{toml}");
}

/// What a checker with the schema says.
fn checked(plan: &Value) -> bool {
    let schema = plan_file::schema();
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    validator.is_valid(plan)
}

#[test]
fn the_schema_accepts_every_strategy() {
    jsonschema::meta::validate(&plan_file::schema()).unwrap();
    for spec in strategies().into_iter().chain([full()]) {
        let plan = serde_json::to_value(&spec).unwrap();
        assert!(checked(&plan), "{plan:#}");
    }
    let file: toml::Table = toml::from_str(&TOML.replace("freeze", "#")).unwrap();
    assert!(checked(&serde_json::to_value(file).unwrap()));
}

#[test]
fn the_schema_refuses_typos_and_what_is_out_of_bounds() {
    let good = serde_json::to_value(full()).unwrap();
    assert!(checked(&good));
    let bad = |pointer: &str, value: Value| {
        let mut plan = good.clone();
        *plan.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        assert!(!checked(&plan), "{pointer}: {value}");
        // Whatever the schema refuses, so does the program.
        assert!(PlanFile::read(&plan.to_string(), Format::Json).is_err(), "{pointer}: {value}");
    };
    bad("/steps/0/weight", json!("-10%"));
    bad("/steps/0/weight", json!("101%"));
    bad("/steps/0/weight", json!(10));
    bad("/steps/0/soak", json!("5 parsecs"));
    bad("/steps/0/minTrials", json!(-1));
    bad("/steps/0/require", json!("passed"));
    bad("/steps/1/gates/0", json!("approve"));
    bad("/steps/1/gates/2/window", json!({ "cron": "* * * * * UTC" }));
    bad("/criteria/1/rule/compare/alpha", json!(1.5));
    bad("/criteria/1/rule", json!({ "limits": {} }));
    bad("/candidate/digest", json!("sha256:123"));
    bad("/candidate", json!("fraud"));
    bad("/candidate/model", json!("fraud@1.2"));
    bad("/route", json!(""));
    bad("/channel", json!("Production!"));
    bad("/timing/window", json!(30));
    let mut typo = good.clone();
    typo["stepps"] = json!([]);
    assert!(!checked(&typo));
    let mut typo = good;
    typo["steps"][0]["wieght"] = json!("10%");
    assert!(!checked(&typo));
}

#[test]
fn the_schema_explains_every_field_without_links_of_rust() {
    let schema = plan_file::schema();
    let mut required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    required.sort_unstable();
    assert_eq!(required, ["candidate", "criteria", "route", "steps"]);
    let fields = schema["properties"].as_object().unwrap();
    assert!(fields.values().all(|field| field["description"].is_string()), "{fields:#?}");
    let text = schema.to_string();
    assert!(!text.contains("[`") && !text.contains("crate::"), "{schema:#}");
    let steps = schema["$defs"]["Step"]["properties"].as_object().unwrap();
    assert!(steps.contains_key("minTrials"), "{steps:#?}");
}
