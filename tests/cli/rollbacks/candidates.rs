//! `tidegate rollback candidates`: where it would go, and why not elsewhere.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate::{
    canary::State,
    registry::{Channel, Channels, Stamp},
};

use crate::rollouts::stage::{ROUTE, Stage};

/// 1.1.0 in production and settled, after 1.0.0 which never was.
pub(super) fn promoted() -> Stage {
    let stage = Stage::new();
    let (driven, _handle) = stage.drive("ci-1", stage.plan(|_| ()));
    assert_eq!(stage.end(driven), State::Promoted);
    stage
}

#[test]
fn it_says_where_it_would_go_and_why_not_to_the_others() {
    let stage = promoted();
    let candidates = |more: &[&str]| {
        stage.desk.run(&[&["rollback", "candidates", "fraud", "--route", ROUTE], more].concat())
    };
    candidates(&[]).is(1).says(&[
        "known to be good; name one by --to or --back:\n",
        "\n  not fraud@1.1.0: it is in service\n",
        "\n  not fraud@1.0.0: it never finished its bake\n",
    ]);
    let json = candidates(&["--json"]).is(1).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["error"]["kind"], "no-target");
    assert_eq!(
        json["error"]["passedOver"][1],
        json!({ "model": "fraud@1.0.0", "why": "never finished its bake" })
    );
    let found = candidates(&["--back", "1"]).is(0);
    assert_eq!(found.out.trim(), "fraud@1.1.0 → fraud@1.0.0");
    let json = stage.desk.json(&["rollback", "candidates", "fraud", "--route", ROUTE, "--to", "fraud@1.0.0"]);
    assert_eq!(
        json,
        json!({ "from": "fraud@1.1.0", "to": "fraud@1.0.0", "passedOver": [], "older": [], "returned": null, "unsure": null })
    );
    stage.desk.run(&["quarantine", "fraud@1.0.0", "--reason", "a backdoor"]).is(0);
    candidates(&["--back", "1"]).is(1).says(&["is in quarantine: a backdoor", "name another version"]);
    let listed = stage.desk.run(&["rollback", "quarantine", "fraud"]).is(0).out;
    assert!(listed.contains("a backdoor") && listed.contains(&stage.stable.digest.hex()[..12]), "{listed}");
    candidates(&["--back", "0"]).is(2);
    candidates(&["--back", "1", "--to", "fraud@1.0.0"]).is(2);
    // Typing errors are no stores that are away.
    candidates(&["--to", "other@1.0.0"]).is(2).says(&["--to other@1.0.0", "another model", "fraud@VERSION"]);
    candidates(&["--to", "fraud@9.9.9"]).is(1).says(&["fraud@9.9.9", "1.2.0"]);
}

#[test]
fn it_says_also_of_those_that_are_older_what_speaks_against_them() {
    let stage = Stage::new();
    for version in ["0.8.0", "0.9.0"] {
        stage.desk.write("model/weights.bin", version.as_bytes());
        stage.desk.run(&["publish", &format!("fraud@{version}"), "model"]).is(0);
    }
    let channels = Channels::new(Arc::new(stage.store.clone()));
    let (name, production) = ("fraud".parse().unwrap(), Channel::production());
    let promote = |version: &str, settled: bool| {
        stage.desk.run(&["promote", &format!("fraud@{version}"), "--channel", "production"]).is(0);
        if settled {
            let history = stage.runtime.block_on(channels.history(&name, &production)).unwrap();
            let stamp = Stamp { by: "ada".to_owned(), at: history.last().unwrap().stamp.at };
            let seq = history.last().unwrap().seq;
            stage.runtime.block_on(channels.settle(&name, &production, seq, stamp)).unwrap();
        }
    };
    for (version, settled) in
        [("0.8.0", false), ("0.9.0", true), ("1.0.0", true), ("1.1.0", false), ("1.2.0", false)]
    {
        promote(version, settled);
    }
    let candidates = ["rollback", "candidates", "fraud", "--route", ROUTE];
    let found = stage.desk.run(&candidates).is(0).out;
    assert_eq!(
        found,
        "fraud@1.2.0 → fraud@1.0.0\n  not fraud@1.2.0: it is in service\n  not fraud@1.1.0: it never finished its bake\n  \
         not fraud@0.9.0: it would do, but is older\n  not fraud@0.8.0: it never finished its bake\n"
    );
    let json = stage.desk.json(&candidates);
    assert_eq!(json["older"][0], json!({ "model": "fraud@0.9.0", "why": null }));
    assert_eq!(json["older"][1], json!({ "model": "fraud@0.8.0", "why": "never finished its bake" }));
}

#[test]
fn what_is_damaged_is_not_gone_back_to_by_those_who_look() {
    let stage = promoted();
    let common = ["rollback", "candidates", "fraud", "--route", ROUTE, "--back", "1"];
    stage.desk.run(&[&common[..], &["--verify"]].concat()).is(0);
    let damaged = damage(&stage.desk.path("registry"), b"1.0.0");
    assert!(damaged > 0, "its bytes lie somewhere");
    stage
        .desk
        .run(&[&common[..], &["--verify"]].concat())
        .is(1)
        .says(&["is damaged", "name another version"]);
    stage.desk.run(&common).is(0);
}

#[test]
fn what_would_not_be_made_to_run_is_not_gone_back_to() {
    let stage = promoted();
    let environment = |name: &str, program: &str| {
        let file = json!({
            "router": { "haproxy-weights": { "socket": "/nowhere", "stable": "stable", "candidate": "candidate" } },
            "deployer": { "processes": { "directory": stage.desk.path("servers"), "server": {
                "ready": "http://127.0.0.1:{port}/health",
                "command": { "program": program, "args": ["{directory}/weights.bin"] },
            } } },
            "metrics": { "scrape": { "targets": [], "queries": {} } },
        });
        stage.desk.write(name, file.to_string().as_bytes());
    };
    environment("good.json", "/bin/sh");
    environment("bad.json", "/opt/fraud/serve");
    let common = ["rollback", "candidates", "fraud", "--route", ROUTE, "--back", "1", "--environment"];
    let with = |file: &str| stage.desk.run(&[&common[..], &[file]].concat());
    assert_eq!(with("good.json").is(0).out.trim(), "fraud@1.1.0 → fraud@1.0.0");
    with("bad.json").is(1).says(&[
        "fraud@1.0.0 cannot be gone back to, it would not be made to run",
        "`/opt/fraud/serve` is no file that this user may execute",
        "command.program",
    ]);
    assert!(!stage.desk.path("servers").exists(), "whoever only looks takes nothing");
    with("gone.json").is(2);
}

/// Overwrites every file below `directory` that is `content`.
fn damage(directory: &std::path::Path, content: &[u8]) -> usize {
    let entries =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut damaged = 0;
    for path in entries {
        if path.is_dir() {
            damaged += damage(&path, content);
        } else if std::fs::read(&path).expect("a file") == content {
            std::fs::remove_file(&path).expect("it is ours");
            std::fs::write(&path, b"9.9.9").expect("it is ours");
            damaged += 1;
        }
    }
    damaged
}
