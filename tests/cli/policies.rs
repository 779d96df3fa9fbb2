//! Policies: set, shown, checked, and kept.

use serde_json::json;

use super::desk::{Desk, Run};

const POLICY: &str = r#"
[[rules]]
approved = { by = 1 }
[[rules]]
attested = { predicate-type = "x:tests", result = "PASSED", within = "7d" }
[[rules]]
soaked = { channel = "staging", at-least = "1ns" }
"#;

fn set(desk: &Desk, text: &str) -> Run {
    desk.write("policy.toml", text.as_bytes());
    desk.run(&["policy", "set", "m", "--channel", "production", "policy.toml"])
}

#[test]
fn a_policy_is_set_shown_and_cleared() {
    let desk = Desk::published();
    let show = || desk.run(&["policy", "show", "m"]).is(0).out;
    assert!(show().contains("no channel of m has a policy"));
    assert!(
        set(&desk, POLICY)
            .is(0)
            .out
            .starts_with("set: production of m asks for 3 rules\n  approved by 1 person\n")
    );
    let before = desk.stored();
    assert!(set(&desk, POLICY).is(0).out.starts_with("unchanged"));
    assert_eq!(desk.stored(), before);
    for word in ["production:", "x:tests with the result PASSED, not older than 7days", "staging has pointed"]
    {
        assert!(show().contains(word), "{word:?} is missing: {}", show());
    }
    let document = desk.json(&["policy", "show", "m"])["policies"]["production"].clone();
    desk.write("again.json", document.to_string().as_bytes());
    let again = desk.json(&["policy", "set", "m", "--channel", "production", "again.json"]);
    assert_eq!(again["changed"], false, "what is shown can be set");

    let staging = desk.run(&["policy", "show", "m", "--channel", "staging"]).is(0).out;
    assert!(staging.contains("staging of m has no policy"), "{staging}");
    let clear = ["policy", "clear", "m", "--channel", "production"];
    assert_eq!(desk.json(&clear)["changed"], true);
    assert_eq!(desk.json(&clear)["changed"], false);
    assert_eq!(desk.json(&["policy", "show", "m"])["policies"], json!({}));
}

#[test]
fn each_rule_is_told_with_what_satisfies_it() {
    let desk = Desk::published();
    set(&desk, POLICY).is(0);
    let check = ["policy", "check", "m@1.0.0", "--channel", "production"];
    let run = desk.run(&check).is(1);
    assert_eq!(run.out.matches("unmet").count(), 3, "{run:?}");
    assert!(run.out.contains("to do: have it approved by 1 more of anybody but alice"), "{run:?}");
    assert!(run.out.ends_with("m@1.0.0 may not, for 3 reasons, be promoted to production\n"), "{run:?}");
    assert_eq!(run.err, "");

    desk.run(&["approve", "m@1.0.0", "--by", "bob"]).is(0);
    let found = desk.json(&check);
    let met: Vec<_> = found["rules"].as_array().unwrap().iter().map(|rule| rule["met"] == true).collect();
    assert_eq!((met, &found["allowed"]), (vec![true, false, false], &json!(false)));
    assert_eq!(found["rules"][1]["remedy"], "record a statement x:tests with the result PASSED");

    desk.write("said.json", br#"{"result": "PASSED"}"#);
    desk.run(&["attest", "m@1.0.0", "--type", "x:tests", "said.json"]).is(0);
    desk.run(&["promote", "m@1.0.0", "--channel", "staging"]).is(0);
    let run = desk.run(&check).is(0);
    assert!(run.out.ends_with("m@1.0.0 may be promoted to production\n"), "{run:?}");
    assert_eq!(run.out.lines().filter(|line| line.starts_with("met ")).count(), 3, "{run:?}");
    desk.run(&["promote", "m@1.0.0", "--channel", "production"]).is(0);
}

#[test]
fn a_refused_promotion_says_why_a_line_each() {
    let desk = Desk::published();
    set(&desk, POLICY).is(0);
    let promote = ["promote", "m@1.0.0", "--channel", "production"];
    let run = desk.run(&promote).is(1);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("  unmet: ")).count(), 3, "{run:?}");
    run.says(&["error: production may not point to m@1.0.0:\n", "\n    to do: have it approved by 1 more"]);
    let error = desk.json(&promote)["error"].clone();
    assert_eq!(error["kind"], "not-allowed");
    assert_eq!(error["unmet"][0]["rule"], json!({ "approved": { "by": 1 } }));
    assert_eq!(error["unmet"].as_array().unwrap().len(), 3);

    desk.run(&["publish", "m@1.1.0", "model", "--promote", "production"])
        .is(1)
        .says(&["unmet: nobody approved"]);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 1);
    assert_eq!(desk.json(&["list"])["models"][0]["channels"], json!({}));
}

