//! `tidegate rollback watch` as a process, with servers that are processes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::run::{moved, words};
use crate::rollouts::{
    machine::{Machine, Started},
    stage::until,
};

/// 1.1.0 was rolled out, serves, and is guarded.
fn guarded() -> (Machine, Started) {
    let machine = Machine::scripted();
    machine.plan("fraud@~1.1", "");
    machine.start(&["--id", "ci-1"]).end().is(0);
    file(&machine, "lasts: 1h");
    let watch = watch(&machine, &["--id", "w-1"]);
    (machine, watch)
}

fn file(machine: &Machine, more: &str) {
    let text = format!(
        "{{ route: fraud, model: fraud, window: 300ms, lag: 250ms, span: 3s, target: {{ back: 1 }}, drain: 50ms, recovery: null, \
         criteria: [{{ metric: errors, rule: {{ limit: {{ statistic: share, bound: {{ atMost: 0.15 }} }} }} }}], {more} }}"
    );
    machine.desk.write("watch.yaml", text.as_bytes());
}

fn watch(machine: &Machine, more: &[&str]) -> Started {
    let watch = ["rollback", "watch", "watch.yaml", "--environment", "environment.json"];
    machine.spawn(&[&watch, more].concat())
}

#[test]
fn while_it_watches_others_may_act_on_the_servers() {
    let (machine, mut watch) = guarded();
    watch.until("the watch sees nothing wrong");
    let back = ["--back", "1", "--drain", "50ms"];
    let drill = machine.desk.run(&words("drill", &back)).is(0).out;
    assert!(drill.contains("would have traffic back"), "{drill}");
    // It goes back with the servers itself, once nobody else has them.
    let ask = |verb: &str, more: &[&str]| {
        machine.desk.run(&[&["rollback", verb, "--route", "fraud"], more].concat())
    };
    let now = ask("alarm", &["--now", "--reason", "customers complain"]).is(0).out;
    assert!(now.contains("goes back to fraud@1.0.0 by rollback w-1/"), "{now}");
    let run = watch.end().is(1);
    for words in [
        "the watch is to go back, since alice says so: customers complain",
        "  moving traffic to the target\n",
        "  letting requests in flight end\n",
        "is over, rollback w-1/",
    ] {
        assert!(run.out.contains(words), "{words:?} is missing: {run:?}");
    }
    assert_eq!(run.err, "", "what is said is not logged");
    let shown = machine.desk.run(&["pull", "fraud:production", "out"]).is(0).out;
    assert!(shown.contains("fraud@1.0.0"), "{shown}");
}

#[test]
fn a_rollback_of_a_person_takes_the_servers_while_it_watches() {
    let (machine, mut watch) = guarded();
    watch.until("the watch sees nothing wrong");
    let run = ["--back", "1", "--drain", "50ms", "--reason", "it is slow", "--no-proof"];
    machine.desk.run(&words("run", &run)).is(0);
    let alarm = ["rollback", "alarm", "--route", "fraud", "--by", "pager", "--reason", "it burns"];
    machine.desk.run(&alarm).is(0);
    let run = watch.end().is(0);
    assert!(run.out.ends_with("the watch is over, since fraud@1.0.0 is in service by now\n"), "{run:?}");
}

#[test]
fn an_edited_file_is_not_passed_over() {
    let (machine, mut first) = guarded();
    first.until("the watch sees nothing wrong");
    first.signal("-KILL");
    first.end().is(137);
    let refused = |more: &[&str], words: &[&str]| {
        let run = watch(&machine, more).end().is(1);
        assert_eq!(run.out, "");
        for word in words {
            assert!(run.err.contains(word), "{word:?} is missing: {run:?}");
        }
    };
    file(&machine, "lasts: 2h");
    let both = "lasts is 2h now, and was 1h";
    refused(
        &[],
        &["watch w-1 is under way", both, "`--id NEW` begins another watch", "`--id w-1`", "goes on with it"],
    );
    refused(&["--id", "w-1"], &[both]);
    // Another model is another watch, whether it is published or not.
    machine.desk.run(&["publish", "other@1.0.0", "model", "--promote", "production"]).is(0);
    let text = std::fs::read_to_string(machine.desk.path("watch.yaml")).unwrap();
    machine.desk.write("watch.yaml", text.replace("model: fraud", "model: other").as_bytes());
    refused(&[], &["release is", "other@1.0.0", "fraud@1.1.0"]);

    file(&machine, "lasts: 1h");
    let mut again = watch(&machine, &["--json"]);
    again.until("\"kind\":\"record\"");
    let head: Value = serde_json::from_str(again.said.lines().next().unwrap()).unwrap();
    assert_eq!((&head["kind"], &head["id"]), (&"watch".into(), &"w-1".into()));
    machine.desk.run(&["rollback", "stop", "--route", "fraud", "--reason", "enough"]).is(0);
    let run = again.end().is(1);
    let end: Value = serde_json::from_str(run.out.lines().last().unwrap()).unwrap();
    assert_eq!((&end["kind"], &end["id"]), (&"end".into(), &"w-1".into()));
    // The end of one that is over is told again; what is new gets a new name.
    let over = watch(&machine, &["--id", "w-1"]).end().is(1);
    assert!(over.out.ends_with("stopped by alice: enough\n"), "{over:?}");
}

#[test]
fn on_a_new_machine_it_waits_for_servers_and_says_that_it_is_blind() {
    let machine = moved();
    file(&machine, "lasts: 1h");
    let mut watch = watch(&machine, &[]);
    watch.until("the watch is blind");
    watch.signal("-INT");
    let run = watch.end().is(130);
    assert!(run.err.ends_with("the same command goes on with it\n"), "{run:?}");
    let status = machine.desk.json(&["rollback", "status", "--route", "fraud"]);
    until("nothing", || status["remedy"].as_str().filter(|remedy| remedy.contains("mend the source")));
}

/// A server that takes everything, and what it was told.
fn webhook() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, told) = (listener.local_addr().expect("an address"), Arc::new(Mutex::new(String::new())));
    let taken = Arc::clone(&told);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_ok() {
                taken.lock().expect("nobody panics").push_str(&String::from_utf8_lossy(&body));
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _hung_up = stream.get_mut().write_all(answer);
            }
        }
    });
    (format!("http://{address}/"), told)
}

#[test]
fn everybody_is_told_the_end_also_where_it_is_an_error() {
    let machine = moved();
    file(&machine, "lasts: 1h");
    let (url, told) = webhook();
    machine.desk.write("url", url.as_bytes());
    let environment = std::fs::read(machine.desk.path("environment.json")).unwrap();
    let mut environment: Value = serde_json::from_slice(&environment).unwrap();
    environment["notify"] =
        json!({ "chat": { "to": { "webhook": { "url": { "file": machine.desk.path("url") } } } } });
    machine.desk.write("telling.json", environment.to_string().as_bytes());
    let first = ["rollback", "watch", "watch.yaml", "--environment", "telling.json", "--id", "w-1"];
    let mut first = machine.spawn(&first);
    first.until("the watch sees nothing wrong");
    until("it is told", || Some(told.lock().unwrap().clone()).filter(|told| told.contains("w-1")));
    // Another one begins, which tells nobody itself.
    let mut second = watch(&machine, &["--id", "w-2"]);
    second.until("the watch sees nothing wrong");
    let run = first.end().is(1);
    assert!(run.err.contains("error: another driver or rollback has taken the route over"), "{run:?}");
    assert!(told.lock().unwrap().contains("w-2"), "what came last was told before it ended: {told:?}");
    second.signal("-KILL");
    second.end().is(137);
}
