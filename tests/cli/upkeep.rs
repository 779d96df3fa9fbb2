//! Upkeep: what nobody uses is removed, what is damaged is named.

use std::fs;

use serde_json::json;

use super::desk::{Desk, files};

/// With `m@1.0.0` and a deleted `m@1.1.0`, of which one file is the same.
fn desk() -> Desk {
    let desk = Desk::published();
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model"]).is(0);
    desk.run(&["delete", "m@1.1.0", "--reason", "x"]).is(0);
    desk
}

fn blobs(desk: &Desk) -> usize {
    files(&desk.path("registry/models/m/blobs")).len()
}

#[test]
fn what_no_version_uses_is_removed() {
    let desk = desk();
    desk.run(&["publish", "n@1.0.0", "model"]).is(0);
    let before = desk.stored();
    let patient = desk.run(&["gc"]).is(0);
    assert!(patient.out.ends_with("removed 0 objects, 0 B\n"), "deleted a moment ago: {patient:?}");
    let now = ["gc", "--retention", "0s", "--grace", "0s"];
    let rehearsal = desk.run(&[&now[..], &["--dry-run"]].concat()).is(0);
    assert!(rehearsal.out.contains("would remove 2 objects, "), "{rehearsal:?}");
    assert_eq!(desk.stored(), before);

    let done = desk.json(&now);
    assert_eq!((&done["removed"], &done["objects"]), (&json!(true), &json!(2)));
    assert_eq!((&done["models"][0]["name"], &done["models"][0]["objects"]), (&json!("m"), &json!(2)));
    assert_eq!(done["models"][1]["objects"], 0);
    assert_eq!(blobs(&desk), 2, "those of 1.0.0");
    desk.run(&["verify", "m@1.0.0"]).is(0);
    let again = desk.run(&["gc", "m", "--retention", "0s", "--grace", "0s"]).is(0);
    assert_eq!(again.out, "removed 0 objects, 0 B\n");
}

#[test]
fn a_refused_publication_leaves_nothing_behind_the_collection() {
    let desk = Desk::published();
    let before = blobs(&desk);
    desk.write("model/weights.bin", b"better");
    desk.run(&["publish", "m@1.1.0", "model", "--promote", "production", "--expect", "m@1.0.0"]).is(1);
    desk.run(&["gc", "--grace", "0s"]).is(0);
    assert_eq!(blobs(&desk), before);
}

#[test]
fn a_collection_of_nothing_is_a_mistake() {
    let desk = desk();
    desk.run(&["gc", "x"]).is(1).says(&["model x"]);
    desk.run(&["gc", "--grace", "never"]).is(2).says(&["90s", "7d"]);
    desk.run(&["gc", "--retention", "-1d"]).is(2).says(&["-1"]);
    assert_eq!(blobs(&desk), 3);
}

#[test]
fn a_damaged_model_keeps_no_other_from_being_cleared() {
    let desk = desk();
    desk.run(&["publish", "a@1.0.0", "model"]).is(0);
    fs::write(desk.path("registry/models/a/log/00000000000000000001.json"), b"{").unwrap();
    let run = desk.run(&["gc", "--retention", "0s", "--grace", "0s"]).is(1);
    assert!(run.out.contains("error: record 1 of model a is damaged"), "{run:?}");
    assert_eq!(blobs(&desk), 2);
    desk.run(&["gc", "a"]).is(1).says(&["record 1 of model a is damaged"]);
}

#[test]
fn a_sound_registry_is_told_so() {
    let desk = desk();
    let before = desk.stored();
    let run = desk.run(&["fsck"]).is(0);
    assert_eq!(run.out, "m: sound; 3 records, 1 version, 1 of them read; 2 objects that no version uses\n");
    assert_eq!(run.err, "", "no bar where there is no terminal");
    let none = desk.json(&["fsck", "m", "--read", "none"]);
    assert_eq!((&none["sound"], &none["models"][0]["read"]), (&json!(true), &json!(0)));
    desk.run(&["publish", "m@1.2.0", "model"]).is(0);
    let sample = desk.json(&["fsck", "--read", "1", "--seed", "7"]);
    assert_eq!((&sample["models"][0]["read"], &sample["seed"]), (&json!(1), &json!(7)));
    assert!(desk.run(&["fsck", "--read", "1"]).is(0).out.ends_with("chosen by seed 0\n"));
    assert!(desk.stored().len() > before.len());
}

#[test]
fn every_damage_is_named() {
    let desk = Desk::published();
    desk.run(&["publish", "n@1.0.0", "model"]).is(0);
    let of_m = files(&desk.path("registry/models/m/blobs"));
    let (weights, mut bytes) = of_m.iter().find(|(_, bytes)| bytes.len() == 100_000).unwrap().clone();
    bytes[4711] ^= 1;
    fs::remove_file(&weights).unwrap();
    fs::write(&weights, bytes).unwrap();
    let labels = of_m.iter().find(|(_, bytes)| bytes.len() == 17).unwrap().0.clone();

    let run = desk.run(&["fsck"]).is(1);
    assert!(run.out.starts_with("m: 1 problem; "), "{run:?}");
    assert!(run.out.contains("\n  m@1.0.0: the SHA-256 of weights.bin is sha256:"), "{run:?}");
    assert!(run.out.contains("\nn: sound; "), "{run:?}");
    desk.run(&["fsck", "m", "--read", "none"]).is(0);
    desk.run(&["fsck", "n"]).is(0);

    fs::remove_file(&labels).unwrap();
    fs::write(desk.path("registry/models/n/log/00000000000000000001.json"), b"{").unwrap();
    let found = desk.json(&["fsck"]);
    assert_eq!(found["sound"], false);
    let problem = &found["models"][0]["problems"][0];
    assert!(problem["what"].as_str().unwrap().starts_with("config/labels.txt of m@1.0.0"), "{found}");
    assert_eq!(problem["why"], "it is not there");
    assert_eq!(found["models"][1]["problems"][0]["what"], "record 1 of model n");
    desk.run(&["fsck", "--json"]).is(1);
}

#[test]
fn an_inspection_that_makes_no_sense_is_refused() {
    let desk = desk();
    desk.run(&["fsck", "x"]).is(1).says(&["model x"]);
    desk.run(&["fsck", "--read", "some"]).is(2).says(&["all, none or a number"]);
    desk.run(&["fsck", "--read", "-3"]).is(2);
    desk.run(&["fsck", "--seed", "4"]).is(2).says(&["--seed", "--read"]);
    desk.run(&["fsck", "--read", "1", "--seed", "x"]).is(2).says(&["--seed"]);
}
