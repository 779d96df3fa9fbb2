//! What is refused: how it is said, with which status, and that nothing half-done is left.

use std::fs;

use serde_json::{Value, json};

use super::desk::{Desk, Run, files};

#[test]
fn a_wrong_directory_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    desk.run(&["publish", "m@1.0.0", "nowhere"]).is(2).says(&["nowhere`", "no such directory"]);
    desk.run(&["publish", "m@1.0.0", "empty"]).is(2).says(&["empty`", "no files"]);
    desk.run(&["publish", "m@1.0.0", "model/weights.bin"]).is(2).says(&["weights.bin", "not a directory"]);
    fs::create_dir_all(desk.path("hollow/inside")).unwrap();
    desk.run(&["publish", "m@1.0.0", "hollow"]).is(2).says(&["hollow`", "no files"]);
    assert!(!desk.path("registry").exists());
}

#[test]
fn a_wrong_name_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    desk.run(&["publish", "../m@1.0.0", "model"]).is(2).says(&["`../m`", "`..`"]);
    desk.run(&["publish", "a..b@1.0.0", "model"]).is(2).says(&["`a..b`", "`..`"]);
    desk.run(&["publish", "Fraud@1.0.0", "model"]).is(2).says(&["`Fraud`", "lower-case"]);
    desk.run(&["publish", "m@1.0", "model"]).is(2).says(&["`1.0`", "semantic version", "1.4.0"]);
    desk.run(&["publish", "m@v1.0.0", "model"]).is(2).says(&["`v1.0.0`", "semantic version"]);
    desk.run(&["publish", "m", "model"]).is(2).says(&["`m`", "NAME@VERSION"]);
    desk.run(&["pull", "m", "out"]).is(2).says(&["`m`", "NAME@latest"]);
    desk.run(&["promote", "m@1.0.0", "--channel", "../x"]).is(2).says(&["`../x`"]);
    desk.run(&["publish", "m@1.0.0"]).is(2).says(&["<DIR>"]);
    desk.run(&["frobnicate"]).is(2).says(&["frobnicate"]);
    assert!(!desk.path("registry").exists());
    assert!(!desk.path("out").exists());
}

#[test]
fn a_wrong_card_is_named_and_begins_no_registry() {
    let desk = Desk::new();
    desk.write("typo.toml", b"descriptoin = 'x'\n");
    desk.write("card.txt", b"");
    let publish = |card| desk.run(&["publish", "m@1.0.0", "model", "--card", card]);
    publish("typo.toml").is(2).says(&["`typo.toml`", "descriptoin", "description"]);
    publish("none.json").is(2).says(&["`none.json`"]);
    publish("card.txt").is(2).says(&["`card.txt`", ".toml"]);
    desk.write("nan.toml", b"[metrics]\naccuracy = nan\n");
    publish("nan.toml").is(2).says(&["accuracy", "not a number"]);
    assert!(!desk.path("registry").exists());
}

#[test]
fn the_registry_is_not_published_into_itself() {
    let desk = Desk::published();
    desk.run(&["publish", "m@2.0.0", "."]).is(2).says(&["`.`", "contains the registry"]);
    desk.run(&["publish", "m@2.0.0", "registry/models"]).is(2).says(&["registry/models", "inside"]);
    desk.run(&["publish", "m@2.0.0", "registry"]).is(2).says(&["`registry`", "keep them apart"]);
}

#[test]
fn a_registry_to_be_is_not_published_into_itself() {
    let desk = Desk::new();
    for registry in ["model/registry", "model/deep/er/registry", "away/../model/registry", "model"] {
        let publish = desk.run(&["publish", "m@1.0.0", "model", "--registry", registry]);
        publish.is(2).says(&["`model`", "contains the registry"]);
    }
    desk.run(&["publish", "m@1.0.0", "registry/model"]).is(2).says(&["registry/model", "inside"]);
    assert_eq!(files(desk.root.path()).len(), 2, "nothing was written");
}

