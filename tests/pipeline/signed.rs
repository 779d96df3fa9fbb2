//! Versions that have to be signed before users meet them.

use serde_json::json;

use crate::workshop::Workshop;

/// Neither the plan nor the environment is there: who gets as far as to miss them was let to the users.
const STAGES: &str = r#"
[[signed]]
by = ["own.pub.pem"]
[environments.production]
file = "production.yaml"
[[stages]]
name = "publish"
publish = {}
[[stages]]
name = "canary"
rollout = { plan = "plan.yaml", environment = "production" }
"#;

/// With the keys `own` and `other`.
fn workshop(stages: &str) -> Workshop {
    let workshop = Workshop::new(stages);
    for name in ["own", "other"] {
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub.pem"));
        workshop.desk.run(&["key", "generate", &private, &public]).is(0);
    }
    workshop
}

/// Puts the policy in force that the release asks for.
fn set_policy(workshop: &Workshop) {
    let policy = workshop.run(&["--policy"]).is(0);
    workshop.desk.write("policy.toml", policy.out.as_bytes());
    workshop.desk.run(&["policy", "set", "m", "--channel", "production", "policy.toml"]).is(0);
}

#[test]
fn users_meet_no_version_that_none_of_the_keys_signed() {
    let workshop = workshop(STAGES);
    let (_, policy) = workshop.json(&["--policy"]);
    let key = workshop.read("own.pub.pem");
    assert_eq!(policy, json!({ "rules": [{ "signed": { "by": [key] } }] }));

    // The channel would take it from others, unsigned.
    let run = workshop.run(&[]).is(2);
    let missing = "the policy of m:production does not demand a signature by `own.pub.pem`; print one with --policy, and `tidegate policy set m --channel production` it";
    assert!(run.err.contains(missing), "{run:?}");
    set_policy(&workshop);

    let run = workshop.run(&[]).is(1);
    for said in [
        "none of the keys",
        "whoever has the private key of `own.pub.pem` runs `tidegate sign m@1.0.0 --key FILE`; then run this again",
    ] {
        assert!(run.err.contains(said), "{said:?} is missing: {run:?}");
    }
    let (_, told) = workshop.json(&[]);
    assert_eq!(told["error"]["kind"], "not-allowed", "{told}");

    workshop.desk.run(&["sign", "m@1.0.0", "--key", "other.pem"]).is(0);
    workshop.run(&[]).is(1);
    workshop.desk.run(&["sign", "m@1.0.0", "--key", "own.pem"]).is(0);
    let run = workshop.run(&[]).is(2);
    assert!(run.err.contains("plan.yaml"), "it is let to the users: {run:?}");
}

#[test]
fn the_stage_that_publishes_signs_as_it_has_to_be() {
    let workshop = workshop(&STAGES.replace("publish = {}", "publish = { key = \"own.pem\" }"));
    workshop.run(&[]).is(2);
    set_policy(&workshop);
    let run = workshop.run(&[]).is(2);
    assert!(run.err.contains("plan.yaml"), "it is let to the users: {run:?}");
}

#[test]
fn a_channel_that_takes_other_keys_as_well_demands_less() {
    let both = STAGES.replace("[\"own.pub.pem\"]", "[\"own.pub.pem\", \"other.pub.pem\"]");
    let workshop = workshop(&both);
    workshop.run(&[]).is(2);
    set_policy(&workshop);
    workshop.describe(STAGES);
    let run = workshop.run(&[]).is(2);
    assert!(run.err.contains("does not demand a signature by `own.pub.pem`"), "{run:?}");

    // Fewer keys than the release would take are more than it asks for.
    set_policy(&workshop);
    workshop.describe(&both);
    let run = workshop.run(&[]).is(1);
    assert!(run.err.contains("whoever has the private key of `own.pub.pem` runs"), "{run:?}");
}

#[test]
fn a_dry_run_says_which_signature_is_lacking() {
    let workshop = workshop(STAGES);
    let lacks = || workshop.json(&["--dry-run"]).1["stages"][1]["lacks"].to_string();
    let takes = workshop.json(&["--dry-run"]).1["stages"][1]["takes"].to_string();
    assert!(takes.contains("a signature of m@1.0.0 by `own.pub.pem`"), "{takes}");
    // Nobody can sign what is not published yet.
    assert!(!lacks().contains("signed"), "{}", lacks());

    workshop.run(&[]).is(2);
    let unsigned = "no key of `own.pub.pem` signed m@1.0.0; whoever has the private key";
    assert!(lacks().contains(unsigned), "{}", lacks());
    let (_, preview) = workshop.json(&["--dry-run"]);
    assert_eq!(preview["undemandedSignatures"], json!(["`own.pub.pem`"]), "{preview}");
    workshop.desk.run(&["sign", "m@1.0.0", "--key", "own.pem"]).is(0);
    assert!(!lacks().contains("signed"), "{}", lacks());
    set_policy(&workshop);
    assert_eq!(workshop.json(&["--dry-run"]).1["undemandedSignatures"], json!([]));

    workshop.describe(&STAGES.replace("own.pub.pem", "none.pub.pem"));
    assert!(lacks().contains("none.pub.pem"), "{}", lacks());
    let run = workshop.run(&["--policy"]).is(2);
    assert!(run.err.contains("none.pub.pem"), "{run:?}");
    workshop.describe(&STAGES.replace("own.pub.pem", "own.pem"));
    assert!(lacks().contains("this is the private key"), "{}", lacks());
}
