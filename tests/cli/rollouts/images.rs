//! Container images of versions, asked of a registry that the environment names.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tidegate::registry::Digest;
use tokio::{net::TcpListener, runtime::Runtime};

use super::machine::Machine;
use crate::desk::Run;

/// `ci:hush`, as HTTP Basic authentication.
const CI: &str = "Basic Y2k6aHVzaA==";
const PASSWORD: &str = "TIDEGATE_TEST_IMAGES_PASSWORD";

/// A registry of images that answers for every image alike, and only to `ci`.
struct Images {
    address: String,
    says: Arc<AtomicU16>,
    _runtime: Runtime,
}

impl Images {
    fn start() -> Self {
        let runtime = Runtime::new().expect("threads");
        let says = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&says);
        let answer = move |request: Request| {
            let says = answers.load(Ordering::SeqCst);
            async move { answer(&request, says) }
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { address, says, _runtime: runtime }
    }

    fn say(&self, status: u16) {
        self.says.store(status, Ordering::SeqCst);
    }

    /// Publishes a version whose label names an image there.
    fn publish(&self, machine: &Machine, version: &str) {
        let image = format!("{}/team/fraud:{version}@{}", self.address, Digest::of(version));
        let card = json!({ "labels": { "tidegate.dev/image": image } });
        machine.desk.write("card.json", card.to_string().as_bytes());
        machine.desk.write("model/weights.bin", version.as_bytes());
        machine.desk.write("model/fails", b"0");
        machine.desk.run(&["publish", &format!("fraud@{version}"), "model", "--card", "card.json"]).is(0);
    }
}

fn answer(request: &Request, says: u16) -> Response {
    let knows = request.headers().get(header::AUTHORIZATION).is_some_and(|header| header == CI);
    let asks =
        request.method() == "HEAD" && request.uri().path().starts_with("/v2/team/fraud/manifests/sha256:");
    match (knows, asks) {
        (false, _) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"images\"")]).into_response()
        }
        (true, false) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        (true, true) => StatusCode::from_u16(says).expect("a status").into_response(),
    }
}

/// The environment of `machine`, with `images`.
fn with_images(machine: &Machine, images: Value) {
    let environment = std::fs::read_to_string(machine.desk.path("environment.json")).expect("it is there");
    let mut environment: Value = serde_json::from_str(&environment).expect("it is JSON");
    environment["images"] = images;
    machine.desk.write("environment.json", environment.to_string().as_bytes());
}

fn machine(images: &Images) -> Machine {
    let machine = Machine::scripted();
    let url = format!("http://{}", images.address);
    with_images(
        &machine,
        json!({ "ours": { "url": url, "username": "ci", "password": { "env": PASSWORD } } }),
    );
    machine
}

fn run(machine: &Machine, arguments: &[&str]) -> Run {
    let mut command = machine.desk.command(arguments);
    let run = Run::of(&command.env(PASSWORD, "hush").output().expect("the program runs"));
    assert!(!format!("{run:?}").contains("hush"), "{run:?}");
    run
}

#[test]
fn a_rollout_whose_image_is_lost_is_refused_before_anything_moves() {
    let images = Images::start();
    let machine = machine(&images);
    images.publish(&machine, "1.3.0");
    machine.plan("fraud@~1.3", "");
    let start = || {
        run(&machine, &["rollout", "start", "plan.yaml", "--environment", "environment.json", "--id", "ci-1"])
    };
    images.say(404);
    let lost = format!("its image {}/team/fraud@{}", images.address, Digest::of("1.3.0"));
    let refused = start().is(1);
    for word in ["fraud@1.3.0", &lost, "not in its registry any more", "push it there again"] {
        assert!(refused.err.contains(word), "{word:?} is missing: {refused:?}");
    }
    machine.desk.run(&["rollout", "status", "--route", "fraud"]).is(1).says(&["no rollout was ever opened"]);

    images.say(200);
    let promoted = start().is(0);
    assert!(promoted.out.contains("promoted: fraud@1.3.0"), "{promoted:?}");
    // What is over tells its end, whatever has become of its image; and one that came back can be left, which is said.
    images.say(404);
    start().is(0);
    machine.plan("fraud@1.1.0", "");
    let next = ["rollout", "start", "plan.yaml", "--environment", "environment.json", "--id", "ci-2"];
    let next = run(&machine, &next).is(0);
    assert!(next.err.contains("stable might not come up again") && next.err.contains("1.3.0"), "{next:?}");
}

#[test]
fn a_rollback_passes_over_what_its_registry_has_lost() {
    let images = Images::start();
    let machine = machine(&images);
    images.publish(&machine, "1.3.0");
    for version in ["1.3.0", "1.1.0"] {
        machine.desk.run(&["promote", &format!("fraud@{version}"), "--channel", "production"]).is(0);
    }
    let common = ["fraud", "--route", "fraud", "--environment", "environment.json", "--back", "1"];
    let rollback =
        |verb: &str, more: &[&str]| run(&machine, &[&["rollback", verb], &common[..], more].concat());
    let go = ["--reason", "it is slow", "--no-proof", "--drain", "50ms"];
    images.say(404);
    let lost = ["fraud@1.3.0", "is not in its registry any more"];
    rollback("candidates", &[]).is(1).says(&lost);
    rollback("run", &go).is(1).says(&lost);
    rollback("drill", &["--drain", "50ms"]).is(1).says(&lost);
    // A registry of images that is down is no reason to leave a version out.
    images.say(503);
    rollback("candidates", &[]).is(0);
    images.say(200);
    assert_eq!(rollback("candidates", &[]).is(0).out.trim(), "fraud@1.1.0 → fraud@1.3.0");
    rollback("run", &go).is(0);
}

#[test]
fn registries_that_cannot_be_asked_are_refused_without_their_secrets() {
    let machine = Machine::scripted();
    machine.desk.run(&["promote", "fraud@1.1.0", "--channel", "production"]).is(0);
    let url = "https://registry.example.com";
    for (file, words) in [
        (json!({ "url": "https://ci:hush@registry.example.com" }), &["images.ours.url", "OciAuth"][..]),
        (json!({ "url": "registry.example.com" }), &["images.ours.url", "https://"]),
        (
            json!({ "url": "https://registry.example.com/team" }),
            &["images.ours.url", "leave out what follows"],
        ),
        (json!({ "url": url, "username": "ci" }), &["images.ours", "both, or neither"]),
        (json!({ "url": url, "password": { "env": PASSWORD } }), &["images.ours", "both, or neither"]),
        (json!({ "url": url, "username": "ci", "password": "hush" }), &["{ env: VARIABLE }"]),
        (json!({ "url": url, "token": "hush" }), &["token"]),
        (
            json!({ "url": url, "username": "ci", "password": { "env": "TIDEGATE_TEST_UNSET" } }),
            &["images.ours.password", "not set"],
        ),
    ] {
        with_images(&machine, json!({ "ours": file }));
        let candidates = ["rollback", "candidates", "fraud", "--route", "fraud", "--back", "1"];
        run(&machine, &[&candidates[..], &["--environment", "environment.json"]].concat()).is(2).says(words);
    }
}
