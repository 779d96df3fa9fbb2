//! `tidegate rollback run` and `drill` as processes, with servers that are processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use serde_json::Value;

use crate::{desk::Run, rollouts::machine::Machine};

/// A machine whose production was moved from 1.0.0 to 1.1.0 by hand.
pub(super) fn moved() -> Machine {
    let machine = Machine::scripted();
    machine.desk.run(&["promote", "fraud@1.1.0", "--channel", "production"]).is(0);
    machine
}

/// `tidegate rollback VERB fraud …`
pub(super) fn words<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = ["rollback", verb, "fraud", "--route", "fraud", "--environment", "environment.json"];
    [&common[..], more].concat()
}

fn run(machine: &Machine, more: &[&str]) -> Run {
    let plain = ["--reason", "it is slow", "--no-proof", "--drain", "50ms"];
    machine.desk.run(&words("run", &[&plain[..], more].concat()))
}

/// Where production pointed, the newest last.
fn moves(machine: &Machine) -> Vec<String> {
    let history = machine.desk.json(&["history", "fraud", "--channel", "production"]);
    let moves = history["moves"].as_array().unwrap().iter().rev();
    moves.map(|made| made["to"].as_str().unwrap().trim_start_matches("fraud@").to_owned()).collect()
}

fn kinds(run: &Run) -> Vec<Value> {
    run.out.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
}

#[test]
fn every_line_says_what_it_is_and_a_third_version_is_a_decision() {
    let machine = moved();
    let first = run(&machine, &["--back", "1", "--json"]).is(0);
    assert_eq!(first.err, "", "what is said is not logged");
    let lines = kinds(&first);
    assert_eq!((&lines[0]["kind"], &lines[0]["new"]), (&"rollback".into(), &true.into()));
    let id = lines[0]["id"].as_str().expect("an id, first of all").to_owned();
    assert_eq!((&lines[1]["kind"], &lines[1]["to"]), (&"choice".into(), &"fraud@1.0.0".into()));
    let (end, records) = lines[2..].split_last().unwrap();
    assert!(records.len() > 5 && records.iter().all(|line| line["kind"] == "record"), "{lines:#?}");
    assert_eq!((&end["kind"], &end["id"], &end["done"]), (&"end".into(), &id.as_str().into(), &true.into()));
    assert_eq!(moves(&machine), ["1.0.0", "1.1.0", "1.0.0"]);

    // The same command once more: it was done, and there is no third version by mistake.
    let again = run(&machine, &[]).is(1).err;
    for words in ["fraud@1.0.0 is in production since 20", &id, "it is slow", "--to or --back", "--again"] {
        assert!(again.contains(words), "{words:?} is missing: {again}");
    }
    let json = run(&machine, &["--json"]).is(1).out;
    assert!(json.contains("\"kind\":\"returned-already\""), "{json}");
    let candidates =
        machine.desk.run(&["rollback", "candidates", "fraud", "--route", "fraud", "--back", "1"]).is(0);
    assert!(candidates.out.contains(&format!("when rollback {id} had gone back to it")), "{candidates:?}");
    // Who wants it all the same is told why there is none, or goes where they say.
    run(&machine, &["--again"])
        .is(1)
        .says(&["not fraud@1.0.0: it is in service", "not fraud@1.1.0: it was rolled back"]);
    assert_eq!(moves(&machine).len(), 3, "all that was refused changed nothing");
    let further = run(&machine, &["--to", "fraud@1.1.0", "--id", "inc-2"]).is(0);
    assert!(further.out.starts_with("rollback inc-2 on fraud: fraud@1.0.0 → fraud@1.1.0\n"), "{further:?}");
    assert_eq!(moves(&machine), ["1.0.0", "1.1.0", "1.0.0", "1.1.0"]);

    // What is over says how it ended to who says the same, and nothing to others.
    run(&machine, &["--to", "fraud@1.1.0", "--id", "inc-2"]).is(0);
    let other = run(&machine, &["--to", "fraud@1.0.0", "--id", "inc-2", "--quarantine"]).is(1).err;
    for words in [
        "rollback inc-2 is over",
        "--to is fraud@1.0.0 now, and was fraud@1.1.0",
        "--quarantine is true now, and was false",
        "`--id NEW` begins another rollback",
    ] {
        assert!(other.contains(words), "{words:?} is missing: {other}");
    }
}

