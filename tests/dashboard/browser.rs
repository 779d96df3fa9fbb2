//! In Chromium, without a window: what people see, and what their clicks do.
//!
//! `browser.py` holds the browser, by [Playwright](https://playwright.dev/python/). It leaves its pictures in
//! `target/screenshots`, to be looked at.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tidegate_canary::{Driver, Event, Pause, Record, Request, Timing, report};
use tokio::process::Command;

use crate::{
    site::{Site, TOKEN, link},
    stories,
};

/// Lets the browser do what `act` is called in the script, and fails with what it did not like.
async fn act(act: &str, site: &Site, arguments: &[&str]) {
    let python = python();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboard/browser.py");
    let mut command = Command::new(python);
    command.arg(script).args([act, &site.address, TOKEN]).arg(pictures()).args(arguments);
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(400), run).await.expect("the browser answers");
    let output = output.expect("Python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
}

#[expect(clippy::disallowed_methods, reason = "where the browser's Python is, the environment says")]
fn python() -> PathBuf {
    let python = std::env::var_os("TIDEGATE_BROWSER_PYTHON");
    python.expect("TIDEGATE_BROWSER_PYTHON names a Python with playwright; tests/run installs one").into()
}

fn pictures() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    fs::create_dir_all(&directory).expect("a writable directory");
    directory
}

#[tokio::test]
#[ignore = "needs Chromium and a Python with playwright; tests/run installs both"]
async fn every_page_is_legible_in_chromium() {
    let stories = stories::all().await;
    let site = Site::showing(&stories).await;
    let reports = tempfile::tempdir().expect("a temporary directory");
    let mut arguments = Vec::new();
    for story in &stories {
        let name = story.route.as_str().rsplit_once("serving/").map_or("", |(_, name)| name);
        let name = if name.contains('<') { "hostile" } else { name };
        let entries = site.entries(&story.route).await;
        let file = reports.path().join(format!("{name}.html"));
        fs::write(&file, report::html("fraud on serving", &entries)).expect("a writable directory");
        arguments.push(format!("{name}={}={}", link(&story.route), file.display()));
    }
    act("look", &site, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// A rollout that is being driven meanwhile, in real time.
#[tokio::test]
#[ignore = "needs Chromium and a Python with playwright; tests/run installs both"]
async fn a_page_follows_its_rollout_in_chromium_and_a_click_pauses_it() {
    let story = stories::fresh().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let mut spec = story.plan();
    spec.timing = Timing { window: Duration::from_secs(1), ..Timing::default() };
    let world = story.world(Arc::new(site.registry.clone()));
    let opened = Driver::open(world, story.id.clone(), spec.build().expect("a plan")).await;
    let (driver, _handle) = opened.expect("the route is free");
    let driver = tokio::spawn(driver.looking_every(Duration::from_millis(500)).run());
    act("follow", &site, &[&link(&story.route)]).await;
    driver.abort();

    let asked: Vec<Request> = site
        .entries(&story.route)
        .await
        .into_iter()
        .filter_map(|entry| match entry.record {
            Record::Happen(Event::Ask(request)) => Some(request),
            _ => None,
        })
        .collect();
    let (by, reason) = ("Ada Lovelace".to_owned(), "seen enough".to_owned());
    assert_eq!(
        asked,
        [
            Request::Hold { by: by.clone() },
            Request::Resume { by: by.clone() },
            Request::Hold { by: "Without Script".to_owned() },
            Request::Abort { by, reason },
        ]
    );
    let journal = tidegate_canary::RouteJournal::open(Arc::new(site.registry.clone()), &story.route).await;
    let journal = journal.expect("it replays");
    let (_, rollout) = journal.latest().expect("it was opened");
    assert!(!rollout.pauses().contains(&Pause::Held), "it returns, whoever holds it: {}", rollout.state());
}
