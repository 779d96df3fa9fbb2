//! Notices and who gets them: the words of whole journals, couriers through crashes, and every recipient against a
//! server in process.
//!
//! ```text
//! MINISTACK_BIN=… TIDEGATE_TEST_PYTHON=… cargo test -p tidegate-canary --test notify -- --ignored
//! ```

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod chat;
mod courier;
mod gate;
mod live;
mod narrator;
mod outside;
mod pagerduty;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod server;
mod sns;
#[path = "../machine/walk.rs"]
#[allow(dead_code, reason = "the walk is that of another test")]
mod walk;
mod webhook;

use std::path::PathBuf;

use tidegate_canary::{
    Entry, RouteId,
    notify::{self, Kind, Notice},
};

fn route() -> RouteId {
    "serving/fraud".parse().unwrap()
}

/// The lines of a journal as they lie in the log.
fn lines(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journal").join(name);
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn entry(line: &str) -> Entry {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    serde_json::from_value(value["record"].clone()).unwrap()
}

fn entries(name: &str) -> Vec<Entry> {
    lines(name).iter().map(|line| entry(line)).collect()
}

fn promoted() -> Vec<Notice> {
    notify::notices(&route(), &entries("v1-promoted.jsonl"))
}

fn rolled_back() -> Vec<Notice> {
    notify::notices(&route(), &entries("v1-rolled-back.jsonl"))
}

/// The notice of the journal that was rolled back by which an incident opens.
fn bad() -> Notice {
    rolled_back().into_iter().find(|notice| notice.kind == Kind::Returning).unwrap()
}

fn client() -> reqwest::Client {
    notify::client(reqwest::Client::builder().no_proxy()).unwrap()
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
