//! Following a channel.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use super::desk::{Desk, Run};

/// A program that watches, and what it says.
struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn new(desk: &Desk, more: &[&str]) -> Self {
        let watch = ["watch", "m", "--channel", "production", "--every", "100ms"];
        let mut command = desk.command(&[&watch, more].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// The next line, as soon as it is there.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("text");
        line
    }

    fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// What it said besides the lines that were read, and its status.
    fn end(mut self) -> Run {
        let mut out = String::new();
        self.out.read_to_string(&mut out).expect("text");
        let run = Run::of(&self.child.wait_with_output().expect("a child"));
        Run { out, ..run }
    }
}

fn promote(desk: &Desk, version: &str) {
    desk.run(&["promote", version, "--channel", "production"]).is(0);
}

/// With two versions published, none of which is in production.
fn desk() -> Desk {
    let desk = Desk::published();
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model"]).is(0);
    desk
}

#[test]
fn moves_are_told_as_they_come() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    let mut watch = Watch::new(&desk, &["--count", "3"]);
    let line = watch.line();
    assert!(line.starts_with("3  m@1.0.0  ") && line.ends_with("by alice\n"), "{line:?}");
    promote(&desk, "m@1.1.0");
    assert!(watch.line().starts_with("4  m@1.1.0  "));
    desk.run(&["demote", "m", "--channel", "production", "--reason", "x"]).is(0);
    assert!(watch.line().starts_with("5  nowhere  "));
    let run = watch.end().is(0);
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
}

#[test]
fn machines_get_a_document_a_line_and_go_on_where_they_were() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    promote(&desk, "m@1.1.0");
    desk.run(&["demote", "m", "--channel", "production", "--reason", "x"]).is(0);
    let run = Watch::new(&desk, &["--json", "--after", "3", "--count", "2"]).end().is(0);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |n: usize| (&lines[n]["seq"], &lines[n]["to"], &lines[n]["stamp"]["by"]);
    assert_eq!(told(0), (&json!(4), &json!("m@1.1.0"), &json!("alice")));
    assert_eq!(told(1), (&json!(5), &Value::Null, &json!("alice")));

    let error = desk.run(&["watch", "n", "--channel", "production", "--json"]).is(1);
    assert_eq!(error.out.lines().count(), 1, "{error:?}");
    assert!(serde_json::from_str::<Value>(&error.out).unwrap()["error"]["kind"] == "not-found");
}

#[test]
fn a_script_waits_for_the_next_move() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    let mut watch = Watch::new(&desk, &["--until-change"]);
    // Nobody knows when it has begun, so the channel moves until one move was told.
    for version in ["m@1.1.0", "m@1.0.0"].into_iter().cycle() {
        promote(&desk, version);
        if watch.child.try_wait().unwrap().is_some() {
            break;
        }
    }
    let run = watch.end().is(0);
    assert_eq!(run.out.lines().count(), 1, "{run:?}");
    assert!(!run.out.starts_with("3 "), "where the channel points already is no change: {run:?}");
    assert!(Watch::new(&desk, &["--until-change", "--after", "3"]).end().is(0).out.starts_with("4  m@1.1.0"));
}

#[test]
fn it_ends_quietly_when_it_is_told_to() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    for (signal, more) in [("-INT", [].as_slice()), ("-TERM", &["--json"])] {
        let mut watch = Watch::new(&desk, more);
        watch.line();
        watch.signal(signal);
        let run = watch.end().is(130);
        assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""), "{signal}");
    }
}

#[test]
fn a_store_in_trouble_does_not_end_it() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    let mut watch = Watch::new(&desk, &["--count", "2"]);
    assert!(watch.line().starts_with("3  m@1.0.0"));
    let record = desk.path("registry/models/m/log/00000000000000000004.json");
    fs::write(&record, b"{").unwrap();
    let mut err = BufReader::new(watch.child.stderr.take().unwrap());
    let mut said = String::new();
    err.read_line(&mut said).unwrap();
    assert!(said.starts_with("warning: record 4 of model m is damaged"), "{said:?}");
    assert!(said.ends_with("watching goes on\n"), "{said:?}");
    fs::remove_file(&record).unwrap();
    promote(&desk, "m@1.1.0");
    assert!(watch.line().starts_with("4  m@1.1.0"));
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    let mut watch = Watch::new(&desk, &[]);
    watch.line();
    let Watch { child, out } = watch;
    drop(out);
    promote(&desk, "m@1.1.0");
    let run = Run::of(&child.wait_with_output().unwrap()).is(0);
    assert_eq!(run.err, "");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let desk = desk();
    promote(&desk, "m@1.0.0");
    let watch = |more: &[&str]| desk.run(&[&["watch", "m", "--channel", "production"], more].concat());
    watch(&["--after", "1"]).is(2).says(&["no move of production", "tidegate history m"]);
    watch(&["--after", "0"]).is(2).says(&["counted from 1"]);
    watch(&["--after", "first"]).is(2).says(&["SEQ", "tidegate history"]);
    watch(&["--every", "0s"]).is(2).says(&["from 100ms to 1day"]);
    watch(&["--every", "18446744073709551615s"]).is(2).says(&["from 100ms to 1day"]);
    watch(&["--every", "often"]).is(2).says(&["90s"]);
    watch(&["--count", "0"]).is(2).says(&["from 1 on"]);
    watch(&["--count", "1", "--until-change"]).is(2).says(&["--until-change"]);
    desk.run(&["watch", "m"]).is(2).says(&["--channel"]);
}
