//! Copies in an OCI registry, against Debian's `docker-registry`.

use std::fs;

use serde_json::json;

use super::desk::{Desk, Run, files};

#[allow(dead_code, clippy::unwrap_used, reason = "it is of the library's tests, with a proxy for those")]
#[path = "../../registry/tests/oci/server.rs"]
mod server;

use crate::ports::free_port;
use server::Server;

/// Of the proxy.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client without TLS settings")
}

#[test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
fn a_version_goes_to_an_oci_registry_and_comes_back() {
    let (desk, server) = (Desk::new(), Server::start());
    let address = format!("{}/team", server.address);
    desk.run(&["publish", "m@1.0.0+build.5", "model", "--description", "routes"]).is(0);
    let before = desk.stored();
    let push = || desk.json(&["push-oci", "m@latest", &address]);
    let pushed = push();
    assert_eq!((&pushed["pushed"], &pushed["tag"]), (&json!(true), &json!("1.0.0_build.5")));
    let again = push();
    assert_eq!((&again["pushed"], &again["artifact"]), (&json!(false), &pushed["artifact"]));
    assert_eq!(desk.stored(), before, "nothing is recorded");

    let digest = pushed["artifact"].as_str().unwrap();
    let published = desk.json(&["pull-oci", &address, "m", digest, "--as", "copy@2.0.0"]);
    assert_eq!(published["manifest"]["description"], "routes");
    let of = |model: &str| desk.json(&["show", model])["manifest"]["digest"].clone();
    assert_eq!(of("copy@2.0.0"), of("m@1.0.0+build.5"));
    let again = desk.run(&["pull-oci", &address, "m", "1.0.0_build.5", "--as", "copy@2.0.0"]).is(0);
    assert!(again.out.starts_with("unchanged copy@2.0.0"), "{again:?}");

    desk.run(&["pull-oci", &address, "m", "1.0.0_build.5", "--into", "new/out"]).is(0);
    let bytes = |name: &str| fs::read(desk.path(name)).unwrap();
    assert_eq!(bytes("new/out/weights.bin"), bytes("model/weights.bin"));
    assert_eq!(files(&desk.path("new")).len(), 2, "and nothing staged");
    let into = ["pull-oci", &address, "m", digest, "--into", "new/out"];
    desk.run(&into).is(2).says(&["new/out is there already"]);
    desk.run(&["pull-oci", &address, "m", "9.9.9", "--into", "other"]).is(1).says(&["9.9.9"]);
    assert!(!desk.path("other").exists());
}

#[test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
fn a_tag_with_other_files_stays() {
    let (desk, server) = (Desk::published(), Server::start());
    let address = format!("{}/team", server.address);
    let first = desk.json(&["push-oci", "m@1.0.0", &address]);
    let other = Desk::new();
    other.write("model/weights.bin", b"other");
    other.run(&["publish", "m@1.0.0", "model"]).is(0);
    other.run(&["push-oci", "m@1.0.0", &address]).is(1).says(&["m:1.0.0", "other files", "another version"]);
    assert_eq!(desk.json(&["push-oci", "m@1.0.0", &address])["artifact"], first["artifact"]);
}

#[test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
fn a_password_is_asked_for_and_not_told() {
    let (desk, server) = (Desk::published(), Server::locked());
    let push = |password: &str| {
        let arguments = ["push-oci", "m@1.0.0", &server.address, "--username", "user"];
        let mut command =
            desk.command(&[&arguments[..], &["--password-env", "TIDEGATE_TEST_PASSWORD"]].concat());
        let run = Run::of(&command.env("TIDEGATE_TEST_PASSWORD", password).output().unwrap());
        assert!(!format!("{run:?}").contains(password), "{run:?}");
        run
    };
    desk.run(&["push-oci", "m@1.0.0", &server.address]).is(1).says(&["401"]);
    push("wrong battery").is(1).says(&["401"]);
    push("correct horse").is(0);
}

#[test]
fn a_registry_that_is_away_can_be_tried_again() {
    let desk = Desk::published();
    let address = format!("http://127.0.0.1:{}/team", free_port());
    desk.run(&["push-oci", "m@1.0.0", &address]).is(4).says(&["unavailable"]);
    desk.run(&["pull-oci", &address, "m", "1.0.0", "--as", "m@2.0.0"]).is(4).says(&["unavailable"]);
    desk.run(&["pull-oci", &address, "m", "1.0.0", "--into", "out"]).is(4).says(&["unavailable"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn wrong_addresses_are_refused_without_their_secrets() {
    let desk = Desk::published();
    for address in ["https://me:hush@host/team", "ftp://host/hush", "https://host/team?token=hush"] {
        let run = desk.run(&["push-oci", "m@1.0.0", address]).is(2);
        assert!(!run.err.contains("me:hush") && !run.err.contains("token=hush"), "{run:?}");
    }
    let address = "http://127.0.0.1:1/team";
    desk.run(&["push-oci", "m@1.0.0", address, "--username", "me"]).is(2).says(&["--password-env"]);
    let unset = ["--username", "me", "--password-env", "TIDEGATE_TEST_UNSET"];
    desk.run(&[&["push-oci", "m@1.0.0", address][..], &unset].concat()).is(2).says(&["not set"]);
    desk.run(&["pull-oci", address, "m", "1.0.0"]).is(2).says(&["--as", "--into"]);
    let both = ["pull-oci", address, "m", "1.0.0", "--as", "m@2.0.0", "--into", "out"];
    desk.run(&both).is(2).says(&["--into"]);
}
