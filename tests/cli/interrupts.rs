//! Transfers that are interrupted: what they leave.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::desk::{Desk, Run, files};

#[test]
fn an_interrupted_pull_leaves_nothing() {
    let desk = Desk::new();
    large(&desk);
    desk.run(&["publish", "m@1.0.0", "model"]).is(0);
    fs::create_dir(desk.path("out")).unwrap();
    for signal in ["-INT", "-TERM"] {
        let run = interrupted(&desk, &["pull", "m@1.0.0", "out", "--no-resume"], &desk.path("out"), signal);
        run.is(130).says(&["interrupted"]);
        assert_eq!(fs::read_dir(desk.path("out")).unwrap().count(), 0, "nothing staged is left");
    }
}

#[test]
fn an_interrupted_publish_leaves_no_version_and_no_bytes() {
    let desk = Desk::published();
    let before = desk.stored();
    large(&desk);
    let blobs = desk.path("registry/models/m/blobs");
    let publish = ["publish", "m@2.0.0", "model", "--no-resume"];
    interrupted(&desk, &publish, &blobs, "-TERM").is(130).says(&["interrupted"]);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 1);
    let names =
        |stored: Vec<(PathBuf, Vec<u8>)>| stored.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(names(desk.stored()), names(before));
}

#[test]
fn what_was_interrupted_is_gone_on_with() {
    let desk = Desk::published();
    large(&desk);
    let blobs = desk.path("registry/models/m/blobs");
    let publish = ["publish", "m@2.0.0", "model"];
    interrupted(&desk, &publish, &blobs, "-KILL");
    let journals = || files(&desk.path("state/tidegate/transfers")).len();
    assert_eq!(journals(), 1, "of the publication");
    desk.run(&publish).is(0);
    assert_eq!(journals(), 0);
    desk.run(&["verify", "m@2.0.0"]).is(0);

    fs::create_dir(desk.path("out")).unwrap();
    interrupted(&desk, &["pull", "m@2.0.0", "out"], &desk.path("out"), "-INT").is(130).says(&["interrupted"]);
    assert_eq!(fs::read_dir(desk.path("out")).unwrap().count(), 1, "staged for the next one");
    desk.run(&["pull", "m@2.0.0", "out"]).is(0);
    assert_eq!(fs::read_dir(desk.path("out")).unwrap().count(), 2, "a file and a directory");
}

/// Interrupts `arguments` as soon as something lies in `place` that was not there before.
fn interrupted(desk: &Desk, arguments: &[&str], place: &Path, signal: &str) -> Run {
    let names = || -> Vec<_> {
        let entries = fs::read_dir(place).into_iter().flatten();
        entries.map(|entry| entry.expect("a readable entry").file_name()).collect()
    };
    let before = names();
    let mut command = desk.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    while names().iter().all(|name| before.contains(name)) {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it began");
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    Run::of(&child.wait_with_output().expect("a child"))
}

/// Of so many bytes that work on them does not end before the signal arrives.
fn large(desk: &Desk) {
    let file = fs::File::create(desk.path("model/weights.bin")).expect("a writable directory");
    file.set_len(256 << 20).expect("room for a sparse file");
}
