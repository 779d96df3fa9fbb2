//! Versions that are taken back: yanked, quarantined, deleted, expired.

use serde_json::{Value, json};

use super::desk::Desk;

fn publish(desk: &Desk, version: &str) {
    desk.write("model/weights.bin", version.as_bytes());
    desk.run(&["publish", &format!("m@{version}"), "model"]).is(0);
}

/// With 1.0.0 and 1.1.0, the second of which is in staging.
fn desk() -> Desk {
    let desk = Desk::published();
    publish(&desk, "1.1.0");
    desk.run(&["promote", "m@1.1.0", "--channel", "staging"]).is(0);
    desk
}

fn latest(desk: &Desk) -> Value {
    desk.json(&["show", "m@latest"])["manifest"]["model"].clone()
}

#[test]
fn a_yanked_version_is_passed_over_and_can_be_pulled() {
    let desk = desk();
    let said = desk.run(&["yank", "m@1.1.0", "--reason", "overfitted"]).is(0);
    assert!(said.out.starts_with("m@1.1.0 is yanked: overfitted\n"), "{said:?}");
    assert!(said.out.contains("still pointing to it: staging of m"), "{said:?}");
    let again = desk.run(&["yank", "m@1.1.0", "--reason", "other", "--by", "bob"]).is(0);
    assert!(again.out.starts_with("unchanged: m@1.1.0 is yanked since "), "{again:?}");
    assert!(again.out.contains("by alice: overfitted"), "{again:?}");

    assert_eq!(latest(&desk), "m@1.0.0");
    desk.run(&["pull", "m@1.1.0", "out"]).is(0);
    let shown = desk.run(&["show", "m@1.1.0"]).is(0).out;
    assert!(
        shown.lines().any(|line| line.starts_with("YANKED ") && line.contains("overfitted, ")),
        "{shown}"
    );
    assert_eq!(desk.json(&["show", "m:staging"])["yanked"]["reason"], "overfitted");
    assert!(desk.run(&["list", "m"]).is(0).out.contains("yanked"));
    desk.run(&["show", "m@^1.1"]).is(1).says(&["1.1.0 (yanked)"]);

    let back = desk.json(&["unyank", "m@1.1.0", "--reason", "it is not"]);
    assert_eq!((&back["changed"], &back["yanked"]), (&json!(true), &json!(null)));
    assert_eq!(desk.json(&["unyank", "m@1.1.0", "--reason", "it is not"])["changed"], false);
    assert_eq!(latest(&desk), "m@1.1.0");
}

#[test]
fn content_in_quarantine_is_that_under_any_number() {
    let desk = desk();
    desk.run(&["publish", "m@1.2.0", "model"]).is(0);
    let said = desk.json(&["quarantine", "m@1.1.0", "--reason", "leaked"]);
    assert_eq!((&said["changed"], &said["channels"]), (&json!(true), &json!(["staging"])));
    assert_eq!(said["quarantined"]["reason"], "leaked");
    let shown = desk.run(&["show", "m@1.2.0"]).is(0).out;
    assert!(shown.lines().any(|line| line.starts_with("QUARANTINED ") && line.contains("leaked")), "{shown}");
    desk.run(&["promote", "m@1.2.0", "--channel", "production"]).is(1).says(&["in quarantine: leaked"]);
    assert_eq!(latest(&desk), "m@1.0.0");

    let lifted = desk.run(&["lift", "m@1.2.0", "--reason", "looked into"]).is(0);
    assert_eq!(lifted.out, "m@1.2.0 is not quarantined any more\n");
    desk.run(&["promote", "m@1.1.0", "--channel", "production"]).is(0);
}

