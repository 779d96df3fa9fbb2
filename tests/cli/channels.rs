//! Channels: moved with a publication, emptied, taken back, looked back on.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::desk::Desk;

const PRODUCTION: [&str; 2] = ["--channel", "production"];

/// With two versions published, the first of them in production and then the second.
fn moved() -> Desk {
    let desk = Desk::published();
    desk.run(&["promote", "m@1.0.0", "--channel", "production"]).is(0);
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model", "--promote", "production", "--expect", "m@1.0.0"]).is(0);
    desk
}

fn where_it_is(desk: &Desk) -> Value {
    desk.json(&["list"])["models"][0]["channels"].clone()
}

#[test]
fn a_version_is_promoted_in_the_record_that_publishes_it() {
    let desk = moved();
    assert_eq!(where_it_is(&desk), json!({ "production": "m@1.1.0" }));
    let history = desk.json(&["history", "m", "--channel", "production"]);
    let published = desk.json(&["list", "m"])["versions"][0]["stamp"].clone();
    assert_eq!((&history["moves"][0]["seq"], &history["moves"][0]["stamp"]), (&json!(3), &published));
}

#[test]
fn a_version_that_may_not_be_promoted_is_not_published() {
    let desk = moved();
    desk.write("model/weights.bin", b"third");
    let publish = |more: &[&str]| desk.run(&[&["publish", "m@1.2.0", "model"], more].concat());
    publish(&["--promote", "production", "--expect", "m@1.0.0"]).is(1).says(&["is at 1.1.0, not at 1.0.0"]);
    publish(&["--promote", "production", "--expect", "none"]).is(1).says(&["not at none"]);
    publish(&["--promote", "production", "--expect", "n@1.0.0"]).is(2).says(&["another model", "m@VERSION"]);
    publish(&["--expect", "none"]).is(2).says(&["--promote"]);
    publish(&["--promote", "../x"]).is(2).says(&["`../x`"]);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 2);
    assert_eq!(where_it_is(&desk), json!({ "production": "m@1.1.0" }));
}

/// A pipeline whose answer was lost says the same again.
#[test]
fn publishing_and_promoting_again_changes_nothing() {
    let desk = moved();
    let before = desk.stored();
    let again = ["publish", "m@1.1.0", "model", "--promote", "production", "--expect", "m@1.0.0"];
    let said = desk.run(&again).is(0);
    assert!(said.out.contains("unchanged: production is at m@1.1.0"), "{said:?}");
    assert_eq!(desk.stored(), before);

    let elsewhere = desk.json(&["publish", "m@1.1.0", "model", "--promote", "staging"]);
    assert_eq!((&elsewhere["published"], &elsewhere["promoted"]["changed"]), (&json!(false), &json!(true)));
    assert_eq!(where_it_is(&desk), json!({ "production": "m@1.1.0", "staging": "m@1.1.0" }));
}

#[test]
fn a_channel_is_emptied_and_the_history_says_so() {
    let desk = moved();
    let demote =
        |more: &[&str]| desk.run(&[&["demote", "m", "--reason", "a trial"], &PRODUCTION[..], more].concat());
    demote(&["--expect", "m@1.0.0"]).is(1).says(&["is at 1.1.0, not at 1.0.0"]);
    demote(&["--expect", "7"]).is(1).says(&["is at record 3, not at record 7"]);
    demote(&["--expect", "0"]).is(2).says(&["counted from 1"]);
    assert_eq!(where_it_is(&desk), json!({ "production": "m@1.1.0" }));

    let said = demote(&["--expect", "3"]).is(0);
    assert!(said.out.contains("points nowhere now and pointed to m@1.1.0"), "{said:?}");
    assert_eq!(where_it_is(&desk), json!({}));
    assert!(demote(&["--expect", "none"]).is(0).out.starts_with("unchanged"));
    let history = desk.run(&["history", "m", "--channel", "production"]).is(0).out;
    assert!(history.lines().nth(1).unwrap().contains("demoted: a trial"), "{history}");
    assert_eq!(history.lines().count(), 4, "a heading, two moves and an end: {history}");

    desk.run(&["demote", "m", "--channel", "production"]).is(2).says(&["--reason <TEXT>"]);
    desk.run(&["demote", "m", "--channel", "production", "--reason", " "]).is(2).says(&["say why"]);
    desk.run(&["demote", "n", "--channel", "production", "--reason", "x"]).is(1).says(&["model n"]);
}

#[test]
fn a_move_is_taken_back() {
    let desk = moved();
    let revert = |more: &[&str]| desk.run(&[&["revert", "m", "--reason", "alerts"], more].concat());
    revert(&["--channel", "production", "--expect", "m@1.0.0"]).is(1).says(&["not at 1.0.0"]);
    let said = revert(&["--channel", "production", "--expect", "m@1.1.0"]).is(0);
    assert!(said.out.contains("back from m@1.1.0 to m@1.0.0"), "{said:?}");
    let back = desk.json(&["history", "m", "--channel", "production"])["moves"][0].clone();
    assert_eq!(back["cause"]["revert"], json!({ "of": 3, "reason": "alerts" }));

    desk.run(&["demote", "m", "--channel", "production", "--reason", "x"]).is(0);
    let said = revert(&["--channel", "production"]).is(0);
    assert!(said.out.contains("points to m@1.0.0 again"), "{said:?}");

    revert(&["--channel", "staging"]).is(1).says(&["m:staging", "history"]);
    desk.run(&["revert", "n", "--channel", "production", "--reason", "x"]).is(1).says(&["model n"]);
}

#[test]
fn the_past_can_be_asked() {
    let desk = moved();
    let history = desk.json(&["history", "m", "--channel", "production"]);
    let first = history["moves"][1]["stamp"]["at"].as_str().unwrap();
    let at = |time: &str| desk.run(&["at", "m", "--channel", "production", time]);
    let said = at(first).is(0);
    assert!(said.out.starts_with("m@1.0.0, since ") && said.out.contains("alice"), "{said:?}");
    let found = desk.json(&["at", "m", "--channel", "production", first]);
    assert_eq!((&found["move"]["to"], &found["at"]), (&json!("m@1.0.0"), &json!(first)));

    let said = at("2020-01-01").is(1);
    assert!(said.out.contains("pointed nowhere at 2020-01-01 00:00:00 UTC"), "{said:?}");
    let found = desk.json(&["at", "m", "--channel", "production", "2020-01-01 12:30:00"]);
    assert_eq!((&found["move"], &found["at"]), (&json!(null), &json!("2020-01-01T12:30:00Z")));
}

#[test]
fn a_time_that_is_none_is_refused() {
    let desk = moved();
    let at = |time: &str| desk.run(&["at", "m", "--channel", "production", time]);
    for time in ["yesterday", "2026", "2026-13-01", "2026-11-24T00:00:00+02:00", "", "1969-12-31"] {
        at(time).is(2).says(&["in UTC", "2026-11-24T15:04:05Z"]);
    }
    at("9999-01-01").is(2).says(&["still to come", "m:production"]);
    desk.run(&["at", "n", "--channel", "production", "2020-01-01"]).is(1).says(&["model n"]);
    let now = humantime::format_rfc3339(SystemTime::UNIX_EPOCH).to_string();
    at(&now).is(1);
}