#[cfg(unix)]
#[test]
fn links_hide_no_registry() {
    let desk = Desk::new();
    std::os::unix::fs::symlink(desk.path("model"), desk.path("link")).unwrap();
    let publish = desk.run(&["publish", "m@1.0.0", "model", "--registry", "link/registry"]);
    publish.is(2).says(&["contains the registry"]);
    assert_eq!(files(&desk.path("model")).len(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_directory_begins_no_registry() {
    let desk = Desk::new();
    std::os::unix::fs::symlink("/etc/hostname", desk.path("model/link")).unwrap();
    desk.run(&["publish", "m@1.0.0", "model"]).is(2).says(&["model/link", "symbolic link"]);
    assert!(!desk.path("registry").exists());
}

/// Every command that opens a registry calls the same mistake the same.
#[cfg(unix)]
#[test]
fn a_registry_that_cannot_be_one_is_told_alike() {
    let desk = Desk::new();
    std::os::unix::fs::symlink("loop", desk.path("loop")).unwrap();
    desk.write("notes.txt", b"mine");
    let (list, publish) = (["list"].as_slice(), ["publish", "m@1.0.0", "model"].as_slice());
    for command in [list, publish] {
        let run = |registry| desk.run(&[command, &["--registry", registry]].concat());
        run("notes.txt").is(2).says(&["notes.txt is a file"]);
        run("notes.txt/below").is(2).says(&["notes.txt/below is a file, or lies below one"]);
        run("loop").is(1).says(&["cannot read loop", "caused by"]);
    }
}

#[test]
fn reading_begins_no_registry() {
    let desk = Desk::new();
    let reads: [&[&str]; 7] = [
        &["list"],
        &["list", "m"],
        &["show", "m@1.0.0"],
        &["pull", "m@1.0.0", "out"],
        &["verify", "m@1.0.0"],
        &["history", "m", "--channel", "production"],
        &["promote", "m@1.0.0", "--channel", "production"],
    ];
    for read in reads {
        desk.run(read).is(4).says(&["no registry in", "TIDEGATE_REGISTRY"]);
    }
    assert!(!desk.path("registry").exists());
    assert!(!desk.path("out").exists());
}

#[test]
fn a_directory_of_others_does_not_become_a_registry() {
    let desk = Desk::new();
    desk.write("work/notes.txt", b"mine");
    desk.run(&["list", "--registry", "work"]).is(4).says(&["no registry in work"]);
    desk.run(&["publish", "m@1.0.0", "model", "--registry", "work"]).is(2).says(&["work is not empty"]);
    assert_eq!(files(&desk.path("work")).len(), 1);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let desk = Desk::published();
    desk.run(&["pull", "m@9.9.9", "out"]).is(1).says(&["m@9.9.9", "1.0.0"]);
    desk.run(&["show", "m:production"]).is(1).says(&["m:production", "promote"]);
    desk.run(&["list", "n"]).is(1).says(&["model n"]);
    desk.run(&["history", "n", "--channel", "production"]).is(1).says(&["model n"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn other_bytes_need_another_version() {
    let desk = Desk::published();
    let before = desk.json(&["show", "m@1.0.0"]);
    desk.write("model/weights.bin", b"other");
    desk.run(&["publish", "m@1.0.0", "model"]).is(1).says(&["m@1.0.0", "other content", "new version"]);
    assert_eq!(desk.json(&["publish", "m@1.0.0", "model"])["error"]["kind"], "already-published");
    assert_eq!(desk.json(&["show", "m@1.0.0"]), before);
    assert_eq!(desk.json(&["list", "m"])["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_pull_overwrites_nothing() {
    let desk = Desk::published();
    desk.write("out/weights.bin", b"mine");
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin", "other content"]);
    assert_eq!(files(&desk.path("out")), [(desk.path("out/weights.bin"), b"mine".to_vec())]);
    desk.run(&["pull", "m@1.0.0", "again"]).is(0);
    desk.run(&["pull", "m@1.0.0", "again"]).is(0);
}

#[test]
fn a_damaged_blob_is_not_delivered() {
    let desk = Desk::published();
    let (path, mut bytes) = desk.stored().into_iter().find(|(_, bytes)| bytes.len() == 100_000).unwrap();
    bytes[4711] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();

    let pull = ["pull", "m@1.0.0", "out", "--no-resume"];
    desk.run(&pull).is(1).says(&["weights.bin", "m@1.0.0", "does not match"]);
    assert!(!desk.path("out").exists());
    let left: Vec<_> =
        fs::read_dir(desk.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().starts_with('.')),
        "staged files are left: {left:?}"
    );
    desk.run(&["verify", "m@1.0.0"]).is(1).says(&["weights.bin"]);
    assert_eq!(desk.json(&["verify", "m@1.0.0"])["error"]["kind"], "digest-mismatch");

    fs::write(&path, b"short").unwrap();
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin"]);
    fs::remove_file(&path).unwrap();
    desk.run(&["pull", "m@1.0.0", "out"]).is(1).says(&["weights.bin"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn machines_get_errors_as_documents_too() {
    let desk = Desk::published();
    let run = desk.run(&["--json", "show", "m@9.9.9"]).is(1);
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["kind"], "not-found");
    assert!(error["error"]["message"].as_str().unwrap().contains("m@9.9.9"));
    assert_eq!(error["error"]["causes"], json!([]));
    assert!(run.err.contains("m@9.9.9"), "people are told as well: {run:?}");

    let run = desk.run(&["show", "M!@1.0.0", "--json"]).is(2);
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    assert!(error["error"]["message"].as_str().unwrap().contains("M!"));
    let message = desk.json(&["publish", "m@1.0.0"])["error"]["message"].to_string();
    assert!(message.contains("<DIR>") && !message.contains("Usage"), "{message}");
}

#[test]
fn a_damaged_model_hides_no_other() {
    let desk = Desk::published();
    desk.run(&["publish", "n@2.0.0", "model"]).is(0);
    let log = desk.path("registry/models/m/log");
    let (record, _) = files(&log).swap_remove(0);
    fs::remove_file(&record).unwrap();
    fs::write(&record, b"{").unwrap();

    let listed = desk.run(&["list"]).is(1);
    assert!(listed.out.contains("n      1         2.0.0"), "{listed:?}");
    assert!(listed.out.contains("error: ") && listed.out.contains("is damaged"), "{listed:?}");
    let models = &desk.json(&["list"])["models"];
    assert_eq!((&models[0]["name"], &models[0]["error"]["kind"]), (&json!("m"), &json!("corrupt")));
    assert_eq!((&models[1]["name"], &models[1]["versions"]), (&json!("n"), &json!(1)));
    desk.run(&["list", "m"]).is(1).says(&["is damaged"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_is_lost_is_no_success() {
    let desk = Desk::published();
    for arguments in [["list"].as_slice(), &["--json", "list"], &["--help"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(&desk.command(arguments).stdout(full).output().unwrap());
        run.is(1).says(&["cannot write the answer"]);
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let run =
        Run::of(&desk.command(&["--json", "list", "--registry", "none"]).stdout(full).output().unwrap());
    run.is(4).says(&["no registry", "cannot write the answer"]);
}

#[test]
fn a_description_reorders_nothing_that_is_shown() {
    let desk = Desk::new();
    desk.run(&["publish", "m@1.0.0", "model", "--description", "a\u{202e}b\u{2066}c"]).is(0);
    let shown = desk.run(&["show", "m@1.0.0"]).is(0).out;
    assert!(shown.contains("a b c"), "{shown:?}");
}