#[test]
fn what_is_under_way_is_gone_on_with_by_its_own_words_only() {
    let machine = moved();
    let slowly = |more: &[&'static str]| words("run", &[&["--no-proof", "--drain", "2s"][..], more].concat());
    let mut killed = machine.spawn(&slowly(&["--reason", "it is slow", "--back", "1"]));
    killed.until("letting requests in flight end");
    killed.signal("-KILL");
    killed.end().is(137);

    let refused = |more: &[&'static str], words: &[&str]| machine.desk.run(&slowly(more)).is(1).says(words);
    let both = "--reason is it is late now, and was it is slow";
    refused(
        &["--reason", "it is late"],
        &["is under way", both, "`--id NEW` begins another", "--id fraud@1.1.0-back-20"],
    );
    refused(
        &["--reason", "it is slow", "--to", "fraud@1.2.0"],
        &["--to is fraud@1.2.0 now, and was fraud@1.0.0"],
    );
    refused(
        &["--reason", "it is slow", "--back", "1", "--patience", "7m"],
        &["--patience is 7m now, and was 5m"],
    );
    refused(&["--reason", "it is slow", "--quarantine"], &["--quarantine is true now, and was false"]);

    let gone_on = machine.desk.run(&slowly(&["--reason", "it is slow", "--back", "1"])).is(0);
    assert!(gone_on.out.contains(" on fraud goes on: fraud@1.1.0 → fraud@1.0.0\n"), "{gone_on:?}");
    assert_eq!(moves(&machine), ["1.0.0", "1.1.0", "1.0.0"]);
}

#[test]
fn what_may_be_in_quarantine_is_gone_past_only_by_who_says_so() {
    let machine = moved();
    machine.desk.run(&["promote", "fraud@1.2.0", "--channel", "production"]).is(0);
    // Between what is left and the target is a version of which nothing can be read: there may be no way back past it.
    let manifests = std::fs::read_dir(machine.desk.path("registry/models/fraud/manifests")).unwrap();
    let mut manifests = manifests.map(|entry| entry.unwrap().path());
    let is_of_it = |path: &PathBuf| std::fs::read_to_string(path).unwrap().contains("fraud@1.1.0");
    let manifest = manifests.find(is_of_it).expect("the manifest of fraud@1.1.0");
    std::fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink(&manifest, &manifest).unwrap();

    let unread = "nothing could be read of fraud@1.1.0";
    let refused = run(&machine, &["--back", "2"]).is(4);
    assert!(refused.err.contains(unread) && refused.err.contains("unsure"), "{refused:?}");
    run(&machine, &["--back", "2", "--unsure", "--verify"]).is(2);
    assert_eq!(moves(&machine), ["1.0.0", "1.1.0", "1.2.0"], "what was refused changed nothing");

    let gone = run(&machine, &["--back", "2", "--unsure"]).is(0).out;
    let said = format!("though it is not known what is in quarantine: {unread}");
    assert!(gone.contains("fraud@1.2.0 → fraud@1.0.0") && gone.contains(&said), "{gone}");
    assert_eq!(moves(&machine), ["1.0.0", "1.1.0", "1.2.0", "1.0.0"]);
    let report = machine.desk.run(&["rollback", "report", "fraud", "--markdown"]).is(0).out;
    assert!(report.contains("it was not known what is in quarantine"), "{report}");
}

#[test]
fn patience_is_a_choice_and_pipes_get_no_colours() {
    let machine = moved();
    let environment = std::fs::read_to_string(machine.desk.path("environment.json")).unwrap();
    let mut environment: Value = serde_json::from_str(&environment).unwrap();
    environment["deployer"]["processes"]["server"]["command"] =
        serde_json::json!({ "program": "sleep", "args": ["600"] });
    machine.desk.write("environment.json", environment.to_string().as_bytes());
    let drill = words("drill", &["--back", "1", "--patience", "1s", "--drain", "0s"]);
    let drill = machine.desk.run(&drill).is(1).out;
    assert!(drill.contains("make the target run  failed:") && drill.contains("would not arrive"), "{drill}");
    let mut command = machine.desk.command(&words(
        "run",
        &["--back", "1", "--patience", "1s", "--drain", "0s", "--reason", "it is slow", "--no-proof"],
    ));
    let stuck = Run::of(&command.env("RUST_LOG", "warn").output().unwrap()).is(1);
    assert!(stuck.out.contains("stuck and needs a person while making the target run"), "{stuck:?}");
    // Whoever wants logs gets them, as text.
    assert!(stuck.err.contains("WARN") && !stuck.err.contains('\u{1b}'), "{stuck:?}");
}
