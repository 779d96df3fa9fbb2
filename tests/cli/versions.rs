//! What is done: versions published, found, moved to and delivered.

use std::{fs, process::Stdio};

use serde_json::{Value, json};

use super::desk::{Desk, Run, files};

#[test]
fn a_version_goes_out_and_comes_back() {
    let desk = Desk::new();
    desk.write("card.toml", b"description = 'labels messages'\ntags = ['nlp']\n[metrics]\naccuracy = 0.93\n");
    let said = desk.run(&["publish", "m@1.0.0", "model", "--card", "card.toml", "--tag", "demo"]).is(0);
    assert!(said.out.starts_with("published m@1.0.0: 2 files, "), "{said:?}");
    assert_eq!(said.err, "", "no bar and no log where there is no terminal");

    desk.run(&["pull", "m@latest", "out"]).is(0);
    assert_eq!(fs::read(desk.path("out/weights.bin")).unwrap(), vec![7; 100_000]);
    assert_eq!(fs::read(desk.path("out/config/labels.txt")).unwrap(), b"billing\nshipping\n");
    assert_eq!(files(&desk.path("out")).len(), 2, "nothing but the files of the version");

    desk.run(&["verify", "m@^1"]).is(0);
    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    for word in ["labels messages", "demo nlp", "accuracy = 0.93", "by alice", "config/labels.txt", "sha256:"]
    {
        assert!(shown.contains(word), "{word:?} is missing: {shown}");
    }
    assert!(desk.run(&["list"]).is(0).out.contains('m'));
    assert!(desk.run(&["list", "m"]).is(0).out.contains("1.0.0"));
}

#[test]
fn machines_get_one_document() {
    let desk = Desk::published();
    let listed = desk.json(&["list"]);
    assert_eq!(
        listed,
        json!({ "models": [{ "name": "m", "versions": 1, "latest": "1.0.0", "channels": {} }] })
    );
    let versions = desk.json(&["list", "m"]);
    assert_eq!(versions["versions"][0]["version"], "1.0.0");
    assert_eq!(versions["versions"][0]["stamp"]["by"], "alice");
    let shown = desk.json(&["show", "m@1.0.0"]);
    assert_eq!(shown["manifest"]["model"], "m@1.0.0");
    assert_eq!(shown["manifest"]["files"][1]["size"], 100_000);
    assert_eq!(desk.json(&["verify", "m@1.0.0"])["verified"], true);
    assert_eq!(desk.json(&["pull", "m@1.0.0", "out"])["model"], "m@1.0.0");

    let before = desk.run(&["--json", "list"]).is(0);
    assert_eq!(serde_json::from_str::<Value>(&before.out).unwrap(), listed);
}

#[test]
fn the_same_again_changes_nothing() {
    let desk = Desk::published();
    let before = desk.stored();
    let said = desk.run(&["publish", "m@1.0.0", "model", "--by", "bob"]).is(0);
    assert!(said.out.starts_with("unchanged"), "{said:?}");
    assert!(said.out.contains("by alice"), "{said:?}");
    assert_eq!(desk.json(&["publish", "m@1.0.0", "model"])["published"], false);
    assert_eq!(desk.stored(), before);
}

#[test]
fn a_registry_can_be_named_in_several_ways() {
    let desk = Desk::published();
    let path = desk.path("registry");
    let url = format!("file://{}", path.display());
    for registry in [path.to_str().unwrap(), &url, "registry"] {
        let run = Run::of(
            &desk
                .command(&["list", "m", "--registry", registry])
                .env_remove("TIDEGATE_REGISTRY")
                .output()
                .unwrap(),
        );
        assert!(run.is(0).out.contains("1.0.0"));
    }
    desk.run(&["list", "--registry", "ftp://bucket"]).is(2).says(&["ftp://bucket", "file://"]);
    desk.run(&["list", "--registry", "model/weights.bin"]).is(2).says(&["weights.bin", "directory"]);

    let home = Run::of(
        &desk
            .command(&["list"])
            .env_remove("TIDEGATE_REGISTRY")
            .env("HOME", desk.root.path())
            .env("XDG_DATA_HOME", desk.path("share"))
            .output()
            .unwrap(),
    );
    home.is(4).says(&["no registry in"]);
    assert!(!desk.path("share").exists());
}

#[test]
fn a_promotion_holds_its_expectation() {
    let desk = Desk::published();
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model"]).is(0);
    let promote =
        |model, expect| desk.run(&["promote", model, "--channel", "production", "--expect", expect]);

    promote("m@1.0.0", "m@1.1.0").is(1).says(&["production of m is at none", "not at 1.1.0"]);
    promote("m@1.0.0", "none").is(0);
    promote("m@1.1.0", "none").is(1).says(&["is at 1.0.0", "not at none"]);
    promote("m@1.1.0", "other@1.0.0").is(2).says(&["other@1.0.0"]);
    promote("m@1.1.0", "1.0.0").is(2).says(&["`1.0.0`", "NAME@VERSION"]);
    promote("m@3.0.0", "m@1.0.0").is(1).says(&["m@3.0.0", "1.1.0"]);
    assert_eq!(desk.json(&["show", "m:production"])["manifest"]["model"], "m@1.0.0");

    let said = promote("m@1.1.0", "m@1.0.0").is(0);
    assert!(said.out.contains("from m@1.0.0 to m@1.1.0"), "{said:?}");
    let again = desk.json(&["promote", "m@1.1.0", "--channel", "production"]);
    assert_eq!(again["changed"], false);

    let history = desk.json(&["history", "m", "--channel", "production"]);
    let moves: Vec<_> =
        history["moves"].as_array().unwrap().iter().map(|made| (&made["from"], &made["to"])).collect();
    let (none, old, new) = (json!(null), json!("m@1.0.0"), json!("m@1.1.0"));
    assert_eq!(moves, [(&old, &new), (&none, &old)]);
    assert!(desk.run(&["history", "m", "--channel", "production"]).is(0).out.contains("alice"));
    assert!(desk.run(&["history", "m", "--channel", "staging"]).is(0).out.contains("points nowhere"));
    assert_eq!(desk.json(&["list"])["models"][0]["channels"], json!({ "production": "m@1.1.0" }));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let desk = Desk::published();
    let mut child =
        desk.command(&["show", "m@1.0.0"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::of(&child.wait_with_output().unwrap()).is(0);
    assert_eq!(run.err, "");
}

#[test]
fn help_explains_the_exit_status() {
    let help = Desk::new().run(&["--help"]).is(0).out;
    for word in ["Exit status", "inconclusive", "TIDEGATE_REGISTRY", "--json", "Selectors"] {
        assert!(help.contains(word), "{word:?} is missing: {help}");
    }
}
