//! Incidents in virtual time: what is told of them while they last, and what is written of them after.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod notices;
mod report;
mod scenes;
#[path = "../../../canary/tests/notify/server.rs"]
#[allow(dead_code, reason = "the server is that of another test")]
mod server;
#[path = "../../../canary/tests/stage/mod.rs"]
mod stage;