#[test]
fn quarantine_needs_no_policy_and_moves_no_cursor() {
    let desk = Desk::published();
    desk.run(&["quarantine", "m@1.0.0", "--reason", "leaked\u{1b}[2J\ndata"]).is(0);
    let checked = desk.run(&["policy", "check", "m@1.0.0", "--channel", "production"]).is(1);
    assert!(checked.out.starts_with("unmet  not in quarantine\n"), "{checked:?}");
    let refused = desk.run(&["promote", "m@1.0.0", "--channel", "production"]).is(1);
    for text in [&checked.out, &refused.err] {
        assert!(text.contains("leaked [2J data") && !text.contains('\u{1b}'), "{text:?}");
    }
    desk.run(&["lift", "m@1.0.0", "--reason", "it was not"]).is(0);
    let checked = desk.run(&["policy", "check", "m@1.0.0", "--channel", "production"]).is(0);
    assert!(checked.out.contains("production has no policy"), "{checked:?}");
}

#[test]
fn what_is_no_policy_is_refused() {
    let desk = Desk::published();
    let before = desk.stored();
    set(&desk, "").is(2).says(&["`policy.toml`", "rules"]);
    set(&desk, "rules = 3").is(2).says(&["`policy.toml`", "rules = 3", "expected a sequence"]);
    set(&desk, "[[rules]]\nblessed = {}").is(2).says(&["blessed", "approved", "attested", "soaked"]);
    set(&desk, "[[rules]]\napproved = { by = 0 }").is(2).says(&["one approval at least"]);
    set(&desk, "[[rules]]\napproved = { by = -1 }").is(2).says(&["policy.toml"]);
    set(&desk, "[[rules]]\napproved = { by = 2, of = ['bob'] }").is(2).says(&["name more"]);
    set(&desk, "[[rules]]\napproved = { bye = 2 }").is(2).says(&["bye", "by, of"]);
    set(&desk, "[[rules]]\nsoaked = { channel = 'production', at-least = '1h' }").is(2).says(&["itself"]);
    set(&desk, "[[rules]]\nsoaked = { channel = 'staging', at-least = 'soon' }").is(2).says(&["soon"]);
    set(&desk, &"[[rules]]\napproved = { by = 1 }\n".repeat(65)).is(2).says(&["at most 64 rules"]);
    let run = |arguments: &[&str]| desk.run(&[&["policy"], arguments].concat());
    run(&["set", "m", "--channel", "production", "none.toml"]).is(2).says(&["none.toml"]);
    run(&["set", "m", "--channel", "P", "policy.toml"]).is(2).says(&["`P`"]);
    run(&["set", "m", "--channel", "production"]).is(2).says(&["<FILE>"]);
    run(&["set", "n", "--channel", "production", "policy.toml"]).is(2);
    run(&["clear", "n", "--channel", "production"]).is(1).says(&["model n"]);
    run(&["show", "n"]).is(1).says(&["model n"]);
    run(&["check", "m@2.0.0", "--channel", "production"]).is(1).says(&["m@2.0.0"]);
    run(&[]).is(2).says(&["show, set, clear, check"]);
    assert_eq!(desk.stored(), before);
}