#[test]
fn a_deleted_version_is_gone_for_good() {
    let desk = desk();
    desk.run(&["delete", "m@1.1.0", "--reason", "x"]).is(1).says(&["staging", "demote it first"]);
    let said = desk.run(&["delete", "m@1.0.0", "--reason", "never used"]).is(0);
    for word in ["deleted m@1.0.0", "never used again", "tidegate gc m", "7 days"] {
        assert!(said.out.contains(word), "{word:?} is missing: {said:?}");
    }
    for command in ["show", "verify", "bom", "approve"] {
        desk.run(&[command, "m@1.0.0"]).is(1).says(&["m@1.0.0", "deleted it: never used"]);
    }
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["deleted it: never used"]);
    desk.run(&["delete", "m@1.0.0", "--reason", "again"]).is(1).says(&["deleted it: never used"]);
    desk.run(&["publish", "m@1.0.0", "model"]).is(2).says(&["not used again"]);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_there_cannot_be_taken_back() {
    let desk = desk();
    let before = desk.stored();
    for command in ["yank", "unyank", "quarantine", "lift", "delete"] {
        let run = |model: &str| desk.run(&[command, model, "--reason", "x"]);
        run("m@9.0.0").is(1).says(&["m@9.0.0", "1.1.0"]);
        run("m@1.1.0+build").is(1).says(&["m@1.1.0+build"]);
        run("n@1.0.0").is(1).says(&["model n"]);
        run("m@latest").is(2).says(&["`latest`", "semantic version"]);
        run("m").is(2).says(&["NAME@VERSION"]);
        desk.run(&[command, "m@1.0.0"]).is(2).says(&["--reason <TEXT>"]);
        desk.run(&[command, "m@1.0.0", "--reason", ""]).is(2).says(&["say why"]);
        desk.run(&[command, "m@1.0.0", "--reason", &"x".repeat(1025)]).is(2).says(&["1024 bytes"]);
    }
    assert_eq!(desk.stored(), before);
}

#[test]
fn old_versions_expire_and_are_told_beforehand() {
    let desk = desk();
    for version in ["1.2.0", "1.3.0-rc.1", "1.3.0-rc.2"] {
        publish(&desk, version);
    }
    let expire = ["expire", "m", "--releases", "1", "--pre-releases", "1", "--within", "0s"];
    let rehearsal = [&expire[..], &["--dry-run"]].concat();
    let before = desk.stored();
    let said = desk.run(&rehearsal).is(0);
    assert_eq!(
        said.out,
        "m@1.3.0-rc.1\nm@1.0.0\nwould delete 2 versions; without --dry-run they are deleted\n"
    );
    let told = desk.json(&rehearsal);
    assert_eq!((&told["expired"], &told["deleted"]), (&json!(["m@1.3.0-rc.1", "m@1.0.0"]), &json!(false)));
    assert_eq!(desk.stored(), before);

    let said = desk.run(&expire).is(0);
    assert!(said.out.contains("deleted 2 versions\n") && said.out.contains("tidegate gc m"), "{said:?}");
    let left = desk.json(&["list", "m"])["versions"].clone();
    let left: Vec<_> = left.as_array().unwrap().iter().map(|there| there["version"].clone()).collect();
    assert_eq!(left, ["1.3.0-rc.2", "1.2.0", "1.1.0"], "1.1.0 is in staging");
    assert!(desk.run(&expire).is(0).out.contains("every version of m is kept"));
}

#[test]
fn nothing_expires_by_mistake() {
    let desk = desk();
    let before = desk.stored();
    desk.run(&["expire", "m"]).is(2).says(&["--releases", "--pre-releases", "--within"]);
    desk.run(&["expire", "m", "--releases", "1"]).is(2).says(&["--pre-releases", "--within"]);
    let expire = |releases, within| {
        desk.run(&["expire", "m", "--releases", releases, "--pre-releases", "0", "--within", within])
    };
    expire("few", "1d").is(2).says(&["whole number"]);
    expire("-1", "1d").is(2).says(&["whole number"]);
    expire("0", "long").is(2).says(&["90s"]);
    desk.run(&["expire", "n", "--releases", "0", "--pre-releases", "0", "--within", "0s"])
        .is(1)
        .says(&["model n"]);
    assert!(expire("0", "1000000d").is(0).out.contains("is kept"));
    assert_eq!(desk.stored(), before);
}
