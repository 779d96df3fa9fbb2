//! A registry that goes away while a watch is kept.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::Stdio,
};

use super::run::{moved, words};
use crate::{
    desk::Run,
    rollouts::{machine::Machine, stage::until},
};

/// Where the registry was, there is a link to itself until a second try has failed: nothing can be read, and nothing
/// written.
fn away(machine: &Machine, said: impl Fn() -> String) {
    let (registry, aside) = (machine.desk.path("registry"), machine.desk.path("aside"));
    fs::rename(&registry, &aside).expect("it is ours");
    symlink(&registry, &registry).expect("nothing is there");
    until("a second try", || Some(said()).filter(|said| said.contains("goes on in 2 s")));
    fs::remove_file(&registry).expect("it is ours");
    fs::rename(&aside, &registry).expect("nothing is there");
}

fn went_back_once(machine: &Machine) {
    let history = machine.desk.json(&["history", "fraud", "--channel", "production"]);
    let moves = history["moves"].as_array().expect("moves");
    assert_eq!((moves.len(), &moves[0]["to"]), (3, &"fraud@1.0.0".into()), "{history}");
}

#[test]
fn a_watch_outlives_an_outage_and_goes_back_when_it_is_over() {
    let machine = moved();
    // Nobody serves yet, so that it is blind, and wants to go back for that at once.
    machine.desk.write(
        "watch.yaml",
        b"{ route: fraud, model: fraud, window: 1s, lag: 250ms, span: 3s, target: { back: 1 }, recovery: null, drain: 50ms, \
          quarantine: false, patience: 100ms, onBlind: roll-back, criteria: \
          [{ metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.15 } } } }] }",
    );
    let mut command =
        machine.desk.command(&["rollback", "watch", "watch.yaml", "--environment", "environment.json"]);
    let log = machine.desk.path("stderr");
    let child = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let opened = || machine.desk.run(&["rollback", "status", "--route", "fraud"]);
    until("the watch", || Some(opened()).filter(|run| run.status == 0));
    let said = || fs::read_to_string(&log).unwrap();
    away(&machine, said);

    let run = Run::of(&child.wait_with_output().unwrap()).is(1);
    assert!(run.out.contains("has brought it back"), "{run:?}");
    assert!(said().contains("warning: the registry cannot be used"), "{}", said());
    went_back_once(&machine);
}

#[test]
fn a_rollback_outlives_an_outage_and_is_one() {
    let machine = moved();
    let more = ["--back", "1", "--reason", "it is slow", "--no-proof", "--drain", "1s"];
    let mut command = machine.desk.command(&words("run", &more));
    let (out, log) = (machine.desk.path("stdout"), machine.desk.path("stderr"));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let read = |file| fs::read_to_string(file).unwrap();
    until("traffic goes", || Some(read(&out)).filter(|out| out.contains("letting requests in flight end")));
    away(&machine, || read(&log));
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", read(&log));
    assert!(read(&out).ends_with(" is done\n"), "{}", read(&out));
    went_back_once(&machine);
}
